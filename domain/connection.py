"""Connection names, and the client that each belongs to.

`google` and `google:alice` belong to the client `google`. Every other name without a colon belongs
to the unnamed client.
"""

import re

DEFAULT_CONNECTION = "default"
_SEPARATOR = ":"
_LONGEST = 128
_PART = r"[A-Za-z0-9][A-Za-z0-9._@\-]*"
_NAME = re.compile(f"{_PART}({_SEPARATOR}{_PART})?")


def is_connection(text: str) -> bool:
    """Whether a connection can have this name."""
    return len(text) <= _LONGEST and _NAME.fullmatch(text) is not None


def client_part(connection: str) -> str:
    """Return the part of a connection's name that may name a client."""
    return connection.partition(_SEPARATOR)[0]


def has_account(connection: str) -> bool:
    """Whether a connection's name has an account after its client, as in `google:alice`."""
    return _SEPARATOR in connection


def accounts_pattern(client: str) -> str:
    """Return the pattern that stands for all accounts of a client, as in `google:*`."""
    return f"{client}{_SEPARATOR}*"
