"""Tests of `functions/endpoints`."""
