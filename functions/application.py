"""The ASGI application: routes requests to endpoints, and turns errors into problems.

The first request on an event loop, or `prepare`, reads the settings and makes the parts. Nothing
happens at import time.
"""

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from http import HTTPStatus
from math import ceil

from domain.connection import DEFAULT_CONNECTION
from functions.access.credentials import uses_basic
from functions.http.messages import Parse, Receive, Request, Response, Scope, Send, path_of
from functions.http.parameters import (
    MalformedRequestError,
    parse_authorization_response,
    parse_parameters,
)
from functions.http.problems import BASIC_CHALLENGE, CLIENT_ERRORS, Problem, ProblemError, problem
from functions.lifespan.per_loop import PerLoop
from functions.lifespan.termination import finish_before_sigterm
from functions.observability.log_lines import write_json_lines
from functions.observability.tracing import Trace, current, request_id_of, trace_request
from functions.refresh.shared_tasks import RequestTasks, collect_tasks, wait_within_limit
from functions.routes import (
    CALLBACK,
    HEALTH,
    HEALTHY,
    TOKEN,
    TOKEN_URL,
    Routes,
    find_endpoint,
    path_of_endpoint,
)
from functions.settings.clients import UnknownClientError
from functions.settings.settings import RemoteSettingsError, Settings, SettingsError
from functions.wiring import Wiring
from ports.store import StoreDamagedError, StoreUnavailableError, UnreadableRecordError

_FOR_PROGRAMS = ("/api/", "/.well-known/")
# Of these, those that a browser opens as well.
_FOR_PEOPLE = frozenset({CALLBACK, "/api/login"})

# Seconds between checks whether a process may end.
_POLL_INTERVAL = 0.05

_log = logging.getLogger(__name__)


class Application:
    """An ASGI application over one source of settings."""

    def __init__(
        self, routes: Routes, settings: Callable[[], Settings] = Settings.from_environ
    ) -> None:
        """`settings` is called for each request until it succeeds; it may raise SettingsError."""
        self._routes = routes
        self._settings = settings
        self._parts = PerLoop(self._wire)
        self._has_logged_clients = False
        self._unread_alerts: Settings | None = None
        self._running: set[RequestTasks] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection scope."""
        if scope["type"] == "lifespan":
            await self._run_lifespan(receive, send)
        elif scope["type"] == "http":
            write_json_lines()
            with trace_request(request_id_of(scope)) as trace, self._track_request() as tasks:
                try:
                    response = await self._respond(scope, receive)
                    await response.send(
                        send,
                        without_body=scope["method"] == "HEAD",
                        more_headers=_trace_headers(trace),
                    )
                finally:
                    # After the response, finish the work that this request started: a function's
                    # instance is frozen at its end.
                    await tasks.finish()
                    self._log_alerts()
        elif scope["type"] == "websocket":
            # Closed before it is accepted: the server answers 403.
            await send({"type": "websocket.close"})

    async def _run_lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                write_json_lines()
                self._log_faults()
                finish_before_sigterm(self._finish_requests)
            if message["type"] == "lifespan.shutdown":
                await self.close()
            await send({"type": f"{message['type']}.complete"})
            if message["type"] == "lifespan.shutdown":
                return

    async def prepare(self) -> None:
        """Make the parts that all clients share, and read the store once. Raises nothing.

        The first request reports any error.
        """
        with suppress(SettingsError, StoreUnavailableError, UnreadableRecordError):
            wiring = await self._parts.get()
            await wiring.store.load(DEFAULT_CONNECTION)

    async def close(self) -> None:
        """Close the parts after their work is stored. Call it between requests.

        The next request reads the settings again.
        """
        if (wiring := self._parts.peek()) is not None:
            await wait_within_limit(wiring.finish())
            await self._parts.close()

    @contextmanager
    def _track_request(self) -> Iterator[RequestTasks]:
        """Collect the tasks of a request, and mark it as running."""
        with collect_tasks() as tasks:
            self._running.add(tasks)
            try:
                yield tasks
            finally:
                self._running.discard(tasks)

    async def _finish_requests(self) -> None:
        """Wait until the running requests and their tasks are done."""
        running_now = frozenset(self._running)

        async def end() -> None:
            while running_now & self._running:  # noqa: ASYNC110 - an event would slow every request
                await asyncio.sleep(_POLL_INTERVAL)

        await wait_within_limit(end())

    def _log_faults(self) -> None:
        """Log a configuration error at the start. A server would restart a process that exits."""
        try:
            settings = self._settings()
            self._log_clients(settings)
            self._unread_alerts = settings
        except SettingsError as error:
            _log.error("not configured: %s", error)

    def _log_alerts(self) -> None:
        """Log the faults of channels, once. The first response has not waited for their modules."""
        settings, self._unread_alerts = self._unread_alerts, None
        if settings is None:
            return
        try:
            settings.alerts()
        except SettingsError as error:
            _log.error("not configured: %s", error)

    def _wire(self) -> Wiring:
        settings = self._settings()
        self._log_clients(settings)
        return Wiring(settings)

    def _log_clients(self, settings: Settings) -> None:
        """Log the faults of clients, once. Their connections answer `not-configured`."""
        if not self._has_logged_clients:
            self._has_logged_clients = True
            # The first request must not wait for every preset.
            for fault in settings.clients.faults(loads_presets=False):
                _log.error("not configured: %s", fault)

    async def _respond(self, scope: Scope, receive: Receive) -> Response:
        try:
            request = await Request.from_asgi(scope, receive, parser_of=_parser_of)
            endpoint = find_endpoint(self._routes, request)
            return await endpoint(request, await self._parts.get())
        except RemoteSettingsError as error:
            # The instance is healthy: the fault is outside of it.
            return (
                HEALTHY if _is_for_health(scope) else _problem_response(scope, _problem_of(error))
            )
        except Exception as error:  # noqa: BLE001 - every error gets a response
            found = await self._count_failure(scope, _problem_of(error))
            if found.logged:
                _log.warning("%s", found.logged)
            return _problem_response(scope, found)

    async def _count_failure(self, scope: Scope, found: Problem) -> Problem:
        """Return the problem, or `too-many-failures`."""
        if found.name not in CLIENT_ERRORS:
            return found
        try:
            wiring = await self._parts.get()
        except SettingsError:
            return found
        return await wiring.limits.count_failure(found, Request.head(scope))


def _trace_headers(trace: Trace) -> tuple[tuple[str, str], ...]:
    id_header = ("x-request-id", trace.request_id)
    if not trace.is_authenticated:
        # The store's time would reveal which connections and logins exist.
        return (id_header,)
    return id_header, ("server-timing", trace.server_timing())


def _parser_of(path: str) -> Parse:
    """Return the parser of a path's query."""
    is_callback = path_of_endpoint(path) == CALLBACK
    return parse_authorization_response if is_callback else parse_parameters


