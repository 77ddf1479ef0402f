"""The walk through connections that were written before alerts were switched on."""

from contextlib import aclosing
from dataclasses import replace
from datetime import timedelta

import pytest

from adapters.entropy_system import SystemEntropy
from adapters.store_memory import MemoryStore
from domain.alerts import AlertThresholds
from domain.ledger import DONE
from functions.alerts.deployment import record_sweep
from functions.alerts.first_walk import FirstWalk
from tests.functions.grants import fresh
from tests.functions.keeper_rig import SetClock
from tests.records import record_of

pytestmark = pytest.mark.anyio

NAMES = [f"c{number:03}" for number in range(250)]
THRESHOLDS = AlertThresholds()


@pytest.fixture
async def store() -> MemoryStore:
    found = MemoryStore()
    for name in NAMES:
        await found.swap(name, record_of(fresh(), "first"), expected_etag=None)
    return found


def walk_of(store: MemoryStore, thresholds: AlertThresholds = THRESHOLDS) -> FirstWalk:
    return FirstWalk(store=store, clock=SetClock(), entropy=SystemEntropy(), thresholds=thresholds)


async def walked(walk: FirstWalk, *, most: int = 100) -> list[str]:
    """Walk through some pages; time is up in the last one."""
    names: list[str] = []
    async with aclosing(walk.pages()) as pages:
        async for page in pages:
            names += page
            most -= 1
            if not most:
                break
    return names


async def sweep(store: MemoryStore, *, has_channels: bool = True) -> None:
    await record_sweep(
        store,
        SystemEntropy(),
        ended_at=SetClock().now(),
        outcome=DONE,
        deliveries={},
        has_channels=has_channels,
    )


async def test_every_connection_is_seen_once_whatever_is_written_between(
    store: MemoryStore,
) -> None:
    assert await walked(walk_of(store)) == NAMES
    await sweep(store)
    assert await walked(walk_of(store)) == []


async def test_a_page_that_was_not_finished_is_seen_again_by_the_next_sweep(
    store: MemoryStore,
) -> None:
    assert await walked(walk_of(store), most=2) == NAMES[:200]
    await sweep(store)
    assert await walked(walk_of(store)) == NAMES[100:]
    assert await walked(walk_of(store)) == []


@pytest.mark.parametrize(
    ("changes", "is_new"),
    [
        pytest.param({"expires_soon": (timedelta(days=30),)}, True, id="expires-soon"),
        pytest.param({"refresh_failing": timedelta(hours=2)}, True, id="refresh-failing"),
        pytest.param({"expires_soon": list(THRESHOLDS.expires_soon)}, False, id="a-list"),
        pytest.param({"sweep_overdue": timedelta(hours=30)}, False, id="of-the-sweep"),
    ],
)
async def test_other_thresholds_of_connections_need_another_walk(
    store: MemoryStore, changes: dict[str, object], *, is_new: bool
) -> None:
    await walked(walk_of(store))
    changed = replace(THRESHOLDS, **changes)  # type: ignore[arg-type]
    assert await walked(walk_of(store, changed)) == (NAMES if is_new else [])


async def test_alerts_that_were_off_meanwhile_need_another_walk(store: MemoryStore) -> None:
    await walked(walk_of(store))
    await sweep(store, has_channels=False)
    assert await walked(walk_of(store)) == NAMES


async def test_a_store_without_connections_is_walked_through() -> None:
    store = MemoryStore()
    assert await walked(walk_of(store)) == []
    await store.swap("new", record_of(fresh(), "first"), expected_etag=None)
    # It was written with alerts switched on.
    assert await walked(walk_of(store)) == []
