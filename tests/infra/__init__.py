"""What surrounds the application."""
