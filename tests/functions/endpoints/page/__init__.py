"""The page of connections."""
