"""Tests of `functions/access`."""
