"""What goes with one request wherever it goes: whether it was let in, and where its time went.

A context variable carries it, into the tasks too that the request begins.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from time import monotonic
from typing import Literal, TypeAlias

Part: TypeAlias = Literal["store", "provider"]
"""What is waited for: a port, by the name that `Server-Timing` has for it."""


@dataclass(slots=True, kw_only=True)
class Trace:
    """One request: since when it is answered (monotonic seconds), and what it has come to.

    `waits` are its round trips, in seconds, each with what it was made to. `is_let_in` says that it
    carries a secret of the deployment's that is good for what it asks.
    """

    began_at: float
    waits: list[tuple[Part, float]] = field(default_factory=list)
    is_let_in: bool = False

    def server_timing(self) -> str:
        """Tell where the time went until now (W3C Server Timing), in milliseconds."""
        spent: dict[Part, list[float]] = {}
        for part, seconds in self.waits:
            spent.setdefault(part, []).append(seconds)
        metrics = [_metric(part, sum(times), len(times)) for part, times in spent.items()]
        return ", ".join([*metrics, _metric("total", monotonic() - self.began_at)])


_current: ContextVar[Trace | None] = ContextVar("trace", default=None)


@contextmanager
def traced() -> Iterator[Trace]:
    """Trace what is done within, and what is begun within."""
    trace = Trace(began_at=monotonic())
    token = _current.set(trace)
    try:
        yield trace
    finally:
        _current.reset(token)


def let_in() -> None:
    """Note that the request has shown what lets it in."""
    if (trace := _current.get()) is not None:
        trace.is_let_in = True


@contextmanager
def waiting_for(part: Part) -> Iterator[None]:
    """Count what is done within as one round trip, if there is a request that it is done for."""
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
