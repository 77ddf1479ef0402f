"""Tests of `functions/login`."""
