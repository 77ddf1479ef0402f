"""Tests of `functions/http`."""
