"""Creates and migrates the tables of the Postgres store, by a connection of its own."""

import psycopg
from psycopg import AsyncConnection

from adapters.postgres_address import PostgresAddress
from adapters.postgres_errors import store_error
from adapters.postgres_schema import NewerSchemaError, migrate
from ports.store import StoreUnavailableError


async def migrate_database(url: str, variable: str) -> tuple[int, int]:
    """Bring the tables to this version. Return the versions before and after; 0 is none.

    Raises StoreUnavailableError.
    """
    address = PostgresAddress.of(url, variable)
    try:
        async with await AsyncConnection.connect(
            "", autocommit=True, prepare_threshold=None, **address.parameters
        ) as connection:
            return await migrate(connection)
    except psycopg.Error as error:
        raise store_error(error, str(address)) from error
    except NewerSchemaError as error:
        raise StoreUnavailableError(f"{address}: {error}") from error
