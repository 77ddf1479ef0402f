"""anthropic: the callables that its clients take as `credentials`."""

from __future__ import annotations

from oauth_callback.adapters.refusals import LastServed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from anthropic.lib.credentials import AccessToken

    from oauth_callback.source import TokenSource
    from oauth_callback.tokens import Token

_ASK_EACH_TIME = 0
"""An expiry that makes the client ask before each request: the source keeps the token itself."""


def anthropic_credentials(source: TokenSource) -> _Credentials:
    """Return `credentials=` for `anthropic.Anthropic`. After a 401 it sends a request once more."""
    return _Credentials(source)


def anthropic_async_credentials(source: TokenSource) -> _AsyncCredentials:
    """Return `credentials=` for `anthropic.AsyncAnthropic`, as `anthropic_credentials`."""
    return _AsyncCredentials(source)


class _Credentials:
    def __init__(self, source: TokenSource) -> None:
        self._source = source
        self._last = LastServed()

    def __call__(self, *, force_refresh: bool = False) -> AccessToken:
        refused = self._last.get() if force_refresh else None
        return _access_token(self._last.set(self._source.get(refused)))


class _AsyncCredentials:
    def __init__(self, source: TokenSource) -> None:
        self._source = source
        self._last = LastServed()

    async def __call__(self, *, force_refresh: bool = False) -> AccessToken:
        refused = self._last.get() if force_refresh else None
        return _access_token(self._last.set(await self._source.aget(refused)))


def _access_token(token: Token) -> AccessToken:
    from anthropic.lib.credentials import AccessToken

    return AccessToken(token.access_token, _ASK_EACH_TIME)
