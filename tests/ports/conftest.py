"""What the contracts are run with."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.ports.store_contract import (
    CROWD_PROCESSES,
    STORES,
    Processes,
    StoreInUse,
    StoreUnderTest,
)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def processes() -> Iterator[Processes]:
    processes = Processes(CROWD_PROCESSES)
    yield processes
    processes.close()


@pytest.fixture(params=STORES, ids=[kind.name for kind in STORES])
async def in_use(
    request: pytest.FixtureRequest, tmp_path: Path, processes: Processes
) -> AsyncIterator[StoreInUse]:
    kind = request.param
    assert isinstance(kind, StoreUnderTest)
    store = StoreInUse(kind, tmp_path, processes)
    yield store
    await store.close()
