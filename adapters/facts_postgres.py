"""The facts about a Postgres store's server, as a new connection of this process finds them."""

import psycopg
from psycopg import AsyncConnection

from adapters.postgres_address import PostgresAddress
from adapters.postgres_errors import describe
from adapters.postgres_schema import VERSION, read_version
from ports.facts import PostgresFacts, UnreadFact

_SETTINGS = """
SELECT current_setting('synchronous_commit'), current_setting('fsync'),
    current_setting('default_transaction_isolation'),
    pg_is_in_recovery() OR current_setting('transaction_read_only') = 'on', pg_backend_pid()
"""


async def postgres_facts(url: str, variable: str) -> PostgresFacts | UnreadFact:
    """Read the server's settings and the version of the tables."""
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
                host=address.host,
                # A pooler names a process of its own to its clients.
                has_pooler=process != connection.info.backend_pid,
            )
    except psycopg.Error as error:
        return UnreadFact(f"{address}: {describe(error)}")
