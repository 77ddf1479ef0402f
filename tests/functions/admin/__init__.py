"""Tests of `functions/admin`."""
