"""Tests of `functions/observability`."""
