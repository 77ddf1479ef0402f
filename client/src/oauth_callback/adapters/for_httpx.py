"""httpx and httpx2, and all that takes their clients: openai, anthropic, mcp, fastmcp."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec

from oauth_callback.adapters.refusals import UNAUTHORIZED, newer_token, newer_token_async

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator
    from types import ModuleType
    from typing import Any

    from oauth_callback.source import TokenSource

_MODULES = ("httpx", "httpx2")


def httpx_auth(source: TokenSource, *modules: ModuleType) -> Any:  # noqa: ANN401 - of two libraries
    """Return `auth=` for the clients of these modules; without any, of httpx and httpx2.

    After a 401 a request is sent once more, with another token. For asyncio only, not trio.

    Raises ImportError if neither is installed.
    """
    # Each library accepts only its own `Auth`, so the class has both bases.
    bases = tuple(module.Auth for module in modules or _installed())
    return type("KeeperAuth", (_Flows, *bases), {})(source)


def _installed() -> list[ModuleType]:
    found = [import_module(name) for name in _MODULES if find_spec(name) is not None]
    if not found:
        raise ImportError("Neither httpx nor httpx2 is installed. Run: pip install httpx")
    return found


class _Flows:
    """Both flows of `httpx.Auth`, which the two libraries drive alike."""

    requires_request_body = False
    requires_response_body = False

    def __init__(self, source: TokenSource) -> None:
        self._source = source

    def sync_auth_flow(self, request: Any) -> Generator[Any, Any, None]:  # noqa: ANN401
        """Add the token, and try once more after a 401."""
        used = self._source.get()
        request.headers["Authorization"] = used.authorization
        response = yield request
        if response.status_code != UNAUTHORIZED or not _can_be_sent_again(request):
            return
        newer = newer_token(self._source, used)
        if newer is not None:
            request.headers["Authorization"] = newer.authorization
            yield request

    async def async_auth_flow(self, request: Any) -> AsyncGenerator[Any, Any]:  # noqa: ANN401
        """Do as `sync_auth_flow`, without blocking the event loop."""
        used = await self._source.aget()
        request.headers["Authorization"] = used.authorization
        response = yield request
        if response.status_code != UNAUTHORIZED or not _can_be_sent_again(request):
            return
        newer = await newer_token_async(self._source, used)
        if newer is not None:
            request.headers["Authorization"] = newer.authorization
            yield request


def _can_be_sent_again(request: Any) -> bool:  # noqa: ANN401
    """Whether the body is in memory. A stream can be sent only once."""
    try:
        _ = request.content
    except RuntimeError:  # `RequestNotRead`, in either library
        return False
    return True
