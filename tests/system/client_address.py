"""The address that a test's request comes from, and the header of a proxy that has it."""

import httpx

# A real one, from the range that is for documentation.
UNTOLD = "192.0.2.1"
FORWARDED_FOR = b"x-forwarded-for"


def client_address(request: httpx.Request) -> str:
    """Return the address from the request's extension `client`."""
    return str(request.extensions.get("client", UNTOLD))


def forwarded(request: httpx.Request, *, keeps_what_came: bool) -> list[tuple[bytes, bytes]]:
    """Return the headers behind a proxy: with one X-Forwarded-For, whose last word is the proxy's.

    Before that is the client's own value, if the proxy keeps it.
    """
    told = client_address(request).encode()
    if keeps_what_came and (came := request.headers.get("x-forwarded-for")):
        told = came.encode() + b", " + told
    others = [(name, value) for name, value in request.headers.raw if name.lower() != FORWARDED_FOR]
    return [*others, (FORWARDED_FOR, told)]


class BehindProxy(httpx.AsyncBaseTransport):
    """Reach a server as a proxy on the same machine does."""

    def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
        self._inner = inner

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Pass the request on, with the address of its sender."""
        request.headers = httpx.Headers(forwarded(request, keeps_what_came=True))
        return await self._inner.handle_async_request(request)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._inner.aclose()
