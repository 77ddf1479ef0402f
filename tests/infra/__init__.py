"""Tests of the local server, the AWS stack and the checks."""
