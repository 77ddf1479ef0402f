"""The deployment's own record: what a sweep writes there, and what is read."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from adapters.entropy_system import SystemEntropy
from adapters.sealed_records import SealedRecords
from adapters.sealing import KeyRing
from adapters.store_memory import MemoryStore
from adapters.store_sqlite import SqliteStore
from domain.connection import is_connection
from domain.ledger import DONE, FAILED, INCOMPLETE
from functions.alerts.deployment import (
    DEPLOYMENT,
    MAX_CHANNELS,
    MAX_SWEEPS,
    DeploymentStatus,
    LastDeliveries,
    LastDelivery,
    load_deployment,
    load_status,
    record_sweep,
)
from ports.store import Record, Store, UnreadableRecordError

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 11, 24, 5, 0, 3, tzinfo=UTC)
DAY = timedelta(days=1)
KEY, OTHER_KEY = bytes(range(32)), bytes(32)


def sqlite(path: Path, key: bytes = KEY) -> SqliteStore:
    return SqliteStore(path, SealedRecords(KeyRing([key])))


@pytest.fixture(params=["memory", "sqlite"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    path = tmp_path / "grants.sqlite"
    opened: Store = MemoryStore() if request.param == "memory" else sqlite(path)
    yield opened
    await opened.close()


async def sweep(
    store: Store,
    at: datetime = NOW,
    outcome: str = DONE,
    deliveries: LastDeliveries | None = None,
) -> None:
    await record_sweep(
        store, SystemEntropy(), ended_at=at, outcome=outcome, deliveries=deliveries or {}
    )


def delivery(at: datetime = NOW, outcome: str = DONE) -> LastDelivery:
    return LastDelivery(at=at, outcome=outcome)


async def test_a_deployment_that_never_swept_has_an_empty_status(store: Store) -> None:
    assert await load_status(store) == DeploymentStatus()
    assert not is_connection(DEPLOYMENT)


async def test_the_status_has_the_last_sweep_and_the_newest_delivery_of_each_channel(
    store: Store,
) -> None:
    await sweep(store, NOW - DAY, FAILED, {"chat": delivery(), "mail": delivery(NOW - DAY)})
    later = {"chat": delivery(NOW - 2 * DAY, FAILED), "mail": delivery(NOW, FAILED)}
    await sweep(store, NOW, INCOMPLETE, later)
    assert await load_status(store) == DeploymentStatus(
        sweep_ended_at=NOW,
        sweep_outcome=INCOMPLETE,
        channels={"chat": delivery(), "mail": delivery(NOW, FAILED)},
    )


async def test_the_sweep_and_listings_of_due_connections_leave_the_record_alone(
    store: Store,
) -> None:
    await sweep(store)
    assert await store.due(None, None, limit=9) == []


async def test_the_record_stays_small(store: Store) -> None:
    for day in range(3 * MAX_SWEEPS):
        at = NOW + day * DAY
        names = (f"{day}-{number}" for number in range(MAX_CHANNELS // 5))
        await sweep(store, at, DONE, {name: delivery(at) for name in names})
    ledger = (await load_deployment(store)).ledger
    assert len(ledger) == MAX_SWEEPS + MAX_CHANNELS
    kept = {int(name.partition("-")[0]) for name in (await load_status(store)).channels}
    assert kept == set(range(3 * MAX_SWEEPS)[-5:])


async def test_an_unreadable_record_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "grants.sqlite"
    for key in (OTHER_KEY, KEY):
        store = sqlite(path, key)
        assert await load_status(store) == DeploymentStatus()
        await sweep(store)
        assert (await load_status(store)).sweep_ended_at == NOW
        await store.close()


class RacingStore(MemoryStore):
    """A store in which another sweep ends between the load and the swap."""

    def __init__(self) -> None:
        super().__init__()
        self.races = 1

    async def swap(self, connection: str, record: Record, *, expected_etag: str | None) -> None:
        if self.races:
            self.races -= 1
            await sweep(self, NOW - DAY, FAILED, {"chat": delivery()})
        await super().swap(connection, record, expected_etag=expected_etag)


async def test_two_sweeps_that_end_at_once_are_both_kept() -> None:
    store = RacingStore()
    await sweep(store, NOW, DONE, {"mail": delivery()})
    status = await load_status(store)
    assert (status.sweep_ended_at, set(status.channels)) == (NOW, {"chat", "mail"})
    outcomes = [entry.outcome for entry in (await load_deployment(store)).ledger]
    assert outcomes == [DONE, FAILED, DONE, DONE]


class SpoiledStore(MemoryStore):
    """A store whose record cannot be read at the first write."""

    def __init__(self) -> None:
        super().__init__()
        self.faults = 1

    async def swap(self, connection: str, record: Record, *, expected_etag: str | None) -> None:
        if self.faults:
            self.faults -= 1
            await super().swap(connection, replace(record, etag="spoiled"), expected_etag=None)
            raise UnreadableRecordError("damaged", etag="spoiled", is_damaged=True)
        await super().swap(connection, record, expected_etag=expected_etag)


async def test_a_record_that_is_spoiled_meanwhile_is_replaced() -> None:
    store = SpoiledStore()
    await sweep(store)
    assert (await load_status(store)).sweep_ended_at == NOW


class ContestedStore(MemoryStore):
    """A store in which another writer is always first."""

    def __init__(self) -> None:
        super().__init__()
        self.swaps = 0

    async def swap(self, connection: str, record: Record, *, expected_etag: str | None) -> None:
        self.swaps += 1
        there, faster = await self.load(connection), replace(record, etag=f"{self.swaps}")
        await super().swap(connection, faster, expected_etag=there.etag)
        await super().swap(connection, record, expected_etag=expected_etag)


async def test_a_sweep_that_loses_every_race_gives_up() -> None:
    store = ContestedStore()
    await sweep(store)
    assert store.swaps == 5
