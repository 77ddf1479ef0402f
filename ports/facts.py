"""Facts about a store's setup, for the doctor. This module makes no judgement of them."""

from dataclasses import dataclass
from datetime import timedelta
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class UnreadFact:
    """A fact that could not be read, and why."""

    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SqliteFacts:
    """The state of the file on the disk.

    `exists`: False if the file is missing or empty. Then only the folder's facts are set.
    `accessible_parts`: the parts (`file`, `-wal`, `-shm`) that other users than the owner can
    access.
    `is_on_disk`: False if the folder is in memory, and lost when the machine restarts.
    """

    exists: bool
    folder_is_writable: bool
    is_database: bool = False
    is_in_wal_mode: bool = False
    accessible_parts: tuple[str, ...] = ()
    is_on_disk: bool = True


@dataclass(frozen=True, slots=True)
class RedisFacts:
    """The policy by which the database evicts keys when its memory is full."""

    eviction_policy: str | UnreadFact


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaFacts:
    """A replica of a server, as its primary sees it.

    `name`: its address, or what it calls itself. `is_streaming`: whether it gets each change.
    `missing`: the bytes of changes that it still lacks, seconds after the primary wrote them.
    `unapplied`: the bytes of changes that its readers do not see yet; those that are missing, too.
    `lag`: how far behind it is, by the primary's own measurement; None if that has none.
    `is_waited_for`: whether the primary confirms a change only when this replica has it.
    """

    name: str
    is_streaming: bool
    missing: int
    unapplied: int
    lag: timedelta | None
    is_waited_for: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisServerFacts:
    """The setup of a Redis by TCP.

    `eviction_policy`: as in `RedisFacts`.
    `has_append_only_file`: whether it writes each change to its disk (`appendonly`).
    `has_snapshots`: whether it saves snapshots from time to time (`save`).
    `is_replica`: whether it is a replica, which refuses writes.
    `least_replicas`: without that many replicas it refuses writes (`min-replicas-to-write`).
    `is_encrypted`: whether the connection has TLS, or stays on this machine.
    """

    eviction_policy: str | UnreadFact
    has_append_only_file: bool | UnreadFact
    has_snapshots: bool | UnreadFact
    is_replica: bool | UnreadFact
    replicas: tuple[ReplicaFacts, ...] | UnreadFact
    least_replicas: str | UnreadFact
    is_encrypted: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class DynamoDbFacts:
    """The table's setup.

    `schema_fault`: the first difference from the schema that the store needs; None if it fits.
    `has_listing`: whether it has the index that lists connections.
    `has_time_to_live`: whether its time to live removes logins and counts.
    `has_point_in_time_recovery`: whether point-in-time recovery is on.
    """

    schema_fault: str | UnreadFact | None
    has_listing: bool | UnreadFact
    has_time_to_live: bool | UnreadFact
    has_point_in_time_recovery: bool | UnreadFact


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresFacts:
    """The state of the server and the tables.

    `version`: that of the tables; 0 without tables. `known_version`: that of this software.
    `is_read_only`: whether it is a replica, or refuses writes otherwise.
    `synchronous_commit`, `fsync`, `isolation`: the settings of new connections.
    `host`: where it connects to: a host, the folder of a socket, or a list of these with commas.
    `has_pooler`: whether a pooler such as pgbouncer is in between.
    `replicas`: its physical replicas that are connected.
    """

    version: int
    known_version: int
    is_read_only: bool
    synchronous_commit: str
    fsync: str
    isolation: str
    is_encrypted: bool
    host: str
    has_pooler: bool
    replicas: tuple[ReplicaFacts, ...] | UnreadFact


StoreFacts: TypeAlias = DynamoDbFacts | PostgresFacts | RedisFacts | RedisServerFacts | SqliteFacts
