"""The application's ports: Protocols for outside systems, their values and their exceptions."""
