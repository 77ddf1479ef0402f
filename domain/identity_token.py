"""Identity tokens: the claims of a workload's JWT, and the rules that accept them (RFC 7519 §4.1).

A signature proves the claims before this module reads them.

1. A token has `exp`, and is accepted between `nbf` and `exp`, with a small leeway.
2. A token names its audience, `aud`.
3. Each claim of a rule is the same as the token's, of the same type, or matches a declared glob.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeAlias

LEEWAY = timedelta(seconds=30)
"""For clocks that differ a little (RFC 7519 §4.1.4)."""

LONGEST_SUBJECT = 100
"""The longest subject in a log line or a history, in characters."""

Claims: TypeAlias = Mapping[str, object]
Plain: TypeAlias = str | int | bool
"""A value that a rule can require."""

_WILDCARD = "*"
# The year 10000. Neither infinity nor NaN is less.
_LATEST = 253_402_300_800


class TokenRefusedError(Exception):
    """A token is not accepted. The message is a sentence, and quotes no value of the token."""


@dataclass(frozen=True, slots=True)
class Glob:
    """A text in which each `*` stands for any characters, also for none."""

    pattern: str

    def matches(self, text: str) -> bool:
        """Whether the whole text matches. The time is linear in its length for each `*`."""
        first, *others = self.pattern.split(_WILDCARD)
        if not others:
            return text == first
        *middle, last = others
        if len(text) < len(first) + len(last) or not text.startswith(first):
            return False
        start, end = len(first), len(text) - len(last)
        for part in middle:
            found = text.find(part, start, end)
            if found < 0:
                return False
            start = found + len(part)
        return text.endswith(last)

    @property
    def fixed_start(self) -> str:
        """The text before the first `*`."""
        return self.pattern.partition(_WILDCARD)[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityRule:
    """The tokens that one entry accepts: their issuer, audience and claims."""

    issuer: str
    audience: str
    claims: Mapping[str, Plain | Glob]

    def is_for(self, claims: Claims) -> bool:
        """Whether a token of this issuer is for this audience (the second check)."""
        audience = claims.get("aud")
        return self.audience in (audience if isinstance(audience, list) else [audience])

    def mismatches(self, claims: Claims) -> list[str]:
        """Return the names of the claims that do not match (the third check)."""
        return [
            name for name, wanted in self.claims.items() if not _matches(wanted, claims.get(name))
        ]


def check_times(claims: Claims, now: datetime) -> None:
    """Check that a token is valid at this time (the first check). Raises TokenRefusedError."""
    seconds, leeway = now.timestamp(), LEEWAY.total_seconds()
    expires, begins = _instant(claims, "exp"), _instant(claims, "nbf")
    if expires is None:
        raise TokenRefusedError("The token has no `exp`, so it would never expire.")
    if expires <= seconds - leeway:
        raise TokenRefusedError("The token has expired.")
    if any(at is not None and at > seconds + leeway for at in (begins, _instant(claims, "iat"))):
        raise TokenRefusedError("The token is not valid yet (`nbf`, `iat`).")


def subject_of(claims: Claims) -> str:
    """Return the subject, short and in printable ASCII, for logs and histories."""
    found = (claims.get(name) for name in ("sub", "repository"))
    text = next((value for value in found if isinstance(value, str) and value), "unknown")
    return "".join(c if "!" <= c <= "~" else "?" for c in text[:LONGEST_SUBJECT])


def _instant(claims: Claims, name: str) -> float | None:
    """Return a NumericDate in seconds since 1970 (RFC 7519 §2). Raises TokenRefusedError."""
    value = claims.get(name)
    if value is None:
        return None
    # A boolean is a number for Python.
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < _LATEST:
        raise TokenRefusedError(f"The token's `{name}` is not a time in seconds.")
    return value


def _matches(wanted: Plain | Glob, found: object) -> bool:
    if isinstance(wanted, Glob):
        return isinstance(found, str) and wanted.matches(found)
    # True equals 1 for Python.
    return type(found) is type(wanted) and found == wanted
