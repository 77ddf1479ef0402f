"""`migrate`: creates the tables of a Postgres store, or brings them to this version."""

from argparse import ArgumentParser, Namespace

from functions.admin.command import Command, describe_store
from functions.wiring import Wiring, migrate_store

_DESCRIPTION = """\
Creates the tables of a Postgres store (DATABASE_URL, POSTGRES_URL), or brings those of an earlier
version to this one. Run it before the first start, and before each update that needs it.

It can be run again, several times at once, and after an interruption. It loses nothing, and needs
no downtime. Other stores need no migration."""


async def run(wiring: Wiring, _options: Namespace) -> str | None:
    """Migrate. Raises StoreUnavailableError."""
    print(await migration(wiring))
    return None


async def migration(wiring: Wiring) -> str:
    """Migrate the store and describe what happened. Raises StoreUnavailableError."""
    store = wiring.settings.store
    versions = await migrate_store(store)
    if versions is None:
        return f"Nothing to do: {describe_store(store)} needs no migration."
    before, after = versions
    if before == after:
        return f"Nothing to do: {describe_store(store)} has version {after} of the tables."
    if not before:
        return f"Created version {after} of the tables in {describe_store(store)}."
    return f"Migrated {describe_store(store)} from version {before} of the tables to {after}."


def _declare(_parser: ArgumentParser) -> None:
    """Declare nothing: it needs no options."""


COMMAND = Command(
    summary="create or migrate the tables of a Postgres store",
    description=_DESCRIPTION,
    declare=_declare,
    run=run,
    may_create_store=True,
)
