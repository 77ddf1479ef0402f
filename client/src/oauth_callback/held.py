"""A token in memory, and when the keeper is asked again."""

from __future__ import annotations

from oauth_callback.tokens import Token, TokenAnswer

DEFAULT_MIN_TTL = 60
"""Seconds, as the keeper's own default."""
_LEAST_PAUSE = 1.0
_SHORT_PAUSE = 5.0
_UNLIMITED_PAUSE = 3600.0
"""Seconds until a token that does not expire is asked for again: a new login may replace it."""


class Held:
    """A token, with its times in seconds by the source's clock."""

    __slots__ = ("ask_at", "expires_at", "token")

    def __init__(self, token: Token, *, ask_at: float, expires_at: float) -> None:
        self.token = token
        self.ask_at = ask_at
        self.expires_at = expires_at

    def is_valid(self, now: float) -> bool:
        """Whether the token has not expired."""
        return now < self.expires_at

    def is_current(self, now: float) -> bool:
        """Whether the token is valid, and it is not yet time to ask for another one."""
        return now < self.expires_at and now < self.ask_at

    def is_token(self, access_token: str | None) -> bool:
        """Whether this is the token with that value."""
        return self.token.access_token == access_token

    def ask_again(self, at: float) -> Held:
        """Return the same token with another time to ask again."""
        return Held(self.token, ask_at=at, expires_at=self.expires_at)


def hold(answer: TokenAnswer, *, asked_at: float, answered_at: float, min_ttl: int | None) -> Held:
    """Return the token of an answer, with times that are not later than the true ones."""
    seconds = _ask_again_in(answer, DEFAULT_MIN_TTL if min_ttl is None else min_ttl)
    expires_in = answer.expires_in
    return Held(
        answer.token,
        ask_at=max(asked_at + seconds, answered_at + _LEAST_PAUSE),
        expires_at=float("inf") if expires_in is None else asked_at + expires_in,
    )


def _ask_again_in(answer: TokenAnswer, min_ttl: int) -> float:
    if answer.ask_again_in is not None:
        return answer.ask_again_in
    if answer.expires_in is None:
        return _UNLIMITED_PAUSE
    # An older keeper does not send the time. With less than `min_ttl` left, it is replacing the
    # token now, or the lifetime is short and it will do so at its half.
    left = answer.expires_in - min_ttl
    return left if left > 0 else min(answer.expires_in / 2, _SHORT_PAUSE)
