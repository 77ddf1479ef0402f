"""The clients that a sweep leaves alone: their provider is away, or refuses the client.

It must not be asked for each of a hundred thousand connections, and each request of unknown outcome
may cost a login.
"""

import logging
from collections import Counter
from collections.abc import Callable

from domain.grant import Adopting, Authorized, Failure, Grant, Refreshing
from functions.refresh.keeper import QuestionResult
from functions.settings.clients import UnknownClientError

# More in a row than those of a provider that only fails now and then.
MOST_FAILURES = 10
# The others are about the connection, and the provider has answered.
_FAULTS_OF_CLIENT = frozenset(
    {Failure.NOT_SENT, Failure.UNKNOWN, Failure.UNAVAILABLE, Failure.MISCONFIGURED}
)

_log = logging.getLogger(__name__)


class AwayClients:
    """Counts the failures in a row of each client, during one sweep."""

    def __init__(self, client_of: Callable[[str], str | None]) -> None:
        """`client_of` names the client of a connection. It raises UnknownClientError."""
        self._client_of = client_of
        self._failures = Counter[str | None]()

    def has(self, connection: str) -> bool:
        """Whether the client of a connection is away."""
        try:
            return self._failures[self._client_of(connection)] >= MOST_FAILURES
        except UnknownClientError:
            return False

    def add(self, connection: str, result: QuestionResult) -> None:
        """Count the outcome of a refresh, if one has ended."""
        is_fault = _is_fault_of_client(result)
        if is_fault is False:
            self._failures[self._client_of(connection)] = 0
        elif is_fault:
            self.add_fault(connection)

    def add_fault(self, connection: str) -> None:
        """Count a failure that is not about the connection."""
        client = self._client_of(connection)
        self._failures[client] += 1
        if self._failures[client] == MOST_FAILURES:
            _log.warning(
                "sweep: %d refreshes in a row failed for %s or its provider; the next sweep tries "
                "its other connections",
                MOST_FAILURES,
                "the unnamed client" if client is None else f"the client {client!r}",
            )


def _is_fault_of_client(result: QuestionResult) -> bool | None:
    """Whether a refresh failed for its client or provider; None if that is not known."""
    before, after = _tried(result.before), _tried(result.after)
    if result.is_refreshed:
        return False
    if result.after == result.before:
        return None
    if isinstance(after, Refreshing):
        # No answer in the time of a turn. Each request to a provider that hangs may cost a login.
        return True
    failure = _failure(after)
    if failure is Failure.UNEXPLAINED:
        return None
    if failure is Failure.UNAVAILABLE is _failure(before):
        # Maybe the provider fails for this account only. It stays the longest overdue, and the
        # next sweep asks for it first, too: it must not keep that from the others.
        return None
    return failure in _FAULTS_OF_CLIENT


def _tried(grant: Grant) -> Grant:
    """Return the grant whose refresh token is sent."""
    return grant.grant if isinstance(grant, Adopting) else grant


def _failure(grant: Grant) -> Failure | None:
    state = grant.failure_state if isinstance(grant, Authorized) else None
    return None if state is None else state.failure
