"""The Postgres store on a real server: contention, lost connections, limits and refusals."""

import asyncio
import os
import re
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest

from adapters import postgres_pool, store_postgres
from adapters.postgres_address import PostgresAddress
from adapters.postgres_schema import CONNECTIONS, SCHEMA
from adapters.store_postgres import PostgresStore
from ports.store import ConflictError, StoreUnavailableError, UnreadableRecordError
from tests.patience import PATIENCE
from tests.ports.store_contract import PostgresDatabase, pooler, postgres
from tests.ports.test_store_contract import NOW, authorized
from tests.records import record_of
from tests.system.postgres_peer import PASSWORD, PostgresPeer, postgres_server

# ruff: noqa: S608 - the statements are the tests' own

pytestmark = pytest.mark.anyio

ONE, TWO, THREE = (record_of(authorized(n), name) for n, name in enumerate(("one", "two", "three")))
FORCED = [f"SET enable_{way} = off" for way in ("seqscan", "bitmapscan", "sort")]
RECORD_SETTING = f"""
CREATE TABLE seen (setting text);
CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
INSERT INTO seen VALUES (current_setting('synchronous_commit')); RETURN NEW; END $$;
CREATE TRIGGER see BEFORE INSERT OR UPDATE ON {CONNECTIONS} FOR EACH ROW EXECUTE FUNCTION see()
"""
LOCK = f"SELECT 1 FROM {CONNECTIONS} FOR UPDATE"
BACKENDS = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"


@pytest.fixture(scope="module")
def peer() -> PostgresPeer:
    return postgres()


@pytest.fixture
def url(peer: PostgresPeer) -> str:
    return peer.new_database()


def opened(url: str) -> PostgresStore:
    store = PostgresDatabase(url).open()
    assert isinstance(store, PostgresStore)
    return store


@pytest.fixture
async def store(url: str) -> AsyncIterator[PostgresStore]:
    store = opened(url)
    yield store
    await store.close()


@contextmanager
def transaction(url: str, *statements: str) -> Iterator[psycopg.Connection]:
    """Run statements as another program, in a transaction that it commits at the end."""
    with psycopg.connect(url) as other:
        for statement in statements:
            other.execute(statement.encode())
        yield other


async def eventually(peer: PostgresPeer, url: str, condition: str) -> None:
    """Wait until the server has a connection of this kind."""
    async with asyncio.timeout(PATIENCE.total_seconds()):
        while not peer.execute(f"SELECT 1 {BACKENDS} AND {condition}", url=url):  # noqa: ASYNC110 - the server reports no such event
            await asyncio.sleep(0.01)


# Calls wait until then for a server that comes back.
SHORT = timedelta(seconds=2)
WAITS = "wait_event_type = 'Lock'"


# Contention


async def test_a_swap_that_waited_for_another_is_judged_by_its_record(
    peer: PostgresPeer, url: str, store: PostgresStore
) -> None:
    await store.swap("a", ONE, expected_etag=None)
    with transaction(url, LOCK) as other:
        swap = asyncio.create_task(store.swap("a", TWO, expected_etag="one"))
        await eventually(peer, url, WAITS)
        sealed = store._records.seal_record("a", THREE)
        other.execute(f"UPDATE {CONNECTIONS} SET etag = 'three', sealed = %s".encode(), [sealed])
    with pytest.raises(ConflictError) as caught:
        await swap
    assert caught.value.current == THREE


async def test_a_first_swap_that_waited_for_another_is_judged_by_its_record(
    peer: PostgresPeer, url: str, store: PostgresStore
) -> None:
    insert = f"INSERT INTO {CONNECTIONS} VALUES ('a', 'three', %s)"
    sealed = store._records.seal_record("a", THREE)
    with transaction(url) as other:
        other.execute(insert.encode(), [sealed])
        swap = asyncio.create_task(store.swap("a", TWO, expected_etag=None))
        await eventually(peer, url, WAITS)
    with pytest.raises(ConflictError) as caught:
        await swap
    assert caught.value.current == THREE


