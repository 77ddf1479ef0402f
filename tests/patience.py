"""Limits of time for the stores of a busy machine, which needs more than a platform does."""

from collections.abc import Callable
from datetime import timedelta
from importlib import import_module

_LIMITS = (
    ("adapters.aws_client", "_CONNECT_LIMIT"),
    ("adapters.aws_client", "_READ_LIMIT"),
    ("adapters.dynamodb_table", "_LIMIT"),
    ("adapters.store_upstash", "_CONNECT_LIMIT"),
    ("adapters.store_upstash", "_LIMIT"),
)
_PATIENCE = timedelta(seconds=60)


def be_patient(set_attribute: Callable[[object, str, object], None] = setattr) -> None:
    """Extend the limits, by a way of setting an attribute that a test may undo."""
    for module, name in _LIMITS:
        set_attribute(import_module(module), name, _PATIENCE)
