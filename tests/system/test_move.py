"""Grants move from deployment to deployment while programs ask, and moves are killed.

oidc-provider revokes the whole grant when it sees a refresh token twice, so a refresh by both sides
would fail the test.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from itertools import cycle
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import TypeVar

import pytest

from domain.grant import (
    AuthorizationRequired,
    Cause,
    Failure,
    FailureState,
    Grant,
    Moved,
)
from ports.store import Store
from tests.functions.grants import fresh, over
from tests.functions.stores import dynamodb_store, postgres_store, redis_store, upstash_store
from tests.records import record_of
from tests.system.account import Account, RecordProperty, accounted
from tests.system.callers import asked_all_the_time
from tests.system.deployment import (
    API_KEY,
    Answer,
    Deployment,
    connected,
    counted,
    deployed,
    opened_store,
)
from tests.system.loopback import http
from tests.system.peers import oidc_provider
from tests.system.waiting import wait_until
from tests.system.workers import PATIENT, doors, running

SEED = 5
# In seconds: so short that there is always a refresh going on, or about to.
ACCESS_LIFE = 4
# In seconds. It takes longer than a command takes to begin.
SLOW_REFRESH = 2
WORKERS = 2
IN_USE = ("one", "two", "three")
# They make a move long enough to be killed in the middle.
IDLE = tuple(f"idle-{number:02}" for number in range(40))

_Result = TypeVar("_Result")


@pytest.mark.usefixtures("plain_loopback")
def test_grants_move_from_store_to_store_and_back_under_load_and_none_is_lost(
    record_property: RecordProperty, tmp_path: Path
) -> None:
    random = Random(SEED)  # noqa: S311 - moments are to be repeatable, not secret
    with deployments() as places, accounted(record_property, "kills") as account:
        first = places[0]
        for name in IN_USE:
            with connected(first, name) as connection:
                connection.log_in()
        keep(first, idle_grants())
        for source, target in zip(places, [*places[1:], first], strict=True):
            file = tmp_path / f"{account.rounds}.export"
            move(source, target, file, random, account)
            account.rounds += 1
        stats = first.peer.stats()
        # All requests were granted: no refresh token was used twice.
        assert stats.arrived.total() == stats.granted > 3 * len(IN_USE), stats
        account.calls = stats.granted


@contextmanager
def deployments() -> Iterator[list[Deployment]]:
    """Run the application over each store, for one client.

    Upstash and Redis, which share a form, are not neighbours.
    """
    peer = partial(oidc_provider, access_lifetime=ACCESS_LIFE)
    with ExitStack() as stack:
        first = stack.enter_context(deployed(peer, count=WORKERS, app=PATIENT))
        places = [first]
        for start in (upstash_store, dynamodb_store, redis_store, postgres_store):
            store = stack.enter_context(start())
            environment = {**first.workers.environment, **store.environ}
            del environment["SQLITE_PATH"]
            opened = stack.enter_context(doors(WORKERS))
            folder = Path(stack.enter_context(TemporaryDirectory()))
            workers = stack.enter_context(running(opened, environment, folder, app=PATIENT))
            places.append(Deployment(peer=first.peer, workers=workers))
        yield places


def move(
    source: Deployment, target: Deployment, file: Path, random: Random, account: Account
) -> None:
    """Move everything, with a kill in each half, and hold what is there against what was."""
    names = {*IN_USE, *IDLE}
    with asked_all_the_time(source, IN_USE) as answers:
        # One of those that are in use is being refreshed when the owner begins.
        source.peer.plan_faults(f"delay:{SLOW_REFRESH}")
        wait_until(lambda: source.peer.stats().in_flight > 0)
        victim = random.choice(IDLE)
        source.workers.kill_administrator(
            "export", str(file), once=lambda: isinstance(grant_of(source, victim), Moved)
        )
        account.struck[f"after {moved_of(source)} of {len(names)} were handed over"] += 1
        if not file.exists():
            source.workers.administer("export", str(file))
        wait_until(lambda: all(said[-1].status == 410 for said in answers.values()))
    for name in IN_USE:
        assert_served_until_it_moved(answers[name])
        account.answered(answers[name], refused=0)
    handed_over = grants_of(source)
    assert handed_over.keys() == names
    victim = random.choice(IDLE)
    before = grant_of(target, victim)
    target.workers.kill_administrator(
        "import", str(file), once=lambda: grant_of(target, victim) != before
    )
    said = target.workers.administer("import", str(file))
    assert {line.rpartition(": ")[0] for line in said} == names
    assert {line.rpartition(": ")[2] for line in said} <= {"imported", "already there"}
    account.struck[f"after {str(said).count('already')} of {len(names)} were imported"] += 1
    assert grants_of(target) == {name: inside(grant) for name, grant in handed_over.items()}
    for name in IN_USE:
        assert_it_goes_on(source, target, name)


def assert_served_until_it_moved(answers: Sequence[Answer]) -> None:
    """Expect tokens, then to be pointed elsewhere, and nothing else."""
    told = [(answer.status, answer.problem) for answer in answers]
    served = told.count((200, ""))
    assert told[:served] == [(200, "")] * served, counted(answers)
    assert set(told[served:]) == {(410, "connection-moved")}, counted(answers)
    assert served


def assert_it_goes_on(source: Deployment, target: Deployment, name: str) -> None:
    """Expect a token that works, and others after refreshes, of which the source knows nothing."""
    with connected(target, name) as there, connected(source, name) as left:
        for callers in (10, 1):
            answers = there.ask(callers)
            assert counted(answers) == {(200, ""): callers}
            assert there.refused(answers) == 0
            refreshed = http.post(
                f"{target.workers.urls[0]}/api/refresh?connection={name}",
                headers={"x-api-key": API_KEY},
            )
            assert refreshed.status_code == 200, refreshed.text
        verified = left.verify()
        assert (verified.status, verified.members["state"]) == (410, "moved")


def idle_grants() -> dict[str, Grant]:
    """Return grants of every sort that nobody asks for; no provider knows their tokens."""
    now = datetime.now(UTC)
    doubt = FailureState(
        failures=1, failure=Failure.UNKNOWN, at=now, retry_at=now, in_doubt_since=now
    )
    required = AuthorizationRequired(
        tokens=over().tokens, cause=Cause.REFRESH_ANSWER_LOST, client="client", since=now
    )
    sorts: tuple[Grant, ...] = (fresh(), over(), replace(over(), failure_state=doubt), required)
    return dict(zip(IDLE, cycle(sorts), strict=False))


def inside(grant: Grant) -> Grant:
    """Return what was handed over."""
    assert isinstance(grant, Moved)
    return grant.grant


def moved_of(deployment: Deployment) -> int:
    """How many connections are handed over."""
    return sum(isinstance(grant, Moved) for grant in grants_of(deployment).values())


def grant_of(deployment: Deployment, name: str) -> Grant:
    """Return one of them."""

    async def load(store: Store) -> Grant:
        return (await store.load(name)).grant

    return use(deployment, load)


def grants_of(deployment: Deployment) -> dict[str, Grant]:
    """Return all that there are."""

    async def load(store: Store) -> dict[str, Grant]:
        return {name: (await store.load(name)).grant async for name in store.connections()}

    return use(deployment, load)


def keep(deployment: Deployment, grants: dict[str, Grant]) -> None:
    """Store grants where there is none."""

    async def swap(store: Store) -> None:
        for name, grant in grants.items():
            await store.swap(name, record_of(grant, "first"), expected_etag=None)

    use(deployment, swap)


def use(deployment: Deployment, work: Callable[[Store], Awaitable[_Result]]) -> _Result:
    """Do something with a deployment's store."""

    async def with_store() -> _Result:
        async with opened_store(deployment.workers.environment) as store:
            return await work(store)

    return asyncio.run(with_store())
