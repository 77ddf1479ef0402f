"""The metrics of connections and of the deployment, from what the store holds.

An instant is a metric, not the time since or until it: any instance then returns the same, and
`time()` in a query has the difference.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TypeAlias

from domain.grant import Cause, Moved, tokens_of
from domain.ledger import DONE, FAILED, INCOMPLETE
from domain.tokens import Tokens
from functions.alerts.deployment import DeploymentStatus
from functions.endpoints.overview import UNREADABLE, Row
from ports.metrics import Family, MetricType, Sample

PREFIX = "oauth_callback_"
SWEEP_OUTCOMES = (DONE, FAILED, INCOMPLETE)

_Labels: TypeAlias = Mapping[str, str]
_Labelled: TypeAlias = Sequence[tuple[Row, _Labels]]

# Nobody has used the connection yet, or its owner has ended it: an alert would never end.
_EXPECTED = frozenset({Cause.NEVER_AUTHORIZED.value, Cause.REVOKED.value})
_LOGIN_CAUSES = frozenset(cause.value for cause in Cause) - _EXPECTED
_INSTANTS: Sequence[tuple[str, str, Callable[[Tokens], datetime | None]]] = (
    (
        "access_token_expiry",
        "When the access token expires. Without a sample it does not expire.",
        lambda tokens: tokens.expires_at,
    ),
    (
        "refresh_token_expiry",
        "When the refresh token expires, unless a refresh replaces it before.",
        lambda tokens: tokens.refresh_token_expires_at,
    ),
    (
        "login_expiry",
        "When a new login is required at the latest. No refresh extends it.",
        lambda tokens: tokens.login_end,
    ),
    (
        "tokens_issued",
        "When the provider issued the tokens, by a login or the last successful refresh.",
        lambda tokens: tokens.issued_at,
    ),
)


def build_family(version: str) -> Family:
    """Return the version that runs."""
    return _info("build", "The version of oauth-callback.", [Sample(labels={"version": version})])


def connection_families(rows: Sequence[Row], now: datetime) -> Iterator[Family]:
    """Yield the metrics of connections."""
    labelled = [(row, _labels(row)) for row in rows]
    yield _info(
        "connection",
        "The provider of the connection, and its state as in GET /api/verify.",
        [Sample(labels={**own, **_details(row)}) for row, own in labelled],
    )
    yield from _needs(labelled, now)
    for name, text, instant_of in _INSTANTS:
        yield _timestamps(name, text, _instants(labelled, instant_of))
    yield _refreshes(labelled)
    yield _gauge(
        "alerts_owed",
        "Alerts of the connection that a channel has not accepted yet.",
        [Sample(labels=own, value=_owed(row)) for row, own in labelled],
    )
    yield _gauge(
        "unreadable_records",
        "Connections whose stored record cannot be read.",
        [Sample(labels={}, value=sum(row.state == UNREADABLE for row in rows))],
    )


def deployment_families(status: DeploymentStatus) -> Iterator[Family]:
    """Yield the metrics of the sweep, and of the deployment's own alerts."""
    at, last = status.sweep_ended_at, status.sweep_outcome
    yield _timestamps(
        "sweep_end",
        "When the last sweep ended. Before the first one there is no sample.",
        [] if at is None else [_instant({}, at)],
    )
    yield _gauge(
        "sweep_outcome",
        "1 for the outcome of the last sweep, 0 for the others.",
        [
            Sample(labels={"outcome": each}, value=each == last)
            for each in (SWEEP_OUTCOMES if last is not None else ())
        ],
    )
    yield _gauge(
        "deployment_alerts_owed",
        "Alerts of the deployment itself that a channel has not accepted yet.",
        [Sample(labels={}, value=status.alerts_owed)],
    )


def channel_families(status: DeploymentStatus) -> Iterator[Family]:
    """Yield the metrics of the channels."""
    yield _timestamps(
        "channel_last_delivery",
        "When the last alert was sent to the channel before the last sweep ended, by its outcome.",
        [
            _instant({"channel": name, "outcome": last.outcome}, last.at)
            for name, last in sorted(status.channels.items())
        ],
    )


def _labels(row: Row) -> _Labels:
    return {"connection": row.connection, "client": row.client or ""}


def _details(row: Row) -> _Labels:
    return {"provider": row.provider or "", "state": row.state}


def _needs(labelled: _Labelled, now: datetime) -> Iterator[Family]:
    yield _gauge(
        "connection_action_required",
        "1 if a person must act, with the cause as in GET /api/verify, else 0.",
        [
            Sample(labels={**own, "cause": str(row.members["cause"] or "")}, value=row.needs_action)
            for row, own in labelled
        ],
    )
    yield _gauge(
        "connection_login_needed",
        "1 if the connection had a login and needs another one, else 0.",
        [Sample(labels=own, value=_needs_login(row, now)) for row, own in labelled],
    )


def _needs_login(row: Row, now: datetime) -> bool:
    tokens = _tokens(row)
    if row.members["cause"] == Cause.REFRESH_TOKEN_MISSING.value and tokens is not None:
        # The token serves until it expires.
        return not tokens.is_access_token_valid(now)
    return row.members["cause"] in _LOGIN_CAUSES


def _tokens(row: Row) -> Tokens | None:
    """Return the tokens; None for a connection that moved: another deployment refreshes them."""
    grant = None if row.record is None else row.record.grant
    return None if grant is None or isinstance(grant, Moved) else tokens_of(grant)


def _instants(
    labelled: _Labelled, instant_of: Callable[[Tokens], datetime | None]
) -> Sequence[Sample]:
    held = ((own, tokens) for row, own in labelled if (tokens := _tokens(row)) is not None)
    dated = ((own, instant_of(tokens)) for own, tokens in held)
    return [_instant(own, at) for own, at in dated if at is not None]


def _refreshes(labelled: _Labelled) -> Family:
    return Family(
        name=f"{PREFIX}refreshes",
        type=MetricType.COUNTER,
        help="Refreshes of the connection by outcome, as in the history of GET /api/verify.",
        samples=[
            Sample(labels={**own, "outcome": outcome}, value=number)
            for row, own in labelled
            if row.record is not None
            for outcome, number in sorted(row.record.refreshes.items())
        ],
    )


def _owed(row: Row) -> int:
    return 0 if row.record is None or row.record.alerts is None else len(row.record.alerts.owed)


def _instant(labels: _Labels, at: datetime) -> Sample:
    return Sample(labels=labels, value=at.timestamp())


def _timestamps(name: str, text: str, samples: Sequence[Sample]) -> Family:
    return _gauge(f"{name}_timestamp_seconds", text, samples, unit="seconds")


def _gauge(name: str, text: str, samples: Sequence[Sample], *, unit: str = "") -> Family:
    name = f"{PREFIX}{name}"
    return Family(name=name, type=MetricType.GAUGE, help=text, unit=unit, samples=samples)


def _info(name: str, text: str, samples: Sequence[Sample]) -> Family:
    return Family(name=f"{PREFIX}{name}", type=MetricType.INFO, help=text, samples=samples)
