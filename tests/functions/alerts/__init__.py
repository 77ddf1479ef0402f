"""Tests of `functions.alerts`."""
