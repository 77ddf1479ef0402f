"""Sweeps of several processes at once: they share the connections, and one may be killed."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from domain.grant import Authorized, Grant, tokens_of
from functions.refresh.sweep import MAX_CONCURRENCY
from functions.refresh.sweep_walk import PAGE_SIZE
from ports.store import Record
from tests.functions.keeper_rig import EXPIRED, tokens_with
from tests.records import record_of
from tests.system.deployment import API_KEY, opened_store
from tests.system.loopback import http
from tests.system.stores import StoreKind, WorkersStore
from tests.system.sweep_provider import SweepProvider, sweep_provider
from tests.system.waiting import wait_until
from tests.system.workers import Workers, doors, public_url, running

WORKERS = 3
PAGES = WORKERS
DAY = timedelta(days=1)
CRON = "not-a-real-cron-secret-of-anything"
over_two_stores = pytest.mark.parametrize(
    "store", [StoreKind.SQLITE, StoreKind.REST], indirect=True, ids=lambda kind: kind.value
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweeps:
    """Workers over one store, a provider that counts, and threads that request sweeps."""

    provider: SweepProvider
    workers: Workers
    threads: ThreadPoolExecutor

    def start(self, worker: int) -> Future[Mapping[str, Any]]:
        """Request a sweep of a worker."""
        url = f"{self.workers.urls[worker]}/api/sweep"

        def sweep() -> Mapping[str, Any]:
            answer = http.get(url, headers={"authorization": f"Bearer {CRON}"})
            assert answer.status_code == 200, answer.text
            report: Mapping[str, Any] = answer.json()
            return report

        return self.threads.submit(sweep)

    def write(self, grants: Mapping[str, Grant]) -> None:
        """Store grants over all that is there."""

        async def swap() -> None:
            async with opened_store(self.workers.environment) as store:
                everyone = [*grants]
                for start in range(0, len(everyone), PAGE_SIZE):
                    names = everyone[start : start + PAGE_SIZE]
                    there = [await store.load(name) for name in names]
                    records = [record_of(grants[name], "written") for name in names]
                    await asyncio.gather(
                        *(
                            store.swap(name, record, expected_etag=before.etag)
                            for name, record, before in zip(names, records, there, strict=True)
                        )
                    )

        asyncio.run(swap())

    def records(self, names: Sequence[str]) -> Mapping[str, Record]:
        """Return what is stored."""

        async def load() -> Mapping[str, Record]:
            async with opened_store(self.workers.environment) as store:
                return {name: await store.load(name) for name in names}

        return asyncio.run(load())


@contextmanager
def sweeps(store: WorkersStore, folder: Path) -> Iterator[Sweeps]:
    """Run workers, and a provider for them."""
    with (
        sweep_provider() as provider,
        doors(WORKERS) as opened,
        ThreadPoolExecutor(WORKERS) as threads,
    ):
        environment = {
            "API_KEY": API_KEY,
            "CRON_SECRET": CRON,
            "CLIENT_ID": "sweeps",
            "CLIENT_SECRET": "not-a-real-client-secret",
            "PROVIDER": "custom",
            "AUTHORIZATION_ENDPOINT": f"{provider.url}/authorize",
            "TOKEN_ENDPOINT": f"{provider.url}/token",
            "PUBLIC_URL": public_url(opened),
            **(store.environ or {"SQLITE_PATH": str(folder / "records.sqlite3")}),
        }
        with running(opened, environment, folder) as workers:
            yield Sweeps(provider=provider, workers=workers, threads=threads)


def due_grants(kind: str) -> Mapping[str, Grant]:
    tokens = tokens_with(EXPIRED, refresh_left=2 * DAY)
    names = [f"{kind}-{number:03}" for number in range(PAGES * PAGE_SIZE)]
    return {name: Authorized(tokens=replace(tokens, refresh_token=name)) for name in names}


@over_two_stores
def test_sweeps_of_several_processes_share_the_connections_although_one_is_killed(
    store: WorkersStore, tmp_path: Path
) -> None:
    with sweeps(store, tmp_path) as stage:
        provider, first, second = stage.provider, due_grants("first"), due_grants("second")
        stage.write(first)
        started = [stage.start(worker) for worker in range(WORKERS)]
        # Each has taken a page, and waits for its first requests.
        wait_until(lambda: provider.asked.total() == WORKERS * MAX_CONCURRENCY)
        provider.may_answer.set()
        reports = [each.result() for each in started]
        assert provider.asked == dict.fromkeys(first, 1)
        assert [report["refreshed"] for report in reports] == [PAGE_SIZE] * WORKERS
        assert all(report["is_complete"] for report in reports)

        # One is killed with its first page.
        provider.may_answer.clear()
        stage.write(second)
        killed = stage.start(0)
        wait_until(lambda: provider.asked.total() == len(first) + MAX_CONCURRENCY)
        others = [stage.start(worker) for worker in (1, 2)]
        stage.workers.kill(0)
        assert killed.exception() is not None
        provider.may_answer.set()
        reports = [each.result() for each in others]
        assert set(provider.asked.values()) == {1}
        assert sum(report["refreshed"] for report in reports) == len(second) - PAGE_SIZE

        # Its page is due until the next sweep. Its last requests have no answer.
        records = stage.records([*second])
        left = {name for name in second if not is_refreshed(records[name].grant, name)}
        assert len(left) == PAGE_SIZE
        in_flight = {name for name in left if not isinstance(records[name].grant, Authorized)}
        stage.write({name: second[name] for name in in_flight})
        assert stage.start(1).result()["refreshed"] == len(left)
        records = stage.records([*second])
        assert all(is_refreshed(records[name].grant, name) for name in second)
        assert {name for name, asked in provider.asked.items() if asked > 1} <= in_flight


def is_refreshed(grant: Grant, name: str) -> bool:
    tokens = tokens_of(grant)
    assert tokens is not None
    return tokens.refresh_token == f"{name}-next"
