"""The trace of one request: its id, its API key and its round trips.

A context variable carries it into the tasks that the request starts. A shared task has the trace of
the request that started it.
"""

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, Literal, TypeAlias

Part: TypeAlias = Literal["store", "provider"]
"""A port that requests wait for, by its name in `Server-Timing`."""

# The platform's id first, so that its log and ours have the same one: Vercel's, AWS's, a proxy's.
_ID_HEADERS = (b"x-vercel-id", b"x-amzn-trace-id", b"x-request-id")
# A client may choose it, and it goes into logs, headers and URIs.
_SAFE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:;=@-]{0,127}")


@dataclass(slots=True, kw_only=True, eq=False)
class Trace:
    """One request, its authentication and its round trips.

    `began_at` is in monotonic seconds, `waits` in seconds. `is_authenticated` means that
    a valid secret allows the request. `key_name` names its API key, None for CRON_SECRET.
    `known_key` names a valid key that the request has in its body, allowed for this or not.
    """

    request_id: str
    began_at: float
    waits: list[tuple[Part, float]] = field(default_factory=list)
    is_authenticated: bool = False
    key_name: str | None = None
    known_key: str | None = None

    def server_timing(self) -> str:
        """Return the time spent so far, in milliseconds (W3C Server Timing)."""
        spent: dict[Part, list[float]] = {}
        for part, seconds in self.waits:
            spent.setdefault(part, []).append(seconds)
        metrics = [_metric(part, sum(times), len(times)) for part, times in spent.items()]
        return ", ".join([*metrics, _metric("total", monotonic() - self.began_at)])


_current: ContextVar[Trace | None] = ContextVar("trace", default=None)


def current() -> Trace | None:
    """Return the trace of the current request, if there is one."""
    return _current.get()


def request_id_of(scope: Mapping[str, Any]) -> str:
    """Return the id of a request (ASGI scope), or a new one."""
    values = {bytes(name).lower(): bytes(value) for name, value in scope["headers"]}
    # Mangum's member for Lambda's context.
    named = getattr(scope.get("aws.context"), "aws_request_id", None)
    found = [named, *(values.get(name, b"").decode("latin-1") for name in _ID_HEADERS)]
    return next(filter(_is_safe_id, found), None) or os.urandom(16).hex()


def request_id_of_context(context: object) -> str:
    """Return the id of a call of AWS Lambda, or a new one."""
    return request_id_of({"headers": (), "aws.context": context})


def _is_safe_id(name: object) -> bool:
    return isinstance(name, str) and _SAFE_ID.fullmatch(name) is not None


@contextmanager
def trace_request(request_id: str) -> Iterator[Trace]:
    """Trace the work within the block, and the tasks that it starts."""
    trace = Trace(request_id=request_id, began_at=monotonic())
    token = _current.set(trace)
    try:
        yield trace
    finally:
        _current.reset(token)


def mark_authenticated(key_name: str | None) -> None:
    """Mark the request as authenticated, by the API key of that name or by another secret."""
    if (trace := _current.get()) is not None:
        trace.is_authenticated, trace.key_name = True, key_name


def mark_known_key(name: str) -> None:
    """Mark the request as one with this API key, whether the key is allowed for it or not."""
    if (trace := _current.get()) is not None:
        trace.known_key = name


@contextmanager
def waiting_for(part: Part) -> Iterator[None]:
    """Count the block as one round trip of the current request."""
    trace = _current.get()
    if trace is None:
        yield
        return
    began_at = monotonic()
    try:
        yield
    finally:
        trace.waits.append((part, monotonic() - began_at))


def _metric(name: str, seconds: float, round_trips: int | None = None) -> str:
    trips = "" if round_trips is None else f';desc="round trips: {round_trips}"'
    return f"{name};dur={seconds * 1000:.1f}{trips}"
