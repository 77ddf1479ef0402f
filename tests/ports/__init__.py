"""The contracts of the ports, each run on every adapter that there is."""
