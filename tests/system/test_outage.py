"""The store goes away and comes back at random moments of refreshes: no login, one provider call.

oidc-provider revokes the whole grant when it sees a refresh token twice, so a second request would
fail the test.
"""

import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from random import Random

import pytest

from domain.grant import Refreshing
from tests.simulation.faults import Point, StoreFault
from tests.system.account import Account, RecordProperty, accounted
from tests.system.deployment import Connection, counted, only_token, refreshes, single_connection
from tests.system.dynamodb_peer import dynamodb_server
from tests.system.lossy_proxy import lossy_proxy
from tests.system.peers import oidc_provider
from tests.system.postgres_peer import postgres_server
from tests.system.promises import REUSE_REVOKES, may_cost_a_login
from tests.system.redis_peer import redis_server
from tests.system.stores import StoreKind, rest_store
from tests.thorough import times

ROUNDS = times(40, usually=8)
CALLERS = 20
SEED = 5
LEASE = timedelta(seconds=60)
# In seconds: how long the provider holds a request. The rest of a refresh takes little more.
SHORTEST_DELAY, LONGEST_DELAY = 0.1, 0.6
LATEST_START = 0.7
# In seconds. Callers wait for two seconds of swaps; after that the tokens are stored later.
LONGEST_OUTAGE = 3.0
# Answers while the store is away, or while an intent is waited for that the store did not confirm.
PUT_OFF = {(503, "store-unavailable"), (503, "refresh-in-progress")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Switch:
    """A way to take a store away and to bring it back."""

    name: str
    off: Callable[[], object]
    on: Callable[[], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A connection, the switches of its store, and the fault that workers notice."""

    connection: Connection
    switches: Sequence[Switch]
    fault: StoreFault = StoreFault.OUTAGE
    rounds: int = ROUNDS


@contextmanager
def over_sqlite() -> Iterator[Stage]:
    with (
        single_connection(oidc_provider) as connection,
        closing(
            sqlite3.connect(connection.workers.environment["SQLITE_PATH"], isolation_level=None)
        ) as file,
    ):
        # Without a server to stop: another process locks the file.
        lock = Switch(
            name="file locked", off=lambda: file.execute("BEGIN IMMEDIATE"), on=file.rollback
        )
        yield Stage(connection=connection, switches=[lock], fault=StoreFault.SLOW)


@contextmanager
def over_rest() -> Iterator[Stage]:
    with (
        rest_store() as store,
        single_connection(oidc_provider, store=store.front.environ) as connection,
    ):
        switches = [
            Switch(name="Redis stopped", off=store.redis.stop, on=store.redis.start),
            Switch(name="Redis killed", off=store.redis.kill, on=store.redis.start),
            Switch(name="front stopped", off=store.front.stop, on=store.front.start),
        ]
        yield Stage(connection=connection, switches=switches)


@contextmanager
def over_redis() -> Iterator[Stage]:
    with (
        redis_server() as redis,
        single_connection(oidc_provider, store=redis.environ) as connection,
    ):
        switches = [
            Switch(name="Redis stopped", off=redis.stop, on=redis.start),
            Switch(name="Redis paused", off=redis.pause, on=redis.resume),
        ]
        yield Stage(connection=connection, switches=switches, rounds=max(3, ROUNDS // 5))


@contextmanager
def over_dynamodb() -> Iterator[Stage]:
    """Pause the server, or lose its answers. It cannot be restarted: its tables are in memory."""
    with dynamodb_server() as peer, lossy_proxy(peer.url, lambda *_: True) as proxy:
        proxy.stop_losing()
        environ = peer.environ(peer.new_table(), url=proxy.url)
        with single_connection(oidc_provider, store=environ) as connection:
            switches = [
                Switch(name="DynamoDB paused", off=peer.pause, on=peer.resume),
                Switch(name="answers lost", off=proxy.lose, on=proxy.stop_losing),
            ]
            yield Stage(connection=connection, switches=switches, rounds=max(3, ROUNDS // 5))


@contextmanager
def over_postgres() -> Iterator[Stage]:
    with (
        postgres_server() as server,
        single_connection(
            oidc_provider, store={"DATABASE_URL": server.new_database()}
        ) as connection,
    ):
        switches = [
            Switch(name="Postgres stopped", off=server.stop, on=server.start),
            Switch(name="Postgres killed", off=server.kill, on=server.start),
            Switch(name="Postgres hangs", off=server.hang, on=server.resume),
        ]
        yield Stage(connection=connection, switches=switches, rounds=max(3, ROUNDS // 5))


STAGES: Mapping[StoreKind, Callable[[], AbstractContextManager[Stage]]] = {
    StoreKind.SQLITE: over_sqlite,
    StoreKind.REST: over_rest,
    StoreKind.REDIS: over_redis,
    StoreKind.DYNAMODB: over_dynamodb,
    StoreKind.POSTGRES: over_postgres,
}


@pytest.fixture(params=StoreKind, ids=lambda kind: kind.value)
def stage(
    request: pytest.FixtureRequest,
    plain_loopback: None,  # noqa: ARG001 - for its effect
) -> Iterator[Stage]:
    with STAGES[request.param]() as stage:
        yield stage


def test_store_that_comes_and_goes_costs_no_login(
    stage: Stage, record_property: RecordProperty
) -> None:
    random = Random(SEED)  # noqa: S311  # moments are to be repeatable, not secret
    with accounted(record_property, "outages of the store") as account:
        for _ in range(stage.rounds):
            lose_the_store_in_a_refresh(stage.connection, random, stage.switches, account)
    assert account.calls == stage.rounds
    assert account.logins == account.refused == 0
    # Callers notice a store that is away, except where they share a read that had begun before.
    assert account.put_off >= (stage.rounds * 3 // 4 if stage.fault is StoreFault.OUTAGE else 0)
    assert (account.put_off > 0) == (stage.fault is StoreFault.OUTAGE)
    points = Point if stage.fault is StoreFault.OUTAGE else [None]
    assert not any(may_cost_a_login(REUSE_REVOKES, stage.fault, point) for point in points)


def lose_the_store_in_a_refresh(
    connection: Connection, random: Random, switches: Sequence[Switch], account: Account
) -> None:
    delay = random.uniform(SHORTEST_DELAY, LONGEST_DELAY)
    start, duration = random.uniform(0, LATEST_START), random.uniform(0, LONGEST_OUTAGE)
    switch = random.choice(switches)
    connection.peer.reset_stats()
    connection.expire_access_token()
    connection.peer.plan_faults(f"delay:{delay:.3f}")
    asked = connection.ask_meanwhile(CALLERS)
    time.sleep(start)
    switch.off()
    # Callers that wait for a refresh do not notice. A caller of verify does.
    account.put_off += connection.verify().problem == "store-unavailable"
    time.sleep(duration)
    switch.on()
    meanwhile = asked.result()
    outlast_an_intent_that_nobody_carries_out(connection)
    later = connection.ask(CALLERS)
    account.rounds += 1
    account.struck[switch.name] += 1
    account.calls += connection.peer.stats().arrived.total()
    account.answered([*meanwhile, *later], refused=connection.refused([*meanwhile, *later]))
    account.logins += any(answer.status == 401 for answer in [*meanwhile, *later])
    assert counted(meanwhile).keys() <= {(200, ""), *PUT_OFF}
    token = only_token(later)
    assert {answer.token for answer in meanwhile if answer.status == 200} <= {token}
    assert connection.tokens.access_token == token
    assert connection.peer.stats() == refreshes(1, granted=1)


def outlast_an_intent_that_nobody_carries_out(connection: Connection) -> None:
    """Let the lease of an intent expire that the store took without a confirmation."""
    nothing_was_sent = not connection.peer.stats().arrived
    if nothing_was_sent and isinstance(connection.record().grant, Refreshing):
        connection.let_time_pass(LEASE)
