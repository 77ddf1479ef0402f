"""docs/doctor.md: its command runs the doctor in the environment of `make run`."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.pages import ROOT, block, page
from tests.system.local_server import LocalServer, local_server
from tests.system.simulated_digikey import simulated_digikey

PAGE = page("doctor.md")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[LocalServer]:
    """A server with only a provider set."""
    with simulated_digikey(redirect_uri="http://localhost:8000/api/callback") as provider:
        (tmp_path / ".env").write_text(
            f"CLIENT_ID={provider.client_id}\n"
            f"CLIENT_SECRET={provider.client_secret}\n"
            "PROVIDER=custom\n"
            f"AUTHORIZATION_ENDPOINT={provider.authorization_endpoint}\n"
            f"TOKEN_ENDPOINT={provider.token_endpoint}\n"
        )
        with local_server(tmp_path) as running:
            yield running


def test_the_doctor_has_the_environment_that_make_run_has_filled_in(server: LocalServer) -> None:
    command = block("sh", PAGE, having="./.env").replace(".venv/bin/python", sys.executable)
    printed = server.shell(command, {"PYTHONPATH": str(ROOT)})
    assert "ok       PROVIDER: custom, " in printed
    assert (
        "ok       same store: a login that was started there is in this environment's store"
        in printed
    )
