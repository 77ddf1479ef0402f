"""How a provider is asked over HTTP: no redirect, no cookie, no proxy for loopback, and in time."""

import asyncio
import sys
from collections.abc import Coroutine
from datetime import timedelta
from http.cookiejar import CookieJar, DefaultCookiePolicy
from importlib.util import find_spec
from typing import TypeVar

import httpx

from adapters.body_members import json_object
from adapters.content_coding import unpacked
from adapters.network import Outside
from adapters.provider_transport import ProviderTransport

# Firewalls and some providers single out those of HTTP libraries. The version is pyproject.toml's.
USER_AGENT = "oauth-callback/0.1.0"
# Beyond this a body is no token response; the longest tokens in use are some 8 KiB each.
MAX_BODY_BYTES = 64 * 1024
# What fails before the request is on its way is over soon, and can be retried with no risk.
_CONNECT_TIMEOUT = timedelta(seconds=5)
# Time enough for reading what is there.
_LAST_LOOK = timedelta(seconds=0.5)
# An answer comes in a few pieces; whatever sends more is not to keep everybody else waiting.
_MOST_LOOKS = 100

_Result = TypeVar("_Result")


def provider_client(
    outside: Outside | None = None, *, user_agent: str = USER_AGENT
) -> httpx.AsyncClient:
    """Make a client; every request on it is to be sent through `in_time`.

    Where a variable of the environment keeps a request from being sent, that raises WayOutError.
    """
    _look_for_sniffio_once()
    return httpx.AsyncClient(
        transport=ProviderTransport(outside),
        # A redirect would carry the client's secret to somewhere else.
        follow_redirects=False,
        # Only until the request is on its way; `in_time` sees to the rest.
        timeout=httpx.Timeout(None, connect=_CONNECT_TIMEOUT.total_seconds()),
        # Of one that cannot be read, httpx would say what it says of requests that were not sent.
        event_hooks={"response": [_forget_location]},
        headers={"user-agent": user_agent},
        # Connections of different people have nothing to tell each other.
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
    )


def _look_for_sniffio_once() -> None:
    """Note where it is not installed: httpcore tries to import it seven times a request.

    Python looks through every folder of its path each time, which is a fifth of what a request
    costs. What is noted so is not looked for (https://docs.python.org/3/reference/import.html).
    """
    if "sniffio" not in sys.modules and find_spec("sniffio") is None:
        sys.modules["sniffio"] = None  # type: ignore[assignment]


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
    """Read the body, out of its content codings; one that is too long counts as empty.

    The cap is on what comes and on what becomes of it, because a few bytes can unpack to anything.
    A JSON object is whole with its last brace, and nothing after it is waited for: by its own
    account a body may be longer and never end, and it may hold the only living refresh token.

    Raises httpx.HTTPError.
    """
    body, looks = b"", 0
    encoding = response.headers.get("content-encoding", "")
    try:
        async for chunk in response.aiter_raw():
            body, looks = body + chunk, looks + 1
            if len(body) > most:
                return b""
            if looks <= _MOST_LOOKS and _is_whole(text := unpacked(body, encoding, most=most)):
                return text
    except httpx.HTTPError:
        if not _is_whole(unpacked(body, encoding, most=most)):
            raise
    return unpacked(body, encoding, most=most)


def _is_whole(body: bytes) -> bool:
    return json_object(body) is not None
