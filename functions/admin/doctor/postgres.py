"""Reports what the doctor found out about a Postgres store."""

from collections.abc import Iterator

from domain.metadata import is_loopback
from functions.admin.doctor.findings import Finding, fault, ok, warning
from functions.admin.doctor.replicas import findings_of_replicas
from ports.facts import PostgresFacts, UnreadFact

_ABOUT = "Postgres"
# The folder of a socket, and a socket without a file.
_SOCKETS = ("/", "@")
_MIGRATE = "run python -m functions.admin migrate"


def findings_of_postgres(facts: PostgresFacts) -> Iterator[Finding]:
    """Report the server's settings, and the version of the tables."""
    yield _findings_of_version(facts)
    if facts.is_read_only:
        yield fault(
            _ABOUT,
            "the server is read-only, such as a replica: every refresh fails. Use the address of "
            "the primary",
        )
    if facts.fsync == "off":
        yield warning(_ABOUT, "fsync is off: a crash of the server may lose every login")
    if facts.synchronous_commit == "off":
        yield warning(
            _ABOUT,
            "synchronous_commit is off: grants are written with it on all the same, but logins in "
            "progress may be lost in a crash",
        )
    if facts.isolation != "read committed":
        yield warning(
            _ABOUT,
            f"default_transaction_isolation is {facts.isolation}, so that concurrent writes fail "
            "and are repeated: set it to read committed for this user",
        )
    if not facts.is_encrypted and not _stays_here(facts.host):
        yield warning(
            _ABOUT,
            f"the connection to {facts.host} is not encrypted: add sslmode=verify-full or "
            "sslmode=require to the URL",
        )
    yield from findings_of_replicas(facts.replicas)
    if facts.synchronous_commit == "local" and _has_synchronous(facts):
        yield warning(
            _ABOUT,
            "synchronous_commit is local, so that writes do not wait for the synchronous replica: "
            "a failover to it may lose the newest refresh tokens. Set it to on for this user",
        )
    if facts.has_pooler:
        yield ok(_ABOUT, "a pooler is in between; its transaction mode is supported")


def _findings_of_version(facts: PostgresFacts) -> Finding:
    if facts.version == facts.known_version:
        return ok(_ABOUT, f"version {facts.version} of the tables")
    if facts.version > facts.known_version:
        return fault(
            _ABOUT,
            f"the tables have version {facts.version}, and this software knows versions up to "
            f"{facts.known_version}: update it",
        )
    if not facts.version:
        return fault(_ABOUT, f"there are no tables: {_MIGRATE}")
    return fault(_ABOUT, f"the tables have version {facts.version}: {_MIGRATE}")


def _has_synchronous(facts: PostgresFacts) -> bool:
    replicas = facts.replicas
    return not isinstance(replicas, UnreadFact) and any(each.is_waited_for for each in replicas)


def _stays_here(hosts: str) -> bool:
    """Whether all hosts of a list are this machine."""
    return all(host.startswith(_SOCKETS) or is_loopback(host) for host in hosts.split(","))
