"""The doctor's facts about a real Postgres with a real standby, and its findings."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta
from threading import Timer

import pytest

from adapters import facts_replicas
from adapters.facts_postgres import postgres_facts
from adapters.postgres_schema import COUNTS
from domain.grant import Unauthorized
from functions.admin.doctor.replicas import findings_of_replicas
from functions.admin.doctor.store import findings_of
from ports.facts import PostgresFacts, ReplicaFacts, UnreadFact
from ports.store import StoreUnavailableError
from tests.patience import PATIENCE
from tests.ports.store_contract import PostgresDatabase
from tests.records import record_of
from tests.system.postgres_peer import (
    PASSWORD,
    PostgresPeer,
    log_archive_of,
    postgres_server,
    standby_of,
)
from tests.system.waiting import wait_until

# ruff: noqa: S608 - the statements are the tests' own

WRITE = f"INSERT INTO {COUNTS} SELECT 'key-' || n, now(), n FROM generate_series(1, 1000) AS n"
WRITTEN = "SELECT pg_wal_lsn_diff(pg_current_wal_flush_lsn(), {}) = 0 FROM pg_stat_replication"
HAS_REPORTED = "SELECT replay_lsn IS NOT NULL FROM pg_stat_replication"
IS_PAUSED = "SELECT pg_get_wal_replay_pause_state() = 'paused'"


@pytest.fixture(scope="module")
def primary() -> Iterator[PostgresPeer]:
    """A server of its own: the replica of the tests' would disturb their counts."""
    with postgres_server() as peer:
        yield peer


@pytest.fixture(scope="module")
def url(primary: PostgresPeer) -> str:
    return primary.new_database()


@pytest.fixture(scope="module")
def standby(primary: PostgresPeer, url: str) -> Iterator[PostgresPeer]:
    assert url
    with standby_of(primary) as peer:
        wait_until(lambda: primary.execute(HAS_REPORTED) == [(True,)])
        yield peer


@contextmanager
def paused_replay(primary: PostgresPeer, standby: PostgresPeer, url: str) -> Iterator[None]:
    """Let the standby receive a change, and not apply it."""
    standby.execute("SELECT pg_wal_replay_pause()")
    wait_until(lambda: standby.execute(IS_PAUSED) == [(True,)])
    primary.execute(WRITE, url=url)
    wait_until(lambda: primary.execute(WRITTEN.format("flush_lsn")) == [(True,)])
    try:
        yield
    finally:
        standby.execute("SELECT pg_wal_replay_resume()")


@contextmanager
def no_answer(primary: PostgresPeer, standby: PostgresPeer, url: str) -> Iterator[None]:
    """Let the standby hang while the primary writes."""
    standby.hang()
    primary.execute(WRITE, url=url)
    try:
        yield
    finally:
        standby.resume()


@contextmanager
def late_answer(primary: PostgresPeer, standby: PostgresPeer, url: str) -> Iterator[None]:
    """Let the standby hang for less than the limit."""
    standby.hang()
    timer = Timer(0.3, standby.resume)
    primary.execute(WRITE, url=url)
    timer.start()
    yield
    timer.join()


def read(url: str) -> PostgresFacts:
    facts = asyncio.run(postgres_facts(url, "DATABASE_URL"))
    assert isinstance(facts, PostgresFacts)
    return facts


@pytest.mark.parametrize(
    ("trouble", "lacks", "level", "text"),
    [
        pytest.param(late_answer, (False, False), "ok", "is in step", id="late"),
        pytest.param(paused_replay, (False, True), "warning", "takes longer", id="paused"),
        pytest.param(no_answer, (True, True), "warning", "lose the newest refresh", id="hangs"),
    ],
)
def test_replica_that_lags_is_found(
    primary: PostgresPeer,
    standby: PostgresPeer,
    url: str,
    monkeypatch: pytest.MonkeyPatch,
    *,
    trouble: Callable[..., AbstractContextManager[None]],
    lacks: tuple[bool, bool],
    level: str,
    text: str,
) -> None:
    # One that is in step may need longer on a busy machine.
    limit = timedelta() if any(lacks) else PATIENCE
    monkeypatch.setattr(facts_replicas, "_CATCH_UP", limit)
    with trouble(primary, standby, url):
        facts = read(url)
    assert not isinstance(facts.replicas, UnreadFact)
    (replica,) = facts.replicas
    assert (replica.missing > 0, replica.unapplied > 0) == lacks
    assert replica == ReplicaFacts(
        name="walreceiver at 127.0.0.1",
        is_streaming=True,
        missing=replica.missing,
        unapplied=replica.unapplied,
        lag=replica.lag,
        is_waited_for=False,
    )
    (finding,) = findings_of_replicas(facts.replicas)
    assert finding.level.value == level
    assert text in finding.text
    wait_until(lambda: primary.execute(WRITTEN.format("replay_lsn")) == [(True,)])


