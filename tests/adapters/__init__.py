"""Tests of one adapter each, against a real service where there is one."""
