"""Connection names."""

import re

DEFAULT_CONNECTION = "default"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@\-]{0,127}")


def is_connection(text: str) -> bool:
    """Whether a connection can have this name."""
    return _NAME.fullmatch(text) is not None
