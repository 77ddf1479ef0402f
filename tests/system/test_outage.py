"""The store goes away and comes back at random moments of refreshes: no login, one provider call.

oidc-provider ends all that came of a login when it sees a refresh token twice: a second request,
where one was sent already, could not pass unnoticed.
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
from tests.system.promises import REUSE_REVOKES, may_cost_a_login
from tests.system.stores import StoreKind, rest_store
from tests.thorough import times

ROUNDS = times(40)
CALLERS = 20
SEED = 5
LEASE = timedelta(seconds=60)
# In seconds. From the callers' start until the tokens are stored it takes little more than the
# time that the provider holds the request for.
SHORTEST_DELAY, LONGEST_DELAY = 0.1, 0.6
LATEST_START = 0.7
# In seconds. A swap is tried for two seconds while callers wait; then tokens are brought later.
LONGEST_OUTAGE = 3.0
# What callers are told while the store is away, and by whoever waits for an intent that the store
# took without saying so.
PUT_OFF = {(503, "store-unavailable"), (503, "refresh-in-progress")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Switch:
    """One way for a store to be away, and back."""

    name: str
    off: Callable[[], object]
    on: Callable[[], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A connection, and the switches of its store."""

    connection: Connection
    switches: Sequence[Switch]
    fault: StoreFault = StoreFault.OUTAGE
    """What the workers make of it."""
    rounds: int = ROUNDS


@contextmanager
def over_sqlite() -> Iterator[Stage]:
    with (
        single_connection(oidc_provider) as connection,
        closing(
            sqlite3.connect(connection.workers.environment["SQLITE_PATH"], isolation_level=None)
        ) as file,
    ):
        # There is no server to stop; but somebody else can keep the file from being written.
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
def over_dynamodb() -> Iterator[Stage]:
    """Let it hang, or do all that it is asked and say nothing: it keeps its tables in memory."""
    with dynamodb_server() as peer, lossy_proxy(peer.url, lambda *_: True) as proxy:
        proxy.stop_losing()
        environ = peer.environ(peer.new_table(), url=proxy.url)
        with single_connection(oidc_provider, store=environ) as connection:
            switches = [
                Switch(name="DynamoDB paused", off=peer.pause, on=peer.resume),
                Switch(name="answers lost", off=proxy.lose, on=proxy.stop_losing),
            ]
            yield Stage(connection=connection, switches=switches, rounds=ROUNDS // 5)


STAGES: Mapping[StoreKind, Callable[[], AbstractContextManager[Stage]]] = {
    StoreKind.SQLITE: over_sqlite,
    StoreKind.REST: over_rest,
    StoreKind.DYNAMODB: over_dynamodb,
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
    # Where the store was away, and not only slow, it was felt, but in a round or two in which a
    # read that had begun before was shared.
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
    # Who waits for a refresh is told nothing of it; who asks how things stand is.
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
    """Let its lease run out: the store took it and did not say so, until nobody asked any more."""
    nothing_was_sent = not connection.peer.stats().arrived
    if nothing_was_sent and isinstance(connection.record().grant, Refreshing):
        connection.let_time_pass(LEASE)
