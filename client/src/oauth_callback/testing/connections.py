"""A connection of the fake keeper: tokens that expire, and are replaced when they are asked for."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Callable

REFRESH_GUARD = 10.0
"""Seconds after a replacement in which `POST /api/refresh` does nothing, as the keeper's."""


@dataclass
class FakeConnection:
    """The current token, and the rules by which it is replaced.

    `lifetime` is in seconds, None for tokens that do not expire. `generation` counts the tokens.
    """

    clock: Callable[[], float]
    prefix: str
    lifetime: float | None = 1800.0
    scope: str | None = None
    extra: dict[str, object] = field(default_factory=dict)
    generation: int = 0
    login_cause: str | None = None
    _issued_at: float = 0.0
    _access_token: str | None = None

    @property
    def access_token(self) -> str:
        """The current token, whether or not it has expired."""
        return self._access_token or f"{self.prefix}token-{self.generation}"

    def replace(self, access_token: str | None = None) -> None:
        """Issue the next token, with this value if there is one."""
        self.generation += 1
        self._access_token = access_token
        self._issued_at = self.clock()

    def serve(self, *, min_ttl: float, refused: int | None) -> None:
        """Replace the token if it is due, or if this generation is refused."""
        is_due = self.generation == 0 or self._left() <= self._least(min_ttl)
        if is_due or (refused is not None and refused >= self.generation):
            self.replace()

    def refresh(self) -> None:
        """Replace the token, unless it is a few seconds old."""
        if self.generation == 0 or self.clock() - self._issued_at >= REFRESH_GUARD:
            self.replace()

    def members(self, *, min_ttl: float, is_older: bool) -> dict[str, object]:
        """Return the answer of `GET /api/token`."""
        left = None if self.lifetime is None else int(self._left())
        newer = {
            "generation": self.generation,
            "ask_again_in": None
            if left is None
            else max(0, int(self._left() - self._least(min_ttl))),
        }
        return {
            "access_token": self.access_token,
            "token_type": "Bearer",
            "expires_in": left,
            "expires_at": None if left is None else _rfc3339(left),
            "scope": self.scope,
            **({} if is_older else newer),
            **({"extra": self.extra} if self.extra else {}),
        }

    def _left(self) -> float:
        if self.lifetime is None:
            return float("inf")
        return self._issued_at + self.lifetime - self.clock()

    def _least(self, min_ttl: float) -> float:
        """Return the seconds that have to be left: `min_ttl`, at most half of the lifetime."""
        return min_ttl if self.lifetime is None else min(min_ttl, self.lifetime / 2)


def _rfc3339(seconds_from_now: float) -> str:
    at = datetime.now(timezone.utc).timestamp() + seconds_from_now
    return datetime.fromtimestamp(at, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
