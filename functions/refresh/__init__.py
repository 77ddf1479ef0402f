"""Refreshes: the loop that keeps tokens fresh, and its storage."""
