"""Reports what a failover to a replica would lose."""

from collections.abc import Iterator
from datetime import timedelta

from functions.admin.doctor.findings import Finding, ok, unknown, warning
from ports.facts import ReplicaFacts, UnreadFact

_ABOUT = "replication"
# Replicas of Redis report once a second, those of Postgres at least every ten.
_LARGEST_LAG = timedelta(seconds=10)
_SHOWN_LAG = timedelta(seconds=1)
_LOSS = "a failover to it would lose the newest refresh tokens, and with them logins"


def findings_of_replicas(replicas: tuple[ReplicaFacts, ...] | UnreadFact) -> Iterator[Finding]:
    """Report each replica."""
    if isinstance(replicas, UnreadFact):
        yield unknown(_ABOUT, f"unknown whether a replica lags: {replicas.why}")
    else:
        yield from map(_finding_of, replicas)


def _finding_of(replica: ReplicaFacts) -> Finding:
    name = f"the replica {replica.name}"
    if not replica.is_streaming:
        return warning(_ABOUT, f"{name} is not in step: {_LOSS}")
    if replica.missing:
        text = f"{name} lacks {replica.missing} bytes that were written seconds ago"
        return warning(_ABOUT, f"{text}{_lag_in_words(replica.lag)}: {_LOSS}")
    if replica.unapplied:
        text = f"{name} has received all changes, but {replica.unapplied} bytes are not applied"
        return warning(_ABOUT, f"{text}{_lag_in_words(replica.lag)}: a failover to it takes longer")
    if replica.lag is not None and replica.lag > _LARGEST_LAG:
        return warning(_ABOUT, f"{name} is {_seconds(replica.lag)} behind: {_LOSS}")
    if replica.is_waited_for:
        return ok(_ABOUT, f"{name} is in step, and writes wait for it")
    return ok(
        _ABOUT, f"{name} is in step; a failover loses what it has not received at that moment"
    )


def _lag_in_words(lag: timedelta | None) -> str:
    # Postgres keeps the last measurement of a replica that does not respond.
    return f" ({_seconds(lag)} behind)" if lag is not None and lag >= _SHOWN_LAG else ""


def _seconds(lag: timedelta) -> str:
    return f"{lag // timedelta(seconds=1)} s"
