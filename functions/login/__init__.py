"""Logins: begun, completed, and what is said of them."""
