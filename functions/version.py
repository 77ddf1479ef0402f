"""The version of the project, as in pyproject.toml."""

VERSION = "0.1.0"
