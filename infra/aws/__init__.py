"""The application on AWS: its table, its stack, and the artifact of its Lambda functions."""
