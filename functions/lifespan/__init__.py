"""Start and end of the application on each event loop."""