async def test_each_call_is_one_round_trip(url: str, tmp_path: Path) -> None:
    store = opened(url)
    await store.swap("a", ONE, expected_etag=None)
    (connection,) = store._pool._pool._pool  # type: ignore[union-attr]

    async def trips(call: Callable[[], Awaitable[object]]) -> int:
        with (tmp_path / "trace").open("w+") as trace:
            connection.pgconn.trace(trace.fileno())
            with suppress(ConflictError):
                await call()
            connection.pgconn.untrace()
            os.lseek(trace.fileno(), 0, os.SEEK_SET)
            return trace.read().count("ReadyForQuery")

    assert [
        await trips(call)
        for call in (
            lambda: store.load("a"),
            lambda: store.swap("a", TWO, expected_etag="one"),
            lambda: store.swap("a", THREE, expected_etag="one"),
            lambda: store.due(None, NOW, limit=10),
            lambda: store.list_records(None),
            lambda: store.load_records(["a", "b"]),
            lambda: store.count("key", window_ends=NOW),
        )
    ] == [1] * 7
    await store.close()


async def test_swaps_reach_the_disk_where_the_database_does_not_wait_for_it(
    peer: PostgresPeer, url: str
) -> None:
    name = url.rpartition("/")[2]
    peer.execute(f"ALTER DATABASE {name} SET synchronous_commit = off")
    peer.execute(RECORD_SETTING, url=url)
    store = opened(url)
    await store.swap("a", ONE, expected_etag=None)
    await store.swap("a", TWO, expected_etag="one")
    assert peer.execute("SELECT * FROM seen", url=url) == [("on",), ("on",)]
    # Nothing of it stays in the session, which a pooler gives to others.
    (rows,) = await store._pool.run(("SHOW synchronous_commit", ()))
    assert rows == [("off",)]
    await store.close()


@pytest.mark.parametrize(
    ("statement", "values"),
    [
        pytest.param(store_postgres._DUE, [NOW, 0.0, "a", 10], id="due"),
        pytest.param(store_postgres._LIST, ["a", "a", "b", 10], id="list"),
    ],
)
def test_pages_can_be_read_by_an_index_in_its_order(
    url: str, statement: str, values: list[object]
) -> None:
    with transaction(url, *FORCED) as reader:
        rows = reader.execute(f"EXPLAIN {statement}".encode(), values).fetchall()
    plan = "\n".join(line for (line,) in rows)
    assert "Index" in plan
    assert "Sort" not in plan


# Lost connections, and limits


async def test_ended_connections_are_replaced(
    peer: PostgresPeer, url: str, store: PostgresStore
) -> None:
    await store.swap("a", ONE, expected_etag=None)
    # Several, so that a repetition alone would meet the next ended one.
    sleep = ("SELECT pg_sleep(0.3)", ())
    await asyncio.gather(*(store._pool.run(sleep) for _ in range(3)))
    ended = peer.execute(f"SELECT pg_terminate_backend(pid) {BACKENDS}", url=url)
    assert len(ended) > 2
    assert await store.load("a") == ONE


