"""azure-core, and all Azure clients: a `TokenCredential`, and an `AsyncTokenCredential`."""

from __future__ import annotations

import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType

    from azure.core.credentials import AccessToken, AccessTokenInfo

    from oauth_callback.source import TokenSource
    from oauth_callback.tokens import Token

_UNLIMITED = 24 * 3600.0
"""Seconds. azure-core needs an expiry."""


def azure_credential(source: TokenSource) -> _Credential:
    """Return a `TokenCredential`. Scopes are those of the login, so the asked ones are ignored.

    azure-core does not pass on that an API has refused a token: use `source.get(refused=…)`.
    """
    return _Credential(source)


def azure_async_credential(source: TokenSource) -> _AsyncCredential:
    """Return an `AsyncTokenCredential`, as `azure_credential`."""
    return _AsyncCredential(source)


class _Credential:
    """Both protocols of azure-core: `TokenCredential` and `SupportsTokenInfo`."""

    def __init__(self, source: TokenSource) -> None:
        self._source = source

    def get_token(self, *_scopes: str, **_options: object) -> AccessToken:
        """Return the token with its expiry."""
        return _access_token(self._source.get())

    def get_token_info(self, *_scopes: str, options: object = None) -> AccessTokenInfo:  # noqa: ARG002
        """Return the token with its expiry, and the time to ask again."""
        return _access_token_info(self._source.get())

    def close(self) -> None:
        """Do nothing; clients close their credential."""


class _AsyncCredential:
    """The same two protocols for asyncio."""

    def __init__(self, source: TokenSource) -> None:
        self._source = source

    async def get_token(self, *_scopes: str, **_options: object) -> AccessToken:
        """Return the token with its expiry."""
        return _access_token(await self._source.aget())

    async def get_token_info(self, *_scopes: str, options: object = None) -> AccessTokenInfo:  # noqa: ARG002
        """Return the token with its expiry, and the time to ask again."""
        return _access_token_info(await self._source.aget())

    async def close(self) -> None:
        """Do nothing; clients close their credential."""

    async def __aenter__(self) -> _AsyncCredential:  # noqa: PYI034 - `Self` is newer than Python 3.9
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None = None,
        error: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        pass


def _access_token(token: Token) -> AccessToken:
    from azure.core.credentials import AccessToken

    return AccessToken(token.access_token, _expires_on(token))


def _access_token_info(token: Token) -> AccessTokenInfo:
    from azure.core.credentials import AccessTokenInfo

    refresh_on = None if token.ask_again_at is None else int(token.ask_again_at)
    return AccessTokenInfo(
        token.access_token,
        _expires_on(token),
        token_type=token.token_type,
        refresh_on=refresh_on,
    )


def _expires_on(token: Token) -> int:
    return int(time.time() + _UNLIMITED if token.expires_at is None else token.expires_at)
