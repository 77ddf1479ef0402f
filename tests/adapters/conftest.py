"""What the tests of the adapters are run with."""

from collections.abc import Iterator

import pytest

from tests.ports.store_contract import CROWD_PROCESSES, Processes


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def processes() -> Iterator[Processes]:
    processes = Processes(CROWD_PROCESSES)
    yield processes
    processes.close()
