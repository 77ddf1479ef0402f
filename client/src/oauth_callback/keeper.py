"""The keeper: its endpoints as calls, and its problems as errors."""

from __future__ import annotations

import json
import time
from urllib.parse import urlencode

from oauth_callback.errors import (
    KeeperError,
    KeyRefused,
    LoginNeeded,
    NotConfigured,
    TryLater,
    printable,
)
from oauth_callback.settings import Settings, load_settings
from oauth_callback.tokens import TokenAnswer, read_token
from oauth_callback.transport import Transport

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from oauth_callback.http11 import HttpAnswer

VERSION = "0.1.0"
DEFAULT_TIMEOUT = 30.0
"""Seconds. The keeper itself waits for a slow provider, some 20 seconds at most."""

_OK = range(200, 300)
_REDIRECT = range(300, 400)
_PROBLEM_PREFIX = "urn:oauth-callback:problem:"
_KEY_PROBLEMS = frozenset({"api-key-missing", "api-key-invalid", "key-not-allowed"})
# `record-unreadable` and `not-configured` are 500: an operator has to act.
_CONFIGURATION_PROBLEMS = frozenset({"not-configured", "record-unreadable"})
_TOO_MANY_REQUESTS = 429
_SERVER_ERROR = 500


class KeeperAnswer:
    """The status and the members of an answer. The repr does not contain the members."""

    __slots__ = ("members", "retry_after", "status")

    def __init__(
        self, status: int, members: Mapping[str, Any], *, retry_after: float | None
    ) -> None:
        self.status = status
        self.members = members
        self.retry_after = retry_after

    @property
    def is_success(self) -> bool:
        """Whether the status is 2xx."""
        return self.status in _OK

    @property
    def problem(self) -> str | None:
        """The name of the keeper's problem, or None if the answer is not one."""
        text = self.members.get("type")
        is_problem = isinstance(text, str) and text.startswith(_PROBLEM_PREFIX)
        return str(text)[len(_PROBLEM_PREFIX) :] if is_problem else None

    def __repr__(self) -> str:
        return f"<KeeperAnswer {self.status} {self.problem}>"


class Keeper:
    """Sends requests to one deployment. Threads may share it; it caches nothing.

    Without settings these are looked up, as `load_settings` describes. `timeout` is in seconds.
    """

    def __init__(
        self, settings: Settings | None = None, *, timeout: float = DEFAULT_TIMEOUT
    ) -> None:
        self.settings = load_settings() if settings is None else settings
        self._timeout = timeout
        self._transport = Transport(self.settings.url)

    def token(
        self,
        connection: str | None = None,
        *,
        min_ttl: int | None = None,
        refused: int | None = None,
        timeout: float | None = None,
    ) -> TokenAnswer:
        """Return the current token of a connection, `default` if it is None.

        The token is valid for `min_ttl` seconds, or for half of its lifetime if that is less.
        With `refused`, its generation is newer than this one.

        Raises KeeperError.
        """
        params = {"connection": connection, "min_ttl": min_ttl, "refused": refused}
        asked_at = time.time()
        answer = self.call("GET", "/api/token", params, timeout=timeout)
        return read_token(answer.members, asked_at=asked_at)

    def refresh(self, connection: str | None = None, *, timeout: float | None = None) -> None:
        """Refresh the connection now; the keeper does so once in 10 seconds. Raises KeeperError."""
        self.call("POST", "/api/refresh", {"connection": connection}, timeout=timeout)

    def call(
        self,
        method: str,
        path: str,
        params: Mapping[str, object] | None = None,
        *,
        body: Mapping[str, object] | None = None,
        timeout: float | None = None,
    ) -> KeeperAnswer:
        """Send a request, and return a 2xx answer; see `ask`. Raises KeeperError."""
        answer = self.ask(method, path, params, body=body, timeout=timeout)
        if answer.is_success:
            return answer
        raise error_of(answer, connection=(params or {}).get("connection"))

    def ask(
        self,
        method: str,
        path: str,
        params: Mapping[str, object] | None = None,
        *,
        body: Mapping[str, object] | None = None,
        timeout: float | None = None,
    ) -> KeeperAnswer:
        """Send a request, and return the answer with any status, if it is the keeper's.

        A parameter that is None is left out. The body is sent as JSON.

        Raises TryLater, NotConfigured.
        """
        query = urlencode({k: v for k, v in (params or {}).items() if v is not None})
        headers = {
            "Accept": "application/json",
            "User-Agent": f"oauth-callback-client/{VERSION}",
            "X-Api-Key": self.settings.key(),
        }
        if body is not None:
            headers["Content-Type"] = "application/json"
        received = self._transport.send(
            method,
            f"{path}?{query}" if query else path,
            headers=headers,
            body=None if body is None else json.dumps(body).encode(),
            timeout=self._timeout if timeout is None else timeout,
        )
        return _read(received, self.settings.url)


