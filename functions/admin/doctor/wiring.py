"""The composition root of `doctor`: adapters besides those of requests."""

from typing import assert_never

from adapters.facts_sqlite import sqlite_facts
from adapters.facts_upstash import upstash_facts
from adapters.sealed_records import SealedRecords
from adapters.sealing import KeyRing
from adapters.web_httpx import HttpxWeb
from functions.settings.settings import Settings
from functions.settings.store import (
    DynamoDbSettings,
    PostgresSettings,
    RedisSettings,
    SqliteSettings,
    StoreSettings,
    UpstashSettings,
)
from functions.wiring import keys_of, store_of
from ports.facts import StoreFacts, UnreadFact
from ports.store import Store
from ports.web import Web


async def store_facts(settings: StoreSettings) -> StoreFacts | UnreadFact:
    """Return the facts of the store's kind; call it before the store is opened. Raises OSError."""
    match settings:
        case DynamoDbSettings(table=table, region=region):
            # Imported here: only this store requires AWS's SDK.
            from adapters.facts_dynamodb import dynamodb_facts

            return await dynamodb_facts(table, region_name=region)
        case RedisSettings(url=url):
            # Imported here: only this store requires redis-py.
            from adapters.facts_redis import redis_facts

            return await redis_facts(url)
        case PostgresSettings(url=url, variable=variable):
            # As above, psycopg.
            from adapters.facts_postgres import postgres_facts

            return await postgres_facts(url, variable)
        case SqliteSettings(path=path):
            return sqlite_facts(path)
        case UpstashSettings(url=url, token=token):
            return await upstash_facts(url, token)
        case _:
            assert_never(settings)


def store_by_first_key(settings: Settings) -> Store:
    """Return the store with the first key only."""
    return store_of(settings.store, SealedRecords(KeyRing(keys_of(settings)[:1])))


def web() -> Web:
    """Return the client for other servers."""
    return HttpxWeb()
