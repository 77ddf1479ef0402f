"""The facts about a Postgres store's server, as a new connection of this process finds them."""

from collections.abc import Sequence
from typing import Any

import psycopg
from psycopg import AsyncConnection
from psycopg.rows import TupleRow

from adapters.facts_replicas import once_caught_up
from adapters.postgres_address import PostgresAddress
from adapters.postgres_errors import describe
from adapters.postgres_schema import VERSION, read_version
from ports.facts import PostgresFacts, ReplicaFacts, UnreadFact

_SETTINGS = """
SELECT current_setting('synchronous_commit'), current_setting('fsync'),
    current_setting('default_transaction_isolation'),
    pg_is_in_recovery() OR current_setting('transaction_read_only') = 'on', pg_backend_pid()
"""
# Only the primary has a position in its log. A replica has replicas of its own where it cascades.
_WRITTEN = """
SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_receive_lsn()
    ELSE pg_current_wal_flush_lsn() END::text
"""
# No failover leads to the others: backups, logical replication, which is of chosen tables, and
# archives such as pg_receivewal's, which apply nothing.
_REPLICAS = """
SELECT application_name, host(client_addr), state, pg_wal_lsn_diff(%(written)s, flush_lsn),
    pg_wal_lsn_diff(%(written)s, replay_lsn), replay_lag, sync_state IN ('sync', 'quorum')
FROM pg_stat_replication AS sender
WHERE state IS DISTINCT FROM 'backup'
    AND (state IS DISTINCT FROM 'streaming' OR replay_lsn IS NOT NULL)
    AND NOT EXISTS (
        SELECT 1 FROM pg_replication_slots AS slot
        WHERE slot.active_pid = sender.pid AND slot.slot_type = 'logical'
    )
ORDER BY application_name, client_addr, sender.pid
"""
_HIDDEN = UnreadFact(
    "the user may not see the replicas; GRANT pg_read_all_stats to it, which shows no data"
)


async def postgres_facts(url: str, variable: str) -> PostgresFacts | UnreadFact:
    """Read the server's settings and replicas, and the version of the tables."""
    address = PostgresAddress.of(url, variable)
    try:
        async with await AsyncConnection.connect(
            "", autocommit=True, prepare_threshold=None, **address.parameters
        ) as connection:
            found = await (await connection.execute(_SETTINGS)).fetchone()
            if found is None:
                return UnreadFact(f"{address} returned nothing")
            commit, fsync, isolation, is_read_only, process = found
            return PostgresFacts(
                version=await read_version(connection),
                known_version=VERSION,
                is_read_only=is_read_only,
                synchronous_commit=commit,
                fsync=fsync,
                isolation=isolation,
                is_encrypted=connection.pgconn.ssl_in_use,
                # libpq connects to `hostaddr`, and takes `host` for the name in the certificate.
                host=str(address.parameters.get("hostaddr") or address.host),
                # A pooler names a process of its own to its clients.
                has_pooler=process != connection.info.backend_pid,
                replicas=await _replicas(connection),
            )
    except psycopg.Error as error:
        return UnreadFact(f"{address}: {describe(error)}")


async def _replicas(
    connection: AsyncConnection[TupleRow],
) -> tuple[ReplicaFacts, ...] | UnreadFact:
    """Return the replicas, once each has all that is written now, or after the limit."""
    try:
        found = await (await connection.execute(_WRITTEN)).fetchone()
        written = {"written": None if found is None else found[0]}

        async def read() -> tuple[ReplicaFacts, ...] | UnreadFact:
            rows = await (await connection.execute(_REPLICAS, written)).fetchall()
            is_hidden = any(state is None for _, _, state, *_ in rows)
            return _HIDDEN if is_hidden else tuple(map(_replica, rows))

        return await once_caught_up(read)
    except (psycopg.errors.FeatureNotSupported, psycopg.errors.ObjectNotInPrerequisiteState):
        # Amazon Aurora, whose replicas share the storage of the primary, refuses the position of a
        # log, or has one for logical replication only.
        return ()
    except psycopg.DatabaseError as error:
        return UnreadFact(describe(error))


def _replica(row: Sequence[Any]) -> ReplicaFacts:
    name, host, state, missing, unapplied, lag, is_waited_for = row
    return ReplicaFacts(
        name=" at ".join(part for part in (name, host) if part),
        is_streaming=state == "streaming",
        missing=max(0, int(missing or 0)),
        unapplied=max(0, int(unapplied or 0)),
        lag=lag,
        is_waited_for=is_waited_for,
    )
