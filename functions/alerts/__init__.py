"""Alerts of changes of state, and their delivery."""