async def test_a_connection_that_was_idle_for_long_and_answers_no_more_is_replaced(
    store: PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store.swap("a", ONE, expected_etag=None)
    (connection,) = store._pool._pool._pool  # type: ignore[union-attr]
    monkeypatch.setattr(postgres_pool, "_PROBE_AFTER", 0.0)
    # As behind a firewall that has forgotten it: nobody ends the connection.
    process = connection.info.backend_pid
    os.kill(process, signal.SIGSTOP)
    try:
        assert await store.load("a") == ONE
    finally:
        os.kill(process, signal.SIGCONT)


async def test_a_swap_whose_connection_ends_is_repeated_on_another(
    peer: PostgresPeer, url: str, store: PostgresStore
) -> None:
    await store.swap("a", ONE, expected_etag=None)
    with transaction(url, LOCK):
        swap = asyncio.create_task(store.swap("a", TWO, expected_etag="one"))
        await eventually(peer, url, WAITS)
        peer.execute(f"SELECT pg_terminate_backend(pid) {BACKENDS} AND {WAITS}", url=url)
    await swap
    assert await store.load("a") == TWO


async def test_a_caller_that_goes_away_interrupts_nothing(
    peer: PostgresPeer, url: str, store: PostgresStore
) -> None:
    await store.swap("a", ONE, expected_etag=None)
    with transaction(url, LOCK):
        swap = asyncio.create_task(store.swap("a", TWO, expected_etag="one"))
        await eventually(peer, url, WAITS)
        swap.cancel()
        with pytest.raises(asyncio.CancelledError):
            await swap
    assert (await asyncio.wait_for(_changed(store), PATIENCE.total_seconds())) == TWO


async def _changed(store: PostgresStore) -> object:
    while (found := await store.load("a")) == ONE:  # noqa: ASYNC110 - nor does the store
        await asyncio.sleep(0.01)
    return found


async def test_a_lock_is_waited_for_until_the_limit_and_the_server_gives_up_too(
    peer: PostgresPeer, url: str, store: PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store.swap("a", ONE, expected_etag=None)
    monkeypatch.setattr(postgres_pool, "LIMIT", timedelta(seconds=3))
    with transaction(url, LOCK):
        with pytest.raises(StoreUnavailableError, match=r"DATABASE_URL\): another transaction"):
            await store.swap("a", TWO, expected_etag="one")
        await eventually(peer, url, "state = 'idle'")
    assert await store.load("a") == ONE


async def test_a_used_up_pool_is_reported(
    peer: PostgresPeer, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_pool, "MAX_CONNECTIONS", 1)
    store = opened(url)
    await store.swap("a", ONE, expected_etag=None)
    with transaction(url, LOCK):
        swap = asyncio.create_task(store.swap("a", TWO, expected_etag="one"))
        await eventually(peer, url, WAITS)
        monkeypatch.setattr(postgres_pool, "LIMIT", timedelta(milliseconds=50))
        with pytest.raises(
            StoreUnavailableError, match=r"DATABASE_URL\): .*all 1 connections .* in use"
        ):
            await store.load("a")
    await swap
    await store.close()


async def test_a_server_that_hangs_or_is_stopped_is_unavailable_until_it_is_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with postgres_server() as peer:
        store = opened(peer.new_database())
        await store.swap("a", ONE, expected_etag=None)
        for end, start, reason in (
            (peer.hang, peer.resume, "no answer in time"),
            (peer.stop, peer.start, "connection failed|the server is"),
            (peer.kill, peer.start, "connection failed|the server"),
        ):
            with monkeypatch.context() as patch:
                patch.setattr(postgres_pool, "LIMIT", SHORT)
                end()
                with pytest.raises(StoreUnavailableError, match=reason) as caught:
                    await store.load("a")
                assert PASSWORD not in str(caught.value)
            start()
            assert await store.load("a") == ONE
        await store.close()


# Refusals


def no_change(_peer: PostgresPeer, _url: str) -> None:
    """Leave the server as it is."""


def on_database(change: str) -> Callable[[PostgresPeer, str], None]:
    def prepare(peer: PostgresPeer, url: str) -> None:
        peer.execute(f"ALTER DATABASE {url.rpartition('/')[2]} {change}")

    return prepare


def on_tables(statement: str) -> Callable[[PostgresPeer, str], None]:
    def prepare(peer: PostgresPeer, url: str) -> None:
        peer.execute(statement, url=url)

    return prepare


def another_user(peer: PostgresPeer, _url: str) -> None:
    peer.execute("DROP ROLE IF EXISTS other")
    peer.execute(f"CREATE ROLE other LOGIN PASSWORD '{PASSWORD}' CONNECTION LIMIT 0")


def without_rights(peer: PostgresPeer, url: str) -> None:
    another_user(peer, url)
    peer.execute("ALTER ROLE other CONNECTION LIMIT -1")


@pytest.mark.parametrize(
    ("prepare", "replaced", "text"),
    [
        pytest.param(no_change, {PASSWORD: "wrong"}, "password authentication", id="password"),
        pytest.param(no_change, {"/test_": "/none_"}, "does not exist", id="no-database"),
        pytest.param(on_tables(f"DROP TABLE {SCHEMA}"), {}, "functions.admin migrate", id="tables"),
        pytest.param(
            on_tables(f"DROP TABLE {CONNECTIONS}"), {}, "functions.admin migrate", id="table"
        ),
        pytest.param(on_tables(f"UPDATE {SCHEMA} SET version = 99"), {}, "later version", id="new"),
        pytest.param(
            on_database("SET default_transaction_read_only = on"),
            {},
            "address of the primary",
            id="replica",
        ),
        pytest.param(another_user, {"keeper": "other"}, "too many connections", id="too-many"),
        pytest.param(without_rights, {"keeper": "other"}, "lacks a permission", id="rights"),
        pytest.param(no_change, {"END": "?sslmode=require"}, "does not support SSL", id="no-tls"),
    ],
)
async def test_a_refusal_says_what_to_do_and_changes_nothing(
    peer: PostgresPeer,
    url: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    *,
    prepare: Callable[[PostgresPeer, str], None],
    replaced: dict[str, str],
    text: str,
) -> None:
    prepare(peer, url)
    for old, new in replaced.items():
        url = url + new if old == "END" else url.replace(old, new)
    monkeypatch.setattr(postgres_pool, "LIMIT", SHORT)
    store = opened(url)
    with pytest.raises(StoreUnavailableError, match=text) as caught:
        await store.swap("a", ONE, expected_etag=None)
    assert "(DATABASE_URL)" in str(caught.value)
    assert PASSWORD not in str(caught.value) + caplog.text
    await store.close()


@pytest.mark.parametrize(
    ("authorities", "text"),
    [
        pytest.param("system", "certificate verify failed", id="unknown-authority"),
        pytest.param("/nowhere.pem", "root certificate file .* does not exist", id="no-file"),
    ],
)
async def test_a_certificate_that_cannot_be_verified_is_refused(
    url: str, monkeypatch: pytest.MonkeyPatch, authorities: str, text: str
) -> None:
    monkeypatch.setattr(postgres_pool, "LIMIT", SHORT)
    store = opened(f"{pooler().url_of(url)}?sslmode=verify-full&sslrootcert={authorities}")
    with pytest.raises(StoreUnavailableError, match=text):
        await store.load("a")
    await store.close()


async def test_the_authorities_of_the_system_are_those_of_other_connections(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(pooler().certificate))
    store = opened(f"{pooler().url_of(url)}?sslrootcert=system&pgbouncer=true")
    await store.swap("a", ONE, expected_etag=None)
    (connection,) = store._pool._pool._pool  # type: ignore[union-attr]
    assert connection.pgconn.ssl_in_use
    await store.close()


async def lost(store: PostgresStore) -> None:
    with pytest.raises(ConflictError):
        await store.swap("a", ONE, expected_etag="another")


@pytest.mark.parametrize(
    "call",
    [
        pytest.param(lambda store: store.load("a"), id="load"),
        pytest.param(lambda store: store.swap("a", ONE, expected_etag=None), id="swap"),
        pytest.param(lost, id="conflict"),
    ],
)
async def test_the_last_message_of_a_call_is_the_end_of_its_transaction(
    store: PostgresStore, tmp_path: Path, call: Callable[[PostgresStore], Awaitable[object]]
) -> None:
    # For what comes after it, a pooler takes a session that it does not give back.
    await store.load("a")
    (connection,) = store._pool._pool._pool  # type: ignore[union-attr]
    with (tmp_path / "trace").open("w") as trace:
        connection.pgconn.trace(trace.fileno())
        await call(store)
        connection.pgconn.untrace()
    # Each begins with the time, the sender (frontend or backend) and the length.
    sent = re.findall(r"^.*\tF\t\d+\t(\w+)", (tmp_path / "trace").read_text(), re.MULTILINE)
    assert sent[0] == "Parse"
    assert [name for name in sent if name in {"Sync", "Flush"}] == ["Sync"]
    assert sent[-1] == "Sync"


async def test_a_row_of_another_program_cannot_be_read_and_a_login_replaces_it(
    peer: PostgresPeer, url: str, store: PostgresStore
) -> None:
    insert = f"INSERT INTO {CONNECTIONS} VALUES (%s, 'x', 'y', '-infinity')"
    for name in ("a", "é", "b b"):
        peer.execute(insert, [name], url=url)
    with pytest.raises(UnreadableRecordError) as caught:
        await store.load("a")
    assert (caught.value.etag, caught.value.is_damaged) == ("x", True)
    ((name, found),) = (await store.list_records(None)).records
    assert name == "a"
    assert isinstance(found, UnreadableRecordError)
    await store.swap("a", ONE, expected_etag="x")
    assert await store.load("a") == ONE


@pytest.mark.parametrize(
    ("rest", "shown"),
    [
        pytest.param("@db.example:6543/grants?pgbouncer=true", "grants at db.example", id="other"),
        pytest.param("@/grants?host=/run/pg&x=1", "grants at /run/pg", id="socket"),
        pytest.param("@%2Frun%2Fpg/grants", "grants at /run/pg", id="socket-as-host"),
        pytest.param("@a:1,[::1]:2/grants", "grants at a,::1", id="two-hosts"),
    ],
)
def test_an_address_is_read_as_libpq_does_and_shows_no_password(rest: str, shown: str) -> None:
    address = PostgresAddress.of(f"postgres://keeper:{PASSWORD}{rest}", "POSTGRES_URL")
    assert str(address) == f"the database {shown} (POSTGRES_URL)"
    assert PASSWORD not in repr(address)
    assert address.parameters["password"] == PASSWORD
