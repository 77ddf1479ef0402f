"""The tables of the Postgres store: their names, their version, and how they are created.

Each step makes one version out of the one before, in one transaction with the version's row. So an
interrupted migration leaves a version that works, and continues from there.
"""

from psycopg import AsyncConnection
from psycopg.rows import TupleRow

CONNECTIONS = "oauth_callback_connections"
LOGINS = "oauth_callback_logins"
COUNTS = "oauth_callback_counts"
SCHEMA = "oauth_callback_schema"

# COLLATE "C": names are compared as bytes, and not by the language of the database.
# EXTERNAL: encrypted texts cannot be compressed, so that trying it is in vain.
_CREATE = f"""
CREATE TABLE {CONNECTIONS} (
    connection text COLLATE "C" PRIMARY KEY,
    etag text NOT NULL,
    sealed text NOT NULL,
    due_at timestamptz
);
ALTER TABLE {CONNECTIONS} ALTER COLUMN sealed SET STORAGE EXTERNAL;
CREATE INDEX {CONNECTIONS}_due ON {CONNECTIONS} (due_at, connection) WHERE due_at IS NOT NULL;
CREATE TABLE {LOGINS} (
    key text COLLATE "C" PRIMARY KEY,
    sealed text NOT NULL,
    expires_at timestamptz NOT NULL,
    taker text
);
CREATE INDEX {LOGINS}_expiry ON {LOGINS} (expires_at);
CREATE TABLE {COUNTS} (
    key text COLLATE "C",
    window_ends timestamptz,
    number bigint NOT NULL,
    PRIMARY KEY (key, window_ends)
);
CREATE INDEX {COUNTS}_ends ON {COUNTS} (window_ends);
CREATE TABLE {SCHEMA} (
    is_only_row boolean PRIMARY KEY DEFAULT true CHECK (is_only_row),
    version integer NOT NULL
);
INSERT INTO {SCHEMA} (version) VALUES (0);
"""  # noqa: S608 - constants
STEPS = (_CREATE,)
"""The statements that make version 1, 2 and so on."""
VERSION = len(STEPS)
"""The version of the tables that this software uses."""

# Any number that other programs are unlikely to use.
_LOCK = 0x6F617574685F6362
# For another migration. No statement of a request takes longer than seconds.
_LOCK_TIMEOUT = "60s"
_TRANSACTION_LIMITS = """
SELECT set_config('lock_timeout', %s, true), set_config('statement_timeout', '0', true)
"""


class NewerSchemaError(Exception):
    """A later version of this software has created the tables."""

    def __init__(self, version: int) -> None:
        super().__init__(
            f"its tables have version {version}, and this software knows versions up to {VERSION}: "
            "update the software"
        )


async def read_version(connection: AsyncConnection[TupleRow]) -> int:
    """Return the version of the tables; 0 without tables. Raises psycopg.Error."""
    # By search_path, as the statements of requests find their tables.
    there = await (await connection.execute("SELECT to_regclass(%s)", [SCHEMA])).fetchone()
    if there is None or there[0] is None:
        return 0
    found = await (await connection.execute(f"SELECT version FROM {SCHEMA}")).fetchone()  # noqa: S608 - a constant
    return 0 if found is None else int(found[0])


async def migrate(connection: AsyncConnection[TupleRow]) -> tuple[int, int]:
    """Bring the tables to this version. Return the versions before and after.

    Several migrations at once take turns, and each step is made once.

    Raises NewerSchemaError, psycopg.Error.
    """
    before, after = await _step(connection)
    while after < VERSION:
        _, after = await _step(connection)
    return before, after


async def _step(connection: AsyncConnection[TupleRow]) -> tuple[int, int]:
    """Make the next step, if there is one. Return the versions before and after."""
    async with connection.transaction():
        await connection.execute(_TRANSACTION_LIMITS, [_LOCK_TIMEOUT])
        # It ends with the transaction. A lock of the session would stay at a pooler's connection.
        await connection.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
        version = await read_version(connection)
        if version > VERSION:
            raise NewerSchemaError(version)
        if version == VERSION:
            return version, version
        await connection.execute(STEPS[version].encode())
        await connection.execute(f"UPDATE {SCHEMA} SET version = %s", [version + 1])  # noqa: S608 - a constant
        return version, version + 1