def test_replica_that_writes_wait_for_is_told_apart(
    primary: PostgresPeer, standby: PostgresPeer, url: str
) -> None:
    assert standby.port
    primary.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
    primary.execute("SELECT pg_reload_conf()")
    is_sync = "SELECT sync_state = 'sync' FROM pg_stat_replication"
    wait_until(lambda: primary.execute(is_sync) == [(True,)])
    try:
        replicas = read(url).replicas
    finally:
        primary.execute("ALTER SYSTEM RESET synchronous_standby_names")
        primary.execute("SELECT pg_reload_conf()")
    assert not isinstance(replicas, UnreadFact)
    assert [each.is_waited_for for each in replicas] == [True]


def test_an_archive_is_no_replica(primary: PostgresPeer, standby: PostgresPeer, url: str) -> None:
    assert standby.port
    with log_archive_of(primary):
        replicas = read(url).replicas
    assert not isinstance(replicas, UnreadFact)
    assert [each.name for each in replicas] == ["walreceiver at 127.0.0.1"]


@pytest.mark.parametrize(
    ("state", "has_reason"),
    [
        pytest.param("0A000", False, id="not-supported"),
        pytest.param("55000", False, id="logical-only"),
        pytest.param("42501", True, id="other"),
    ],
)
def test_a_server_without_positions_has_no_replicas_to_check(
    primary: PostgresPeer, state: str, *, has_reason: bool
) -> None:
    url = primary.new_database()
    # Before that of the server.
    primary.execute(f"ALTER DATABASE {url.rpartition('/')[2]} SET search_path = public, pg_catalog")
    primary.execute(
        "CREATE FUNCTION pg_current_wal_flush_lsn() RETURNS pg_lsn LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE 'planned' USING ERRCODE = '{state}'; END $$",
        url=url,
    )
    replicas = read(url).replicas
    if has_reason:
        assert isinstance(replicas, UnreadFact)
        assert "planned" in replicas.why
    else:
        assert replicas == ()


def test_replicas_that_the_user_may_not_see_are_unknown(
    primary: PostgresPeer, standby: PostgresPeer, url: str
) -> None:
    assert standby.port
    primary.execute(f"CREATE ROLE other LOGIN PASSWORD '{PASSWORD}'")
    primary.execute("GRANT pg_read_all_data TO other")
    replicas = read(url.replace("//keeper", "//other")).replicas
    assert isinstance(replicas, UnreadFact)
    (finding,) = findings_of_replicas(replicas)
    assert finding.level.value == "unknown"
    assert "GRANT pg_read_all_stats" in finding.text
    primary.execute("GRANT pg_read_all_stats TO other")
    assert not isinstance(read(url.replace("//keeper", "//other")).replicas, UnreadFact)


def test_address_of_a_standby_is_a_fault(
    primary: PostgresPeer, standby: PostgresPeer, url: str
) -> None:
    async def use(url: str) -> str:
        store = PostgresDatabase(url).open()
        assert (await store.load("a")).etag is None
        with pytest.raises(StoreUnavailableError) as caught:
            await store.swap("a", record_of(Unauthorized(), "one"), expected_etag=None)
        await store.close()
        return str(caught.value)

    of_standby = url.replace(f":{primary.port}/", f":{standby.port}/")
    refusal = asyncio.run(use(of_standby))
    assert "DATABASE_URL): the server is read-only, such as a replica" in refusal
    facts = read(of_standby)
    assert facts.is_read_only
    assert facts.replicas == ()
    faults = [each.text for each in findings_of(facts) if each.level.value == "fault"]
    assert len(faults) == 1
    assert "address of the primary" in faults[0]
