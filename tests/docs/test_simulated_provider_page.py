"""docs/simulated-provider.md: its commands, tables and names match the simulation."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from infra.local.simulated.control import Change, Fault, LifetimesChange
from infra.local.simulated.digikey_parts import PARTS
from infra.local.simulated.paths import prefix_of
from tests.docs.pages import ROOT, block, first_cells, page
from tests.system.local_server import LocalServer, local_server
from tests.system.loopback import free_port, http

PAGE = page("simulated-provider.md")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    """The simulated Digi-Key of `make run`."""
    with local_server(tmp_path_factory.mktemp("newcomer")) as running:
        yield running


def test_the_first_command_plays_the_preset(tmp_path: Path) -> None:
    command = block("sh", PAGE, having="make run").split()
    assert command[:2] == ["make", "run"]
    name, _, value = command[2].partition("=")
    with local_server(tmp_path, variables={name: value}) as running:
        assert f"provider: a simulated {value}\n" in running.greeting
        assert f"http://localhost:8000{prefix_of(value)}/" in PAGE
        assert http.get(f"{running.address}{prefix_of(value)}/").is_success


def test_the_control_command_changes_the_settings(server: LocalServer) -> None:
    changed = json.loads(server.shell(block("sh", PAGE, having="_control")))
    assert changed["lifetimes"]["access_token"] == 10
    assert changed["faults"] == ["lose-answer"]
    http.post(f"{server.address}/simulated-digikey/_control", json={"clear_faults": True})


def test_the_table_has_the_members_of_a_change_and_their_values() -> None:
    assert sorted(first_cells("## Change it while it runs", PAGE)) == sorted(Change.model_fields)
    rows = PAGE.split("## Change it while it runs")[1].splitlines()
    lifetimes, faults = (
        next(row for row in rows if row.startswith(f"| `{name}`"))
        for name in ("lifetimes", "faults")
    )
    assert {f"`{name}`" for name in LifetimesChange.model_fields} <= set(_words(lifetimes))
    assert {f"`{fault}`" for fault in Fault} <= set(_words(faults))


def _words(row: str) -> list[str]:
    return re.findall("`[^`]+`", row)


def test_the_commands_read_products_with_a_token_of_the_client(server: LocalServer) -> None:
    found = server.shell(block("sh", PAGE, having="client_credentials"))
    search, details = re.findall(r"\{.*?\}(?=\{\"SearchLocaleUsed|$)", found.strip())
    (product,) = json.loads(search)["Products"]
    assert product["ManufacturerProductNumber"] == "LM358P"
    assert json.loads(details)["Product"] == product
    assert (len(PARTS), "with six parts" in PAGE) == (6, True)


def test_a_provider_alone_answers_at_its_port() -> None:
    port = free_port()
    command = block("sh", PAGE, having="infra.local.simulated").strip()
    there = command.replace(".venv/bin/python", f"exec {sys.executable}").replace("9000", str(port))
    process = subprocess.Popen(["bash", "-ec", there], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        assert address == f"http://127.0.0.1:{port}{prefix_of('google')}"
        assert http.get(f"{address}/_control").json()["preset"] == "google"
    finally:
        process.terminate()
        process.communicate()


def test_a_preset_that_is_unknown_has_a_clear_end() -> None:
    command = [sys.executable, "-m", "infra.local.simulated", "--provider", "gogle"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "similar to google" in ended.stderr


def test_a_token_of_another_provider_is_no_current_one(server: LocalServer) -> None:
    there = f"{server.address}/simulated-digikey/products/v4/search/LM358P/productdetails"
    headers = {"authorization": "Bearer another", "x-digikey-client-id": "simulated-client"}
    assert http.get(there, headers=headers).status_code == httpx.codes.UNAUTHORIZED
