"""The whole keeper under every fault we can make, in simulated time, replayable by its seed."""
