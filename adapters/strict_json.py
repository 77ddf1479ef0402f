"""The reader of signed JSON: it refuses what two readers could understand in two ways."""

import json
from typing import Any


def strict_object(text: bytes) -> dict[str, Any] | None:
    """Read a JSON object in UTF-8. Return None for anything else.

    A repeated member is refused (RFC 7515 §4, RFC 7519 §4), and so is a value that only Python
    knows, such as NaN.
    """
    try:
        found = json.loads(
            text.decode(), object_pairs_hook=_without_repeats, parse_constant=_refuse_constant
        )
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _without_repeats(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a repeated member")
    return members


def _refuse_constant(name: str) -> object:
    raise ValueError(name)
