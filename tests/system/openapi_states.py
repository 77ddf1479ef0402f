"""States that answers depend on, made by the store or the simulated provider before a request."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count, cycle, islice
from typing import TypeAlias

from domain.grant import (
    Attempt,
    AuthorizationRequired,
    Authorized,
    Cause,
    Failure,
    FailureState,
    Moved,
    Refreshing,
)
from domain.ledger import Entry, HistoryEvent
from domain.outcomes import OUTCOMES
from domain.tokens import Freshness
from tests.functions.deployment import Deployment, query_of
from tests.functions.grants import DAY, OVER, authorized, fresh, over

Prepare: TypeAlias = Callable[[Deployment, str], object]
"""Bring a connection into a state."""
Query: TypeAlias = dict[str, str]

_later_states = count()


def _put_refused(deployment: Deployment, connection: str) -> None:
    # Another client, so the provider is asked once more. It refuses the unknown token.
    grant = AuthorizationRequired(
        tokens=over().tokens,
        cause=Cause.REFRESH_TOKEN_REJECTED,
        client="another client",
        since=datetime.now(UTC),
    )
    deployment.put(connection, grant)


def _put_setback(failure: Failure) -> Prepare:
    """Let the last refresh have failed, and the next one be an hour off."""

    def put(deployment: Deployment, connection: str) -> None:
        now = datetime.now(UTC)
        failure_state = FailureState(
            failures=1,
            failure=failure,
            at=now,
            retry_at=now + timedelta(hours=1),
            in_doubt_since=now if failure is Failure.UNKNOWN else None,
        )
        deployment.put(connection, replace(over(), failure_state=failure_state))

    return put


def _renewable(deployment: Deployment, connection: str) -> None:
    """Let the access token have expired; the provider knows the refresh token."""
    grant = deployment.grant(connection)
    if not isinstance(grant, Authorized):
        deployment.log_in(connection)
        grant = deployment.grant(connection)
    assert isinstance(grant, Authorized)
    if grant.tokens.freshness(datetime.now(UTC)) is Freshness.FRESH:
        deployment.age(connection, OVER)


def _put_without_refresh_token(deployment: Deployment, connection: str) -> None:
    ended = datetime.now(UTC) - DAY
    grant = authorized(access_ends=ended, refresh_ends=None, has_refresh_token=False)
    deployment.put(connection, grant)


def _put_dead(deployment: Deployment, connection: str) -> None:
    now = datetime.now(UTC)
    deployment.put(connection, authorized(access_ends=now - DAY, refresh_ends=now))


def _put_without_end(deployment: Deployment, connection: str) -> None:
    """Keep an access token that does not expire."""
    deployment.put(connection, authorized(access_ends=None, refresh_ends=None))


def _put_moved(deployment: Deployment, connection: str) -> None:
    deployment.put(connection, Moved(grant=_with_all(over()), since=datetime.now(UTC)))


def _with_all(grant: Authorized) -> Authorized:
    """Return a grant with all that a provider may send next to the tokens."""
    extra = (("instance_url", "https://a.example"), ("number", 0.5), ("is_sandbox", False))
    tokens = replace(grant.tokens, scope="read", account="a@a.example", extra=extra)
    return replace(grant, tokens=tokens)


def _put_with_history(deployment: Deployment, connection: str) -> None:
    """Put a grant with all that a provider may send, whose history has every event."""
    now = datetime.now(UTC).replace(microsecond=0)
    # As many entries as it takes for each event and each outcome.
    number = max(len(HistoryEvent), len(OUTCOMES))
    generations, keys = cycle((None, 7)), cycle(("ci", None))
    kinds = islice(
        zip(cycle(HistoryEvent), cycle(OUTCOMES), generations, keys, strict=False), number
    )
    ledger = tuple(
        Entry(now, event, generation, key_name, outcome)
        for event, outcome, generation, key_name in kinds
    )
    assert {entry.event for entry in ledger} == set(HistoryEvent)
    deployment.put(connection, _with_all(fresh()), ledger)


def put_refreshing(deployment: Deployment, connection: str) -> None:
    """Let an attempt be in flight that never ends."""
    now, tokens = datetime.now(UTC), over().tokens
    attempt = Attempt(
        id="an attempt",
        authorized_at=tokens.authorized_at,
        generation=tokens.generation,
        client="another client",
        started_at=now,
    )
    deployment.put(connection, Refreshing(tokens=tokens, attempt=attempt, failure_state=None))


STATES: Mapping[str, Prepare] = {
    "never": lambda _deployment, _connection: None,
    "fresh": lambda deployment, connection: deployment.put(connection, fresh()),
    "with-a-history": _put_with_history,
    "without-end": _put_without_end,
    "renewable": _renewable,
    "unknown-to-the-provider": lambda deployment, connection: deployment.put(connection, over()),
    "refused": _put_refused,
    "dead": _put_dead,
    "without-refresh-token": _put_without_refresh_token,
    "moved": _put_moved,
    **{f"after-{failure.value}": _put_setback(failure) for failure in Failure},
}


def callback_as_it_comes(_deployment: Deployment) -> Query:
    """Return the callback of no login."""
    return {}


def good_callback(deployment: Deployment) -> Query:
    """Return the callback after the person agreed."""
    begun = deployment.begin_login(f"logged-in-{next(_later_states)}")
    return query_of(deployment.provider.allow(begun))


def refused_callback(deployment: Deployment) -> Query:
    """Return the callback after the person refused."""
    return query_of(deployment.provider.deny(deployment.begin_login("refused-login")))


def forged_callback(deployment: Deployment) -> Query:
    """A good state with a code that the provider has not given."""
    return {**good_callback(deployment), "code": "a-code-that-nobody-gave"}


def callback_without_provider(deployment: Deployment) -> Query:
    """A good redirect, after which the provider does not answer."""
    query = good_callback(deployment)
    deployment.provider.plan_faults("unavailable")
    return query


def callback_in_another_browser(deployment: Deployment) -> Query:
    """A good redirect of a login that a link began in a browser; this one has not its cookie."""
    begun = deployment.press(deployment.link(f"linked-{next(_later_states)}"))
    return query_of(deployment.provider.allow(begun.headers["location"]))


CALLBACKS = (
    callback_as_it_comes,
    good_callback,
    callback_in_another_browser,
    refused_callback,
    forged_callback,
    callback_without_provider,
)


def link_as_it_comes(_deployment: Deployment) -> Query:
    """Return no link."""
    return {}


def good_link(deployment: Deployment) -> Query:
    """A link that begins a login."""
    return query_of(deployment.link(f"linked-{next(_later_states)}"))


def late_link(deployment: Deployment) -> Query:
    """The same, when somebody else has logged in."""
    connection = f"linked-{next(_later_states)}"
    query = query_of(deployment.link(connection))
    deployment.put(connection, fresh())
    return query


LINKS = (link_as_it_comes, good_link, late_link)
