"""The tools of docs/recipes, unchanged, with the keeper's tokens."""
