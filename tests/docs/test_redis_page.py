"""docs/redis.md: its rules let the application do all it does, and its URL is accepted."""

import asyncio
import shlex
import tomllib
from datetime import UTC, datetime

import pytest
from redis import Redis

from adapters.facts_redis import redis_facts
from adapters.sealed_records import SealedRecords
from adapters.store_redis import RedisStore
from domain.grant import Unauthorized
from functions.settings.redis_url import redis_url_fault
from ports.store import NO_ETAG
from tests.docs.pages import ROOT, block, first_cells, page
from tests.ports.store_contract import KEYS
from tests.ports.test_store_contract import NOW, PENDING, authorized
from tests.records import record_of
from tests.system.redis_peer import redis_server

PAGE = page("redis.md")
PASSWORD = "of-this-test"


def test_the_user_of_the_page_can_do_all_that_is_needed_and_no_more() -> None:
    commands = block("sh", PAGE, having="ACL SETUSER").replace("PASSWORD", PASSWORD)
    with redis_server() as peer:
        for command in commands.splitlines():
            peer.execute(*shlex.split(command)[1:])
        url = peer.url.replace("//", f"//keeper:{PASSWORD}@")
        with Redis.from_url(f"{peer.url}/3") as other_program:
            other_program.set("oauth-callback:grant:b", "text")
        asyncio.run(use(f"{url}/3"))
        facts = asyncio.run(redis_facts(url))
        assert (facts.eviction_policy, facts.has_append_only_file) == ("noeviction", True)
        assert facts.has_snapshots is False
        used = peer.execute("INFO", "commandstats")
    rules = {word[1:] for word in shlex.split(commands) if word.startswith("+")}
    assert {rule for rule in rules if f"cmdstat_{rule}:" not in used} == set()


async def use(url: str) -> None:
    """Do everything that the port has, also where another program has stored something."""
    store = RedisStore(url, SealedRecords(KEYS))
    one, two = record_of(authorized(1), "one"), record_of(authorized(2), "two")
    await store.swap("b", record_of(Unauthorized(), "one"), expected_etag=NO_ETAG)
    await store.swap("a", one, expected_etag=None)
    await store.swap("a", two, expected_etag="one")
    assert await store.load("a") == two
    assert (await store.list_records(None)).records[0] == ("a", two)
    assert (await store.load_records(["a"])).records == (("a", two),)
    assert {name async for name in store.connections()} == {"a", "b"}
    (due,) = await store.due(None, None, limit=1)
    assert due.connection == "a"
    assert await store.due(due, None, limit=1) == []
    await store.put_login("key", PENDING)
    assert await store.take_login("key", taker="me", now=NOW) == PENDING
    assert await store.count("key", window_ends=datetime.now(UTC)) == 1
    await store.close()


def test_the_parameters_of_the_page_are_those_that_are_accepted() -> None:
    values = {"db": "1", "max_connections": "5", "ssl_ca_data": "x"}
    for name in first_cells("## The URL", PAGE):
        assert redis_url_fault(f"rediss://host?{name}={values.get(name, '.')}") is None
    documented = set(first_cells("## The URL", PAGE))
    fault = redis_url_fault("rediss://host?other=1")
    assert fault is not None
    assert documented == set(fault.partition("Allowed: ")[2].split(", "))


@pytest.mark.parametrize("mark", ["redis.pem", "@127.0.0.1:6379"])
def test_the_urls_of_the_page_are_accepted(mark: str) -> None:
    (line,) = (line for line in PAGE.splitlines() if mark in line)
    url = line.strip().partition("=redis")
    found = f"redis{url[2]}" if line.strip().startswith("REDIS_URL") else line.strip()
    found = found.replace("PORT", "6379").replace("DATABASE", "0")
    assert redis_url_fault(found.replace("/etc/ssl/redis.pem", "/")) is None


def test_the_library_of_the_page_is_the_one_that_is_locked() -> None:
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]
    (requirement,) = groups["redis"]
    assert f'"{requirement}"' in block("toml", PAGE, having="redis==")
