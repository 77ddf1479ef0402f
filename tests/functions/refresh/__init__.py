"""Tests of `functions/refresh`."""
