"""Logs and timings."""
