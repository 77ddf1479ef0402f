"""The loop that keeps tokens fresh, and the store's side of it."""
