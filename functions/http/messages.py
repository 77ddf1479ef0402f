"""HTTP requests and responses over ASGI.

They replace a framework, whose import would dominate a cold start
(`docs/adr/0003-no-web-framework.md`).
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from datetime import timedelta
from http import HTTPStatus
from typing import Any, Self, TypeAlias

from functions.http.parameters import MalformedRequestError, parse_parameters

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]

# An authorization response carries a code and a state; 8 KiB is what common servers allow.
MAX_QUERY_BYTES = 8 * 1024
MAX_BODY_BYTES = 64 * 1024
# Apache's limit; proxies and platforms add headers.
MAX_HEADERS = 100
# All names and values together; Vercel's limit.
MAX_HEADER_BYTES = 32 * 1024
# Time for a body over a slow line; a trickling one must not keep an instance busy.
BODY_LIMIT = timedelta(seconds=10)

# `/.well-known/` is where RFC 8414 puts the metadata of the token URL. The others are the page's.
_ENDPOINTS = ("/api/", "/.well-known/", "/connections/", "/sign-in", "/sign-out", "/test-alert")
_FIRST_PAGE = frozenset({"", "/"})
# RFC 9110 §9.2.1: safe methods, so that an incomplete body does no harm. A browser that disconnects
# must not cost a callback its code.
_SAFE = frozenset({"GET", "HEAD"})
_FORM = b"application/x-www-form-urlencoded"
_JSON = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
_IN_LINES = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), indent=2)


Parse: TypeAlias = Callable[[bytes], Mapping[str, str]]
Headers: TypeAlias = tuple[tuple[bytes, bytes], ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Request:
    """One HTTP request; its repr has no secrets. `client` is the client's address, if known.

    `query`: as received, for parameters that `parameters` leaves out.
    """

    method: str
    path: str
    client: str = ""
    parameters: Mapping[str, str] = field(repr=False)
    query: bytes = field(repr=False, default=b"")
    headers: Headers = field(repr=False, default=())
    body: bytes = field(repr=False, default=b"")

    @classmethod
    async def from_asgi(
        cls,
        scope: Scope,
        receive: Receive,
        *,
        max_body_bytes: int = MAX_BODY_BYTES,
        parser_of: Callable[[str], Parse] = lambda _path: parse_parameters,
    ) -> Self:
        """Read a whole request; `parser_of` returns the parser of a path's query.

        Raises MalformedRequestError if it cannot be decoded, is too large or too slow, or repeats a
        parameter.
        """
        # Removed from the scope, because servers log it, and a callback's has the code.
        query, scope["query_string"] = scope.get("query_string", b""), b""
        if len(query) > MAX_QUERY_BYTES:
            detail = f"The query exceeds {MAX_QUERY_BYTES} bytes. Shorten it."
            raise MalformedRequestError(detail, status=414)
        method, path, headers = scope["method"], path_of(scope), _headers_of(scope)
        _check_headers(headers)
        parameters = parser_of(path)(query)
        return cls(
            method=method,
            path=path,
            client=_client_of(scope),
            headers=headers,
            query=query,
            parameters=parameters,
            body=await _read_body(receive, max_body_bytes, may_end_early=method in _SAFE),
        )

    @classmethod
    def head(cls, scope: Scope) -> Self:
        """Read a request without its parameters and body, which cannot fail."""
        return cls(
            method=scope["method"],
            path=path_of(scope),
            client=_client_of(scope),
            parameters={},
            headers=_headers_of(scope),
        )

    def header_values(self, name: bytes) -> list[bytes]:
        """Every value of the header with this lower-case name, in order."""
        return [value for key, value in self.headers if key == name]

    def form(self) -> Mapping[str, str]:
        """The parameters of a form, {} for another body. Raises MalformedRequestError."""
        return parse_parameters(self.body) if self.is_form() else {}

    def is_form(self) -> bool:
        """Whether the body is a form, by its content type."""
        values = self.header_values(b"content-type")
        # RFC 9110 §8.3.1: case-insensitive.
        types = [value.partition(b";")[0].strip().lower() for value in values]
        return types == [_FORM]

    def accepts_json_first(self) -> bool:
        """Whether the client accepts JSON by name, but not HTML."""
        accept = b",".join(self.header_values(b"accept"))
        return b"application/json" in accept and b"text/html" not in accept

    def prefers_text(self) -> bool:
        """Whether the client prefers text/plain to JSON."""
        accept = b",".join(self.header_values(b"accept")).lower()
        if b"text/" not in accept:
            return False
        # Imported here, because most clients accept anything.
        from functions.http.plain_text import prefers_text

        return prefers_text(accept)


def path_of(scope: Scope) -> str:
    """Return the path of a request without the server's prefix (`root_path`).

    By ASGI the path includes the prefix. Hypercorn leaves it out, and uvicorn adds it even if the
    proxy did. Every endpoint begins with one of `_ENDPOINTS`, or is the first page.
    """
    path, prefix = str(scope["path"]), scope.get("root_path", "").rstrip("/")
    once = path.removeprefix(prefix)
    rests = (once, once.removeprefix(prefix))
    found = (rest for rest in rests if rest.startswith(_ENDPOINTS) or rest in _FIRST_PAGE)
    return next(found, path)


def _client_of(scope: Scope) -> str:
    host, *_ = scope.get("client") or ("",)
    return host or ""


def _headers_of(scope: Scope) -> Headers:
    return tuple([(bytes(name).lower(), bytes(value)) for name, value in scope["headers"]])


def _check_headers(headers: Headers) -> None:
    if len(headers) > MAX_HEADERS:
        detail = f"The request has more than {MAX_HEADERS} headers. Send fewer."
        raise MalformedRequestError(detail, status=431)
    if sum(len(name) + len(value) for name, value in headers) > MAX_HEADER_BYTES:
        detail = f"The headers exceed {MAX_HEADER_BYTES} bytes. Shorten them."
        raise MalformedRequestError(detail, status=431)


async def _read_body(receive: Receive, max_bytes: int, *, may_end_early: bool) -> bytes:
    seconds = BODY_LIMIT.total_seconds()
    try:
        async with asyncio.timeout(seconds):
            return await _read_chunks(receive, max_bytes, may_end_early=may_end_early)
    except TimeoutError as error:
        detail = f"The body did not arrive within {seconds:g} s. Send the request again."
        raise MalformedRequestError(detail, status=408) from error


async def _read_chunks(receive: Receive, max_bytes: int, *, may_end_early: bool) -> bytes:
    body = b""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            if may_end_early:
                return body
            raise MalformedRequestError("The body is incomplete. Send the request again.")
        body += bytes(message.get("body", b""))
        if len(body) > max_bytes:
            detail = f"The body exceeds {max_bytes} bytes. Shorten it."
            raise MalformedRequestError(detail, status=413)
        if not message.get("more_body"):
            return body


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Response:
    """One HTTP response."""

    status: int
    content_type: str = "application/json"
    body: bytes = field(repr=False, default=b"")
    headers: tuple[tuple[str, str], ...] = ()

    @classmethod
    def json(
        cls,
        status: int,
        members: Mapping[str, object],
        *,
        content_type: str = "application/json",
        headers: tuple[tuple[str, str], ...] = (),
        in_lines: bool = False,
    ) -> Self:
        """Make a JSON response; `in_lines` gives each member a line of its own."""
        body = (_IN_LINES.encode(members) + "\n" if in_lines else _JSON.encode(members)).encode()
        return cls(status=status, content_type=content_type, body=body, headers=headers)

    @classmethod
    def redirect(cls, url: str, *, headers: tuple[tuple[str, str], ...] = ()) -> Self:
        """Make a redirect with GET (RFC 9110 §15.4.4)."""
        # The current URL may have secrets.
        policy = ("referrer-policy", "no-referrer")
        return cls(
            status=HTTPStatus.SEE_OTHER,
            content_type="text/plain; charset=utf-8",
            headers=(("location", url), policy, *headers),
        )

    async def send(
        self,
        send: Send,
        *,
        without_body: bool = False,
        more_headers: tuple[tuple[str, str], ...] = (),
    ) -> None:
        """Send the response, with `more_headers`; `without_body` is for HEAD."""
        content = (
            ("content-type", self.content_type),
            ("content-length", str(len(self.body))),
        )
        headers = (
            # RFC 9110 §8.6: a 204 has no Content-Length.
            *(() if self.status == HTTPStatus.NO_CONTENT else content),
            ("cache-control", "no-store"),
            ("x-content-type-options", "nosniff"),
            *self.headers,
            *more_headers,
        )
        await send(
            {
                "type": "http.response.start",
                "status": self.status,
                "headers": [(name.encode(), value.encode("latin-1")) for name, value in headers],
            }
        )
        await send({"type": "http.response.body", "body": b"" if without_body else self.body})
