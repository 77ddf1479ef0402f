"""In front of the Django peer's token endpoint: its counts and its planned faults."""

import json
import socket
import time
from collections import Counter, deque
from collections.abc import Callable
from select import select
from threading import Lock
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse

CONNECTION = "peer.connection"
"""Where the server leaves the client's socket for the middleware."""


class ControlMiddleware:
    """Count the token requests on their way, and spoil those that a fault is planned for."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response
        self._ledger = _Ledger()

    def __call__(self, request: HttpRequest) -> HttpResponse:
        match request.method, request.path:
            case "GET", "/_control/stats":
                return JsonResponse(self._ledger.stats())
            case "DELETE", "/_control/stats":
                self._ledger.reset()
            case "POST", "/_control/faults":
                self._ledger.plan(json.loads(request.body))
            case "POST", "/o/token/":
                return self._token_request(request)
            case _:
                return self._get_response(request)
        return HttpResponse(status=204)

    def _token_request(self, request: HttpRequest) -> HttpResponse:
        kind, _, seconds = self._ledger.arrive(request.POST.get("grant_type", "")).partition(":")
        if kind == "late-commit":
            _hang_up(request)
        if seconds:
            time.sleep(float(seconds))
        response = self._process(kind, request)
        # Counted before the client can see an answer, so that it never reads a count that lags.
        abandoned = kind != "late-commit" and _has_hung_up(request)
        self._ledger.depart(response.status_code if response else None, abandoned=abandoned)
        if kind in {"drop-request", "drop-answer"}:
            _hang_up(request)
        # Where the connection is closed by now, the server gives up writing without a word.
        return response or HttpResponse()

    def _process(self, kind: str, request: HttpRequest) -> HttpResponse | None:
        match kind:
            case "drop-request":
                return None
            case "refuse-503":
                return HttpResponse("a planned fault", status=503, headers={"Retry-After": "1"})
            case _:
                return self._get_response(request)


class _Ledger:
    """Counts and plans, shared by the threads that serve requests."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._faults: deque[str] = deque()
        self._in_flight = 0
        self.reset()

    def reset(self) -> None:
        with self._lock:
            self._arrived: Counter[str] = Counter()
            self._granted = 0
            self._refused = 0
            self._abandoned = 0

    def plan(self, faults: list[str]) -> None:
        with self._lock:
            self._faults.extend(faults)

    def stats(self) -> dict[str, Any]:
        with self._lock:
            return {
                "arrived": dict(self._arrived),
                "granted": self._granted,
                "refused": self._refused,
                "in_flight": self._in_flight,
                "abandoned": self._abandoned,
            }

    def arrive(self, grant_type: str) -> str:
        """Count a request; return the fault that is planned for it, or nothing."""
        with self._lock:
            self._arrived[grant_type] += 1
            self._in_flight += 1
            if grant_type != "authorization_code" and self._faults:
                return self._faults.popleft()
            return ""

    def depart(self, status: int | None, *, abandoned: bool) -> None:
        """Count what a request came to, None if it was not processed, and whether for nobody."""
        with self._lock:
            self._in_flight -= 1
            self._granted += status == 200
            self._refused += status not in {None, 200}
            self._abandoned += abandoned


def _has_hung_up(request: HttpRequest) -> bool:
    """Whether the client has closed the connection: nothing else makes it readable meanwhile."""
    connection: socket.socket = request.META[CONNECTION]
    readable, _, _ = select([connection], [], [], 0)
    return bool(readable)


def _hang_up(request: HttpRequest) -> None:
    request.META[CONNECTION].shutdown(socket.SHUT_RDWR)
