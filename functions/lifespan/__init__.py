"""The parts of the application, from its start to its end on each event loop."""
