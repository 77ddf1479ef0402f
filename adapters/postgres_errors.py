"""Translates errors of Postgres into one line that says what happened, and what to do."""

import psycopg

from ports.store import StoreUnavailableError

_MIGRATE = "run python -m functions.admin migrate"
# https://www.postgresql.org/docs/current/errcodes-appendix.html
_MEANINGS = {
    # The division in `postgres_pool`, on purpose.
    "22012": f"its tables have a later version than this software knows: update the software, or "
    f"{_MIGRATE} to see both versions",
    "25006": "the server is read-only, such as a replica: use the address of the primary",
    "28000": "the server refuses the user",
    "28P01": "the server refuses the user or the password",
    "3D000": "the database does not exist",
    "3F000": f"the tables are missing: {_MIGRATE}",
    "42P01": f"the tables are missing: {_MIGRATE}",
    "42703": f"the tables have another form: {_MIGRATE}",
    "42501": "the user lacks a permission",
    "53100": "the server's disk is full",
    "53300": "the server has too many connections",
    "55P03": "another transaction holds a lock on the row or the table for too long",
    "57014": "no answer in time",
    "57P01": "the server is shutting down",
    "57P02": "the server has crashed and restarts",
    "57P03": "the server is starting or shutting down",
}
_READ_ONLY = "25006"
# The end of a transaction that another one disturbed, and of a connection.
_REPEATABLE = frozenset({"40001", "40P01", "57P01", "57P02", "57P03", "57P05"})
_LONGEST = 300


def store_error(error: Exception, where: str) -> StoreUnavailableError:
    """Return the store's error. `where` names the database and its variable, no password."""
    return StoreUnavailableError(f"{where}: {describe(error)}")


def describe(error: Exception) -> str:
    """Return an error's meaning and the server's own text, on one line."""
    state = getattr(error, "sqlstate", None)
    said = error.diag.message_primary if isinstance(error, psycopg.Error) else None
    text = " ".join((said or str(error) or type(error).__name__).split())[:_LONGEST]
    meaning = _MEANINGS.get(state or "")
    return text if meaning is None else f"{meaning} ({text}, SQLSTATE {state})"


def may_be_repeated(error: psycopg.Error) -> bool:
    """Whether the same statements may succeed on another connection."""
    return error.sqlstate in _REPEATABLE or (
        error.sqlstate is None and isinstance(error, psycopg.OperationalError)
    )


def ends_connection(error: psycopg.Error) -> bool:
    """Whether the connection is of no further use."""
    # After a failover the address leads to the new primary, for new connections only.
    return error.sqlstate == _READ_ONLY or may_be_repeated(error)
