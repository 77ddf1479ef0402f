"""Operator commands, a module each: `python -m functions.admin --help` lists them."""
