"""The pure core: what tokens, grants and logins are, and every transition between them.

Standard library only; no I/O, clock, randomness, environment or logging. Start with `decide.py`.
"""
