"""What is logged, and how long things took."""
