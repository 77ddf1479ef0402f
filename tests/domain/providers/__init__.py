"""Tests of all presets: their data, and their stories."""
