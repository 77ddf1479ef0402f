"""Real servers, several processes, faults."""
