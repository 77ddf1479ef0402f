"""digikey-api and KiCost, unchanged, with several tokens in one run: docs/recipes.

All tools run at the same time, each against a front of its own, by the lines of its page.
"""

import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest

from tests.docs.test_commands import log_in
from tests.recipes.front import digikey_front
from tests.recipes.runs import (
    PARTS,
    Run,
    cache_of,
    command_of,
    prepare_kicost,
    prepare_script,
    start,
)
from tests.system.local_server import LocalServer, local_server
from tests.system.loopback import http
from tests.system.waiting import wait_until

# The keeper replaces a token at half of its life at the latest: a busy machine has the other half.
LIFE = 12.0
TOKENS = 4
# Between the requests of a script. Digi-Key allows 120 a minute in all.
PAUSE = 1.0
BY_SHIM = command_of("kicost.md", having="shims")
# The name of a run: the tool, the lines, what it finds there, and the seconds of each answer.
RUNS: Mapping[str, tuple[str, str, Callable[[Path], None], float]] = {
    "digikey-api, file": (
        "digikey-api",
        command_of("digikey-api.md", having="--sink digikey-api:"),
        prepare_script,
        PAUSE,
    ),
    "digikey-api, shim": (
        "digikey-api",
        command_of("digikey-api.md", having="shims"),
        prepare_script,
        PAUSE,
    ),
    "KiCost 3, shim": ("kicost", BY_SHIM, partial(prepare_kicost, version=3), LIFE / 3),
    "KiCost 4, shim": ("kicost", BY_SHIM, prepare_kicost, LIFE / 3),
    "KiCost 4, file": (
        "kicost",
        command_of("kicost.md", having="--sink"),
        prepare_kicost,
        LIFE / 3,
    ),
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    """A server whose tokens are valid for seconds."""
    with local_server(tmp_path_factory.mktemp("keeper")) as running:
        change(running, lifetimes={"access_token": LIFE})
        log_in(running)
        yield running


def change(server: LocalServer, **settings: object) -> None:
    """Change the simulated Digi-Key."""
    http.post(f"{server.address}/simulated-digikey/_control", json=settings).raise_for_status()


@pytest.fixture(scope="module")
def runs(
    server: LocalServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Mapping[str, Run]]:
    """All tools, started."""
    folder = tmp_path_factory.mktemp("tools")
    started = {}
    with ExitStack() as stack:
        for name, (tool, command, prepare, delay) in RUNS.items():
            home = folder / name
            prepare(home)
            front = stack.enter_context(digikey_front(server, folder / f"{name}: front", delay))
            run = start(command, tool, front, server, home, STOP=str(home / "stop"))
            stack.callback(run.kill)
            started[name] = run
        yield started


@pytest.mark.parametrize("name", ["digikey-api, file", "digikey-api, shim"])
def test_script_works_with_the_tokens_of_three_lifetimes(
    runs: Mapping[str, Run], name: str
) -> None:
    run = runs[name]
    wait_until(lambda: len(run.front.tokens) >= TOKENS or run.process.poll() is not None)
    (run.folder / "stop").touch()
    printed = run.output()
    assert (run.process.returncode, run.front.statuses) == (0, {200}), printed
    assert printed == f"{len(run.front.seen)} calls\n"
    assert len(run.front.tokens) >= TOKENS


@pytest.mark.parametrize("name", ["KiCost 3, shim", "KiCost 4, shim", "KiCost 4, file"])
def test_kicost_prices_all_parts_with_the_tokens_of_three_lifetimes(
    runs: Mapping[str, Run], name: str
) -> None:
    run = runs[name]
    printed = run.output()
    assert (run.process.returncode, run.front.statuses) == (0, {200}), printed
    assert len(run.front.tokens) >= TOKENS
    with zipfile.ZipFile(run.folder / "costs.xlsx") as workbook:
        texts = workbook.read("xl/sharedStrings.xml").decode()
    assert [part for part in PARTS if part not in texts] == []


def test_kicost_stops_without_a_token_and_stores_no_failure(
    server: LocalServer, runs: Mapping[str, Run], tmp_path: Path
) -> None:
    for run in runs.values():
        run.output()
    life, parts, home = 2.0, PARTS[:2], tmp_path / "home"
    change(server, lifetimes={"access_token": life})
    log_in(server)
    prepare_kicost(home, parts=parts)
    with digikey_front(server, tmp_path / "front", life) as front:
        # After the first part, the login ends at the provider, and so does the token.
        front.after_answer = lambda: change(server, revoke_grants=True)
        run = start(BY_SHIM, "kicost", front, server, home)
        printed = run.output()
    assert run.process.returncode == 5, printed
    assert "No token: " in printed
    assert [secret for secret in (server.api_key, *front.tokens) if secret in printed] == []
    assert front.statuses == {200}
    stored = " ".join(path.name for path in cache_of(home).iterdir())
    assert [part for part in parts if part in stored] == [parts[0]]
