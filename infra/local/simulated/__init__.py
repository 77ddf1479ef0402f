"""A simulated provider for development, which plays the data of any preset."""
