"""Time limits for a busy machine. They only matter where a test fails."""

from collections.abc import Callable
from datetime import timedelta
from importlib import import_module

_LIMITS = (
    ("adapters.aws_client", "_CONNECT_LIMIT"),
    ("adapters.aws_client", "_READ_LIMIT"),
    ("adapters.dynamodb_table", "_LIMIT"),
    ("adapters.redis_client", "_CONNECT_LIMIT"),
    ("adapters.redis_client", "_LIMIT"),
    ("adapters.postgres_pool", "LIMIT"),
    ("adapters.store_upstash", "_CONNECT_LIMIT"),
    ("adapters.store_upstash", "_LIMIT"),
)
PATIENCE = timedelta(seconds=120)
"""How long tests wait for servers, answers and events."""


def be_patient(set_attribute: Callable[[object, str, object], None] = setattr) -> None:
    """Extend the limits of the stores, by a way of setting an attribute that a test may undo."""
    for module, name in _LIMITS:
        set_attribute(import_module(module), name, PATIENCE)
