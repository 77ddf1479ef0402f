"""Tests of `functions/alerts`."""