def error_of(answer: KeeperAnswer, *, connection: object = None) -> KeeperError:
    """Return the error for a problem of the keeper."""
    problem, detail = answer.problem, printable(answer.members.get("detail") or "No details.")
    if problem in {"authorization-required", "not-authorized"}:
        return _login_needed(answer, problem, detail, connection)
    if problem in _KEY_PROBLEMS:
        return KeyRefused(detail, problem=problem)
    can_pass = answer.status >= _SERVER_ERROR and problem not in _CONFIGURATION_PROBLEMS
    if can_pass or answer.status == _TOO_MANY_REQUESTS:
        return TryLater(detail, retry_after=answer.retry_after or 1.0, problem=problem)
    return NotConfigured(detail, problem=problem)


def _login_needed(
    answer: KeeperAnswer, problem: str | None, detail: str, connection: object
) -> LoginNeeded:
    cause, login = answer.members.get("cause"), answer.members.get("login")
    link = login.get("link") if isinstance(login, dict) else None
    # The rest of the detail explains the interface.
    reason = detail.partition(" To log in, ")[0]
    command = "oauth-callback login" + ("" if connection is None else f" {connection}")
    how = f"{reason} Run `{command}`" + (", or open the login link." if link else ".")
    return LoginNeeded(
        how,
        cause=cause if isinstance(cause, str) else None,
        link=link if isinstance(link, str) else None,
        problem=problem,
    )


def _read(received: HttpAnswer, url: str) -> KeeperAnswer:
    """Read an answer of the keeper. Raises TryLater, NotConfigured for another server's."""
    retry_after = _retry_after(received.headers.get("retry-after"))
    try:
        members = json.loads(received.body)
    except (ValueError, RecursionError):
        members = None
    if isinstance(members, dict):
        answer = KeeperAnswer(received.status, members, retry_after=retry_after)
        if answer.is_success or answer.problem is not None:
            return answer
    if received.status >= _SERVER_ERROR or received.status == _TOO_MANY_REQUESTS:
        # A proxy or a platform in front of the keeper.
        raise TryLater(
            f"{url} answers with status {received.status}. The deployment is unavailable; try "
            "later.",
            retry_after=retry_after or 1.0,
        )
    what = "a redirect" if received.status in _REDIRECT else f"status {received.status}"
    raise NotConfigured(
        f"{url} answers with {what}, which is not an answer of the keeper. Set "
        "OAUTH_CALLBACK_URL to the address of the deployment."
    )


def _retry_after(text: str | None) -> float | None:
    """Read RFC 9110 §10.2.3: seconds, or a date. Return None for anything else."""
    if text is None:
        return None
    if text.strip().isdecimal() and len(text) < 10:  # noqa: PLR2004
        return float(text)
    from email.utils import parsedate_to_datetime

    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except (TypeError, ValueError, OverflowError):
        return None
