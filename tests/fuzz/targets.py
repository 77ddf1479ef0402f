"""The targets of the fuzzing. Each takes one input, and raises for a wrong result.

Declared errors of a parser are results. All other errors are failures.
"""

import asyncio
import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import parse_qsl

import httpx
from hypothesis import strategies as st

from adapters.grant_json import load_record
from adapters.lifetimes import LONGEST_LIFETIME
from adapters.login_json import load_login
from adapters.sealed_records import SealedRecords
from adapters.sealing import KEY_BYTES, KeyRing, SealError
from adapters.stored_json import FormatError
from adapters.token_response import read_answer
from domain.token_endpoint import NoAnswer, TokenErrorResponse, TokenResponse
from functions.application import Application
from functions.asgi import ROUTES
from functions.http.messages import MAX_QUERY_BYTES, Request
from functions.http.parameters import MalformedRequestError
from functions.http.problems import PROBLEMS, TYPE_PREFIX
from functions.login.adopted_body import UnreadableTokensError, read_form, read_text
from functions.settings.settings import Settings
from ports.store import UnreadableRecordError
from tests.fuzz.bodies import PATHS, QUERIES, RECORDS, TOKEN_RESPONSES
from tests.fuzz.mutations import HOSTILE, spoilt, with_odd_members
from tests.presets import NAMES, preset_named


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A check, and a strategy for each of its arguments."""

    check: Callable[..., None]
    inputs: Mapping[str, st.SearchStrategy[Any]]


_API_KEY = "an-api-key-for-fuzzing-only"
_RING = KeyRing([b"\1" * KEY_BYTES])
_RECORDS = SealedRecords(_RING)
_PLACE = ("grant", "default", "etag")
_SEALED = tuple(_RING.seal(record, *_PLACE).encode() for record in RECORDS)
# The statuses of a fault: the store works, and the provider is configured.
_FAULTS = frozenset({500, 501, 505})

_statuses = st.sampled_from([200, 201, 204, 302, 400, 401, 403, 429, 500, 503]) | st.integers(
    200, 599
)
_content_types = st.sampled_from(
    ["application/json", "application/x-www-form-urlencoded", "text/html", ""]
)
_header_values = st.sampled_from((b"", b"120", b"Sun, 01 Mar 2026 12:00:00 GMT", *HOSTILE))
_header_names = st.sampled_from([b"x-api-key", b"authorization", b"accept", b"cookie", b"\xff"])
_headers = st.lists(st.tuples(_header_names, _header_values), max_size=2)
_KEY = (b"x-api-key", _API_KEY.encode())
_ENDS_A_LINE = frozenset("\0\r\n\x85")


def token_response(
    body: bytes, status: int, content_type: str, retry_after: bytes, provider: str
) -> None:
    """A token endpoint's answer is usable tokens, an error, or no answer."""
    headers = [(b"content-type", content_type.encode()), (b"retry-after", retry_after)]
    outcome = read_answer(httpx.Response(status, headers=headers), body, preset_named(provider))
    match outcome:
        case TokenResponse():
            assert httpx.codes.is_success(status)
            _expect_usable(outcome)
        case TokenErrorResponse():
            assert outcome.error is None or outcome.error.isascii()
            assert outcome.retry_after is None or outcome.retry_after >= timedelta(0)
            assert (outcome.description or "").encode() is not None
        case NoAnswer():
            assert outcome.reason.isascii()


def _expect_usable(tokens: TokenResponse) -> None:
    assert tokens.access_token
    assert tokens.token_type.strip()
    # Callers put them into headers.
    assert not _ENDS_A_LINE.intersection(tokens.access_token + tokens.token_type)
    assert tokens.refresh_token != ""
    for text in (tokens.refresh_token, tokens.scope, tokens.token_type):
        assert text is None or text.encode()
    for lifetime in (tokens.expires_in, tokens.refresh_token_expires_in):
        assert lifetime is None or timedelta(0) < lifetime <= LONGEST_LIFETIME
    assert tokens.access_token not in repr(tokens) or len(tokens.access_token) < 8


def request(
    query: bytes,
    headers: list[tuple[bytes, bytes]],
    method: str,
    parts: list[bytes],
    is_whole: bool,  # noqa: FBT001 - hypothesis names it
) -> None:
    """A request is read whole, or refused as malformed with a client's error."""
    messages = [{"type": "http.request", "body": part, "more_body": True} for part in parts] + [
        {"type": "http.request" if is_whole else "http.disconnect"}
    ]
    scope = {"method": method, "path": "/", "query_string": query, "headers": headers}

    async def receive() -> dict[str, Any]:
        return messages.pop(0)

    try:
        read = _runner().run(Request.from_asgi(scope, receive))
    except MalformedRequestError as malformed:
        assert malformed.status in {400, 413, 414}  # noqa: PT017 - it may be either
    else:
        assert len(query) <= MAX_QUERY_BYTES
        assert list(read.parameters.items()) == parse_qsl(query.decode(), keep_blank_values=True)
        assert read.body in {b"", b"".join(parts)}
    assert scope["query_string"] == b""


