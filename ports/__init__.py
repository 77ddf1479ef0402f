"""The application's ports: a Protocol for each outside system, and the exceptions it raises."""
