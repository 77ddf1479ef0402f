"""One machine: a server, and a simulated provider to log in to."""
