"""Tests of `functions/lifespan`."""
