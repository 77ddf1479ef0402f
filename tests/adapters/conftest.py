"""What the tests of the adapters are run with."""

import pytest


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"
