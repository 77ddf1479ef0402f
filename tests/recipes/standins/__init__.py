"""Servers of this machine that accept the tokens of the simulated provider only."""
