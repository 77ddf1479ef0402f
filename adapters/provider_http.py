"""How a provider is asked over HTTP: no redirect, no cookie, no proxy for loopback, and in time."""

import asyncio
import json
import zlib
from collections.abc import Coroutine
from datetime import timedelta
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any, TypeVar

import httpx

from adapters.tls import tls_context

# Beyond this a body is no token response; the longest tokens in use are some 8 KiB each.
MAX_BODY_BYTES = 64 * 1024
# What fails before the request is on its way is over soon, and can be retried with no risk.
_CONNECT_TIMEOUT = timedelta(seconds=5)
# Time enough for reading what is there.
_LAST_LOOK = timedelta(seconds=0.5)
# A kept connection that the provider has closed in the meantime would fail in a way that looks like
# a lost answer.
_LIMITS = httpx.Limits(max_keepalive_connections=0)

_Result = TypeVar("_Result")


def provider_client() -> httpx.AsyncClient:
    """Make a client; every request on it is to be sent through `in_time`."""
    return httpx.AsyncClient(
        # A redirect would carry the client's secret to somewhere else.
        follow_redirects=False,
        # Only until the request is on its way; `in_time` sees to the rest.
        timeout=httpx.Timeout(None, connect=_CONNECT_TIMEOUT.total_seconds()),
        limits=_LIMITS,
        verify=tls_context(),
        # http is for loopback only, where a proxy from the environment has no business.
        mounts={"http://": httpx.AsyncHTTPTransport(limits=_LIMITS, verify=tls_context())},
        # Of one that cannot be read, httpx would say what it says of requests that were not sent.
        event_hooks={"response": [_forget_location]},
        # Connections of different people have nothing to tell each other.
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
    )


async def _forget_location(response: httpx.Response) -> None:
    response.extensions["location"] = response.headers.pop("location", None)


async def in_time(work: Coroutine[None, None, _Result], limit: timedelta) -> _Result:
    """Wait for an answer until the time limit, and then once more for a moment.

    A process that was frozen (as serverless platforms do) finds its time over and the answer in the
    socket at once. What has come is read then: it may hold the only living refresh token.

    Raises TimeoutError, and what `work` raises.
    """
    task = asyncio.create_task(work)
    try:
        for patience in (limit, _LAST_LOOK):
            done, _ = await asyncio.wait({task}, timeout=patience.total_seconds())
            if done:
                return task.result()
    finally:
        task.cancel()
        await asyncio.wait({task})
    raise TimeoutError


async def read_capped(response: httpx.Response, *, most: int = MAX_BODY_BYTES) -> bytes:
    """Read the body; one that is too long, or encoded in a way nobody asked for, counts as empty.

    The cap is on what comes and on what becomes of it, because a few bytes can unpack to anything.
    A JSON object is whole with its last brace, and nothing after it is waited for: by its own
    account a body may be longer and never end, and it may hold the only living refresh token.

    Raises httpx.HTTPError.
    """
    body = b""
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > most:
            return b""
        if chunk.rstrip().endswith(b"}") and json_object(body) is not None:
            return body
    match response.headers.get("content-encoding", "identity").strip().lower():
        case "identity" | "":
            return body
        case "gzip":
            return _gunzip(body, most)
        case _:
            return b""


def _gunzip(body: bytes, most: int) -> bytes:
    try:
        gzip = zlib.decompressobj(zlib.MAX_WBITS | 16)
        text = gzip.decompress(body, most)
    except zlib.error:
        return b""
    return text if gzip.eof else b""


def json_object(body: bytes) -> dict[str, Any] | None:
    """Read a JSON object; None where this is none, or not all of it.

    Members that are not as they should be, such as a name in another encoding or a text with a line
    break (RFC 8259 §8.1, §7), must not cost the others; bytes that are no characters become halves
    of some, which no token has.
    """
    try:
        text = body.decode(json.detect_encoding(body), "surrogateescape")
        members = json.loads(text, strict=False)
    except (ValueError, RecursionError):
        return None
    return members if isinstance(members, dict) else None
