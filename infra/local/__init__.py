"""The application on one machine: a server, and a simulated provider."""
