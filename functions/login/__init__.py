"""Logins: start, completion, links and texts."""