def _is_for_health(scope: Scope) -> bool:
    return path_of(scope).rstrip("/") == HEALTH and scope["method"] in {"GET", "HEAD"}


def _problem_of(error: Exception) -> Problem:
    # Imported here, because most requests have no error.
    from ports.discovery import DiscoveryError, UnusableIssuerError

    match error:
        case ProblemError():
            return error.problem
        case MalformedRequestError():
            return problem("invalid-request", str(error), status=error.status).problem
        case UnknownClientError():
            return problem("invalid-request", str(error)).problem
        case RemoteSettingsError(retry_after=timedelta() as pause):
            seconds = ceil(pause.total_seconds())
            detail = f"The configuration cannot be read: {error}. Retry in {seconds} s."
            return problem("settings-unavailable", detail, retry_after=seconds).problem
        case SettingsError() | UnusableIssuerError():
            return problem("not-configured", f"Invalid configuration: {error}.").problem
        case DiscoveryError():
            detail = f"Cannot read the provider's metadata: {error}. Check ISSUER; retry in 5 s."
            return problem("provider-unavailable", detail, retry_after=5).problem
        case StoreDamagedError():
            _log.error("the store's data is damaged: %s", error)
            return problem(
                "store-unavailable",
                "The store's data is damaged. Move the file away or put a backup in its place "
                "(docs/sqlite.md).",
                on_page="The store's data is damaged. Ask the operator to restore it.",
                retry_after=2,
            ).problem
        case StoreUnavailableError():
            _log.error("the store is not available: %s", error)
            detail = "The store is unavailable. Retry in 2 s."
            return problem("store-unavailable", detail, retry_after=2).problem
        case UnreadableRecordError():
            _log.error("stored record unreadable: %s", error)
            detail = (
                f"Cannot read the stored record: {error}. Restore the CLIENT_SECRET or "
                "ENCRYPTION_KEYS that encrypted it, or log in again."
            )
            return problem("record-unreadable", detail).problem
        case _:
            _log.error("unexpected error", exc_info=error)
            return problem(
                "unexpected",
                "The application failed. Search its log for the id in `instance`.",
                on_page="The application failed. Ask the operator to search its log.",
            ).problem


def _problem_response(scope: Scope, found: Problem) -> Response:
    path = path_of_endpoint(path_of(scope))
    if path == TOKEN_URL and scope["method"] == "POST":
        from functions.http.oauth_errors import error_response

        return error_response(found)
    request = Request.head(scope)
    response = _in_preferred_form(scope, request, path, found)
    if found.status == HTTPStatus.UNAUTHORIZED and uses_basic(request):
        return replace(response, headers=(*response.headers, BASIC_CHALLENGE))
    return response


def _in_preferred_form(scope: Scope, request: Request, path: str, found: Problem) -> Response:
    accept = b",".join(value for name, value in scope["headers"] if name == b"accept")
    is_own_page = not path.startswith(_FOR_PROGRAMS)
    if (is_own_page or path in _FOR_PEOPLE) and b"text/html" in accept:
        # Programs get no pages, and do not wait for this import.
        from functions.http.problem_pages import problem_page

        leads_on = request.path if is_own_page else None
        return problem_page(found, request_id=_request_id(), leads_on_from=leads_on)
    if request.path.rstrip("/") == TOKEN and request.prefers_text():
        from functions.http.plain_text import problem_as_text

        return problem_as_text(found)
    return found.response(request_id=_request_id())


def _request_id() -> str | None:
    trace = current()
    return trace.request_id if trace else None
