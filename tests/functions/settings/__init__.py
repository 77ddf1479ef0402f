"""Tests of `functions/settings`."""
