"""The HTTP contract, on every host of the application."""
