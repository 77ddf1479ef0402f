"""The token for the second try, after the API has answered 401."""

from __future__ import annotations

from contextvars import ContextVar

from oauth_callback.errors import TryLater

TYPE_CHECKING = False
if TYPE_CHECKING:
    from oauth_callback.source import TokenSource
    from oauth_callback.tokens import Token

UNAUTHORIZED = 401


def newer_token(source: TokenSource, refused: Token) -> Token | None:
    """Return another token, or None if there is none now: then the 401 is the result.

    Raises LoginNeeded, KeyRefused, NotConfigured.
    """
    try:
        return source.get(refused)
    except TryLater:
        return None


async def newer_token_async(source: TokenSource, refused: Token) -> Token | None:
    """Do as `newer_token`, without blocking the event loop."""
    try:
        return await source.aget(refused)
    except TryLater:
        return None


class LastServed:
    """The token that a thread or a task got last, for libraries that do not name the refused one.

    Another thread may have replaced it since. That one's token is not refused.
    """

    def __init__(self) -> None:
        self._token: ContextVar[Token | None] = ContextVar("token", default=None)

    def get(self) -> Token | None:
        """Return the token, or None."""
        return self._token.get()

    def set(self, token: Token) -> Token:
        """Remember the token, and return it."""
        self._token.set(token)
        return token
