"""Vercel's routing in front of its functions: `vercel.json` decides which function is asked.

Only what stands there is understood; a key that is not fails here, and is not passed over.
"""

import asyncio
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from uuid import uuid4

import httpx

from tests.system.client_address import forwarded

# Vercel's own answer for unknown paths.
_NOTHING_THERE = "The page could not be found\n\nNOT_FOUND\n"
_INTERNAL = "x-vercel-internal-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One entry of `routes`."""

    src: re.Pattern[str]
    dest: str
    status: int | None


def routes_of(vercel_json: str) -> list[Route]:
    """Read the routes, in their order."""
    return [_route(**entry) for entry in json.loads(vercel_json)["routes"]]


def _route(
    *,
    src: str,
    dest: str,
    status: int | None = None,
    caseSensitive: bool = False,  # noqa: N803 - Vercel's name
) -> Route:
    # Vercel anchors what is not anchored.
    anchored = f"^{src.removeprefix('^').removesuffix('$')}$"
    flags = re.RegexFlag(0) if caseSensitive else re.IGNORECASE
    return Route(src=re.compile(anchored, flags), dest=dest, status=status)


def routed(routes: Sequence[Route], path: str) -> str | int:
    """Return which source file answers for a path, or with which status Vercel does."""
    for route in routes:
        if found := route.src.search(path):
            dest = re.sub(r"\$(\d)", lambda number: found[int(number[1])], route.dest)
            return dest.removeprefix("/") if route.status is None else route.status
    return httpx.codes.NOT_FOUND


class VercelTransport(httpx.AsyncBaseTransport):
    """All functions behind one address, as Vercel's network has them.

    `start` starts the function of a source file and returns its address; it is called in a thread,
    at the first request that is for this function. Like httpx's own transports this one takes a
    request target as bytes from the extension "target".
    """

    def __init__(self, routes: Sequence[Route], functions: Mapping[str, Callable[[], str]]) -> None:
        self._routes = routes
        self._functions = functions
        self._addresses: dict[str, asyncio.Task[str]] = {}
        # A connection for each request: on one that is kept, the runtime's server lets the body of
        # an answer wait 40 ms for its head to be acknowledged (no TCP_NODELAY).
        self._inner = httpx.AsyncHTTPTransport(
            verify=False, limits=httpx.Limits(max_keepalive_connections=0)
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Ask the function that the path is for, or answer as Vercel does."""
        target: bytes = request.extensions.get("target", request.url.raw_path)
        found = routed(self._routes, target.partition(b"?")[0].decode("latin-1"))
        if isinstance(found, int) or found not in self._functions:
            return httpx.Response(httpx.codes.NOT_FOUND, text=_NOTHING_THERE)
        answer = await self._inner.handle_async_request(
            httpx.Request(
                request.method,
                await self._address(found),
                # Vercel writes X-Forwarded-For itself, and drops what came.
                headers=[*forwarded(request, keeps_what_came=False), *_internal_headers()],
                stream=request.stream,
                extensions={**request.extensions, "target": target},
            )
        )
        for name in [name for name in answer.headers if name.startswith(_INTERNAL)]:
            del answer.headers[name]
        return answer

    async def aclose(self) -> None:
        """Close the connections."""
        await self._inner.aclose()

    async def _address(self, source: str) -> str:
        if source not in self._addresses:
            starting = asyncio.to_thread(self._functions[source])
            self._addresses[source] = asyncio.create_task(starting)
        return await asyncio.shield(self._addresses[source])


def _internal_headers() -> list[tuple[bytes, bytes]]:
    """Return the headers by which the runtime assigns log lines to requests."""
    return [
        (f"{_INTERNAL}invocation-id".encode(), uuid4().hex.encode()),
        (f"{_INTERNAL}request-id".encode(), b"1"),
    ]