def application(path: str, query: bytes, headers: list[tuple[bytes, bytes]], method: str) -> None:
    """The application answers any request once, in full, without a fault."""
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": query,
        "headers": headers,
    }
    start, end = _runner().run(_exchange(scope))
    assert start["status"] not in _FAULTS
    sent = {bytes(name): bytes(value) for name, value in start["headers"]}
    assert (sent[b"cache-control"], sent[b"x-content-type-options"]) == (b"no-store", b"nosniff")
    assert not any(byte in value for value in sent.values() for byte in b"\r\n\0")
    if end["body"]:
        assert sent[b"content-length"] == str(len(end["body"])).encode()
    if end["body"] and sent[b"content-type"] == b"application/problem+json":
        members = json.loads(end["body"])
        assert members["type"].removeprefix(TYPE_PREFIX) in PROBLEMS
        assert members["status"] == start["status"]


async def _exchange(scope: dict[str, Any]) -> list[dict[str, Any]]:
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request"}

    async def send(message: Any) -> None:
        sent.append(message)

    await _application()(scope, receive, send)
    return sent


@cache
def _runner() -> asyncio.Runner:
    return asyncio.Runner()


@cache
def _application() -> Application:
    # The folder is removed when the process ends.
    folder = _folder()
    environ = {
        "CLIENT_ID": "client",
        "CLIENT_SECRET": "a-secret-for-fuzzing",
        "API_KEY": _API_KEY,
        "CRON_SECRET": "a-cron-secret-for-fuzzing",
        "OAUTH_STATE": "a-static-state-of-the-fuzzing",
        "PUBLIC_URL": "https://keeper.example",
        "PROVIDER": "custom",
        # No server listens there.
        "AUTHORIZATION_ENDPOINT": "http://127.0.0.1:9/authorize",
        "TOKEN_ENDPOINT": "http://127.0.0.1:9/token",
        "SQLITE_PATH": str(Path(folder.name) / "grants.sqlite"),
        # No limit: each request has its own answer.
        "FAILURE_LIMIT": "0",
    }
    return Application(ROUTES, lambda: Settings.from_environ(environ))


@cache
def _folder() -> TemporaryDirectory[str]:
    return TemporaryDirectory()


def record(text: bytes) -> None:
    """A stored text is a grant or a login, or not of the format."""
    for load in (load_record, load_login):
        try:
            load(text)
        except FormatError:
            continue


def sealed_record(sealed: bytes, place: tuple[str, ...]) -> None:
    """A sealed text opens in its place to what was sealed, or does not open."""
    text = sealed.decode("utf-8", "surrogateescape")
    with suppress(SealError):
        assert _RING.open(text, *place) in RECORDS
        assert place == _PLACE
    with suppress(UnreadableRecordError):
        _RECORDS.open_record("default", "etag", text)
    assert _RECORDS.open_login("key", text, now=datetime.now(UTC)) is None


def adopted_body(body: bytes) -> None:
    """A body to adopt has a refresh token that can be sent, or is refused by its member."""
    for read in (read_text, read_form):
        with suppress(UnreadableTokensError):
            adopted = read(body)
            assert adopted.refresh_token.isascii()
            assert adopted.refresh_token.isprintable()
            assert " " not in adopted.refresh_token
            assert (adopted.scope or "").isascii()
            assert adopted.refresh_token not in repr(adopted) or len(adopted.refresh_token) < 8


TARGETS: Mapping[str, Target] = {
    "adopted_body": Target(
        check=adopted_body,
        inputs={"body": spoilt(TOKEN_RESPONSES) | with_odd_members(TOKEN_RESPONSES)},
    ),
    "token_response": Target(
        check=token_response,
        inputs={
            "body": spoilt(TOKEN_RESPONSES) | with_odd_members(TOKEN_RESPONSES),
            "status": _statuses,
            "content_type": _content_types,
            "retry_after": _header_values,
            "provider": st.sampled_from(NAMES),
        },
    ),
    "request": Target(
        check=request,
        inputs={
            "query": spoilt(QUERIES),
            "headers": _headers,
            "method": st.sampled_from(["GET", "HEAD", "POST", "QUERY", ""]),
            "parts": st.lists(spoilt(QUERIES), max_size=3),
            "is_whole": st.booleans(),
        },
    ),
    "application": Target(
        check=application,
        inputs={
            "path": st.sampled_from(PATHS),
            "query": spoilt(QUERIES),
            # Most have the key: without it the rest is not read.
            "headers": st.just([_KEY]) | st.just([_KEY, (b"accept", b"text/html")]) | _headers,
            "method": st.sampled_from(
                ["GET", "GET", "GET", "HEAD", "OPTIONS", "POST", "DELETE", "\xff"]
            ),
        },
    ),
    "record": Target(check=record, inputs={"text": spoilt(RECORDS) | with_odd_members(RECORDS)}),
    "sealed_record": Target(
        check=sealed_record,
        inputs={
            "sealed": spoilt(_SEALED),
            "place": st.sampled_from([_PLACE, ("grant", "other", "etag"), ()]),
        },
    ),
}
