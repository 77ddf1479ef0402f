"""Fuzzing of every parser of outside input."""
