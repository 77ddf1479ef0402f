"""The tables of the Postgres store: created once, by steps that can be interrupted."""

import asyncio

import pytest

from adapters import postgres_schema
from adapters.postgres_schema import CONNECTIONS, SCHEMA, VERSION
from adapters.postgres_setup import migrate_database
from ports.store import StoreUnavailableError
from tests.ports.store_contract import PostgresDatabase, postgres
from tests.ports.test_store_contract import authorized
from tests.records import record_of

# ruff: noqa: S608 - the statements are the tests' own

pytestmark = pytest.mark.anyio

ONE_MORE = f"ALTER TABLE {CONNECTIONS} ADD COLUMN more text"
ANOTHER = f"ALTER TABLE {CONNECTIONS} ADD COLUMN another text"


@pytest.fixture
def url() -> str:
    return postgres().new_database(is_empty=True)


async def migrate(url: str) -> tuple[int, int]:
    return await migrate_database(url, "DATABASE_URL")


async def test_tables_are_created_once_by_several_migrations_at_the_same_time(url: str) -> None:
    results = await asyncio.gather(*(migrate(url) for _ in range(5)))
    assert sorted(results) == [(0, VERSION)] + [(VERSION, VERSION)] * 4
    assert await migrate(url) == (VERSION, VERSION)
    store = PostgresDatabase(url).open()
    await store.swap("a", record_of(authorized(1), "one"), expected_etag=None)
    assert (await store.load("a")).etag == "one"
    await store.close()


async def test_an_interrupted_migration_goes_on_from_its_last_step(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = (*postgres_schema.STEPS, ONE_MORE, f"{ANOTHER}; SELECT 1 / 0")
    monkeypatch.setattr(postgres_schema, "STEPS", steps)
    monkeypatch.setattr(postgres_schema, "VERSION", len(steps))
    with pytest.raises(StoreUnavailableError):
        await migrate(url)
    assert postgres().execute(f"SELECT version FROM {SCHEMA}", url=url) == [(VERSION + 1,)]
    monkeypatch.setattr(postgres_schema, "STEPS", (*steps[:-1], ANOTHER))
    # A column that is there would be an error.
    assert await migrate(url) == (VERSION + 1, VERSION + 2)


async def test_tables_of_a_later_version_are_refused_and_stay(url: str) -> None:
    await migrate(url)
    postgres().execute(f"UPDATE {SCHEMA} SET version = 99", url=url)
    with pytest.raises(StoreUnavailableError, match=r"version 99, and this .* up to \d+: update"):
        await migrate(url)
    assert postgres().execute(f"SELECT version FROM {SCHEMA}", url=url) == [(99,)]
