"""The settings of a Redis by TCP, as findings."""

from collections.abc import Iterator

from functions.admin.doctor.findings import Finding, fault, ok, unknown, warning
from functions.admin.doctor.replicas import findings_of_replicas
from ports.facts import RedisServerFacts, UnreadFact

_ABOUT = "REDIS_URL"


def findings_of_redis_server(facts: RedisServerFacts) -> Iterator[Finding]:
    """Report eviction, persistence, replication and encryption."""
    yield _findings_of_eviction(facts.eviction_policy)
    yield _findings_of_persistence(facts)
    yield from _findings_of_replication(facts)
    if not facts.is_encrypted:
        yield warning(
            _ABOUT,
            "the connection has no TLS and leaves this machine: its network can read the password. "
            "Use rediss://",
        )


def _findings_of_eviction(policy: str | UnreadFact) -> Finding:
    match policy:
        case UnreadFact(why=why):
            return unknown("eviction", f"the server does not show its maxmemory-policy ({why})")
        case "noeviction":
            return ok("eviction", "the server evicts nothing (noeviction)")
        case str() if policy.startswith("volatile-"):
            return warning(
                "eviction",
                f"the policy is {policy}, which may evict unfinished logins when memory is short: "
                "set maxmemory-policy noeviction",
            )
        case _:
            return warning(
                "eviction",
                f"the policy is {policy}, which may evict grants when memory is short, so that "
                "logins are lost: set maxmemory-policy noeviction",
            )


def _findings_of_persistence(facts: RedisServerFacts) -> Finding:
    about = "persistence"
    if facts.has_append_only_file is True:
        return ok(about, "the server writes each change to its disk (appendonly)")
    if facts.has_snapshots is True:
        return warning(
            about,
            "the server saves snapshots only: a crash loses the tokens since the last one, so that "
            "logins are lost. Set appendonly yes",
        )
    for fact in (facts.has_append_only_file, facts.has_snapshots):
        if isinstance(fact, UnreadFact):
            return unknown(
                about, f"unknown whether a restart of the server keeps its data: {fact.why}"
            )
    return warning(
        about,
        "the server keeps its data in memory only: a restart loses every login. Set appendonly yes",
    )


def _findings_of_replication(facts: RedisServerFacts) -> Iterator[Finding]:
    if isinstance(facts.is_replica, UnreadFact):
        # INFO shows both.
        yield unknown(_ABOUT, f"unknown whether this is a replica: {facts.is_replica.why}")
        return
    if facts.is_replica:
        yield fault(_ABOUT, "this is a replica: use the address of the primary")
    yield from findings_of_replicas(facts.replicas)
    if not isinstance(facts.replicas, UnreadFact):
        yield from _findings_of_least(len(facts.replicas), facts.least_replicas)


def _findings_of_least(number: int, least: str | UnreadFact) -> Iterator[Finding]:
    if number and least == "0":
        yield ok(
            "replication",
            "min-replicas-to-write is 0: a primary that is cut off from its replicas confirms "
            "tokens which a failover loses. With 1, it refuses them after some seconds",
        )
