"""The HTTP client for providers: no redirects, no cookies, no proxy for loopback, a time limit."""

import asyncio
import sys
from collections.abc import Coroutine
from datetime import timedelta
from http.cookiejar import CookieJar, DefaultCookiePolicy
from importlib.util import find_spec
from typing import TypeVar

import httpx

from adapters.body_members import json_object
from adapters.content_coding import decompress
from adapters.network import MetadataHosts
from adapters.provider_transport import ProviderTransport

# Firewalls and some providers block the names of HTTP libraries. The version is pyproject.toml's.
USER_AGENT = "oauth-callback/0.1.0"
# A larger body is not a token response. The longest tokens in use have about 8 KiB each.
MAX_BODY_BYTES = 64 * 1024
# A failure to connect is reported early: the request was not sent, so a retry is safe.
_CONNECT_TIMEOUT = timedelta(seconds=5)
# Enough time to read a response that has arrived.
_GRACE = timedelta(seconds=0.5)
# A response has few chunks. A peer that sends more must not block other requests.
_MAX_PARSES = 100

_Result = TypeVar("_Result")


def provider_client(
    metadata_hosts: MetadataHosts | None = None, *, user_agent: str = USER_AGENT
) -> httpx.AsyncClient:
    """Create a client. Send each of its requests through `run_in_time`.

    A request raises NetworkSettingsError if a proxy or certificate variable cannot be used.
    """
    _mark_missing_sniffio()
    return httpx.AsyncClient(
        transport=ProviderTransport(metadata_hosts),
        # A redirect would send the client secret to another host.
        follow_redirects=False,
        # For connecting only: `run_in_time` limits the whole.
        timeout=httpx.Timeout(None, connect=_CONNECT_TIMEOUT.total_seconds()),
        # For an invalid location httpx raises the error of a request that was not sent.
        event_hooks={"response": [_move_location]},
        headers={"user-agent": user_agent},
        # Cookies would link the requests of different people.
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
    )


def _mark_missing_sniffio() -> None:
    """Mark sniffio as missing if it is: httpcore tries to import it seven times per request.

    Each try searches all of Python's path, a fifth of a request's cost. Python does not search for
    a marked module (https://docs.python.org/3/reference/import.html).
    """
    if "sniffio" not in sys.modules and find_spec("sniffio") is None:
        sys.modules["sniffio"] = None  # type: ignore[assignment]


async def _move_location(response: httpx.Response) -> None:
    response.extensions["location"] = response.headers.pop("location", None)


async def run_in_time(work: Coroutine[None, None, _Result], limit: timedelta) -> _Result:
    """Run `work` within the time limit, then wait a moment longer for a response that has arrived.

    A serverless platform may freeze the process past the limit while the response waits in the
    socket. That response may hold the only valid refresh token.

    Raises TimeoutError, and what `work` raises.
    """
    task = asyncio.create_task(work)
    try:
        for timeout in (limit, _GRACE):
            done, _ = await asyncio.wait({task}, timeout=timeout.total_seconds())
            if done:
                return task.result()
    finally:
        task.cancel()
        await asyncio.wait({task})
    raise TimeoutError


async def read_body(response: httpx.Response, *, most: int = MAX_BODY_BYTES) -> bytes:
    """Read the body and decompress it. Return b"" if it is longer than `most`.

    The limit is for the received and for the decompressed bytes. Reading stops at the end of a
    JSON object: some bodies never reach their declared length. The object may hold the only valid
    refresh token.

    Raises httpx.HTTPError.
    """
    body, count = b"", 0
    encoding = response.headers.get("content-encoding", "")
    try:
        async for chunk in response.aiter_raw():
            body, count = body + chunk, count + 1
            if len(body) > most:
                return b""
            if count <= _MAX_PARSES and _is_whole(text := decompress(body, encoding, most=most)):
                return text
    except httpx.HTTPError:
        if not _is_whole(decompress(body, encoding, most=most)):
            raise
    return decompress(body, encoding, most=most)


def _is_whole(body: bytes) -> bool:
    return json_object(body) is not None
