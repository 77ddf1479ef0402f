"""Members next to the tokens: which names a deployment may ask for, and which values are kept."""

import re
import unicodedata
from collections.abc import Callable, Collection, Iterable
from math import isfinite
from typing import TypeAlias

ExtraValue: TypeAlias = str | int | float | bool
Extra: TypeAlias = tuple[tuple[str, ExtraValue], ...]
"""Names and values next to the tokens, such as Salesforce's `instance_url`. No name repeats."""

# The longest value, in bytes of UTF-8. The longest in use are URLs.
MAX_BYTES = 2 * 1024
# The longest whole number. Identifiers have 64 or 128 bits.
_MAX_BITS = 1024
# Names that a token response or a callback may have for a secret, in any spelling.
_SECRET_NAME = re.compile(r"(token|secret|password|assertion)$|^(code|state|codeverifier|apikey)$")
_SEPARATORS = re.compile(r"[^a-z0-9]")
# Control characters, lone surrogates and line ends: callers put values into headers and files.
_UNSAFE_CATEGORIES = frozenset({"Cc", "Cs", "Zl", "Zp"})


def merge_extra(before: Extra, after: Extra) -> Extra:
    """Return both; where a name is in both, with the value of `after`."""
    return tuple({**dict(before), **dict(after)}.items())


def is_secret(name: str) -> bool:
    """Whether a member may hold a secret, by the last part of its name: `user.accessToken`."""
    return _SECRET_NAME.search(_SEPARATORS.sub("", name.rpartition(".")[2].lower())) is not None


def pick_members(
    names: Iterable[str], find: Callable[[str], object], *, secrets: Collection[str | None]
) -> Extra:
    """Return these members, without missing and unusable ones, and without secrets.

    `find` returns None for a missing one. `secrets`: the values that no member may repeat.
    """
    found = ((name, usable_value(find(name))) for name in names)
    return tuple(
        (name, value)
        for name, value in found
        if value is not None and str(value).strip() not in secrets
    )


def usable_value(value: object) -> ExtraValue | None:
    """Return a text, a number or a boolean that can be stored and shown; None for other values."""
    if isinstance(value, int):
        return value if value.bit_length() <= _MAX_BITS else None
    if isinstance(value, float):
        return value if isfinite(value) else None
    return usable_text(value)


def usable_text(value: object) -> str | None:
    """Return a text on one line, of at most MAX_BYTES; None for other values, and for no text."""
    if not isinstance(value, str) or not value or len(value) > MAX_BYTES:
        return None
    if any(unicodedata.category(character) in _UNSAFE_CATEGORIES for character in value):
        return None
    return value if len(value.encode()) <= MAX_BYTES else None
