"""One Chromium and one `make run` for all tests of this folder, which run in one process."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from tests.browser import showcase as shown
from tests.browser.chromium import PACKAGES, chromium, program
from tests.browser.visits import Visit, visit
from tests.needs import cannot_run, set_up
from tests.system.local_server import LocalServer, local_server
from tests.system.loopback import free_port

if TYPE_CHECKING:
    from playwright.sync_api import Browser

OpenVisit = Callable[..., Visit]

TITLE_FILE = "alert-title"
"""The file of the server's folder with the title of the last alert."""
_CHANNELS = [
    {
        "kind": "command",
        "name": "desk",
        "events": ["sweep.overdue"],
        "command": ["sh", "-c", f'printf %s "$ALERT_TITLE" > {TITLE_FILE}'],
    },
    {"kind": "command", "name": "broken", "events": ["sweep.overdue"], "command": ["false"]},
]


@pytest.fixture(scope="package")
def showcase_port() -> int:
    """The port of this machine at which Chromium looks for the showcase."""
    return free_port()


@pytest.fixture(scope="package")
def browser(showcase_port: int) -> "Iterator[Browser]":
    """A Chromium. It ends with the tests of this folder: others need the thread's event loop."""
    if program() is None:
        set_up("browser")
    path = program()
    if path is None:
        cannot_run(f"the pages need Chromium: as root, apt-get install {PACKAGES[0]}")
    with chromium(path, hosts={shown.HOST: showcase_port}) as running:
        yield running


@pytest.fixture(scope="package")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    """A server of `make run`, with its simulated Digi-Key on the same origin."""
    folder, variables = tmp_path_factory.mktemp("deployment"), {"ALERTS": json.dumps(_CHANNELS)}
    with local_server(folder, variables=variables) as running:
        yield running


@pytest.fixture(scope="package")
def showcase(showcase_port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a deployment with a connection in each state, whose clock stands still."""
    with shown.showcase(showcase_port, tmp_path_factory.mktemp("showcase")):
        yield shown.ADDRESS


@pytest.fixture
def open_visit(browser: "Browser", server: LocalServer) -> Iterator[OpenVisit]:
    """Opens windows without cookies. At the end, none may have left the origin or complained."""
    opened = list[Visit]()
    with ExitStack() as stack:

        def enter(origin: str = server.address, **options: Any) -> Visit:
            opened.append(stack.enter_context(visit(browser, origin, **options)))
            return opened[-1]

        yield enter
    for each in opened:
        assert each.others() == []
        assert each.complaints == []


@pytest.fixture
def visitor(open_visit: OpenVisit) -> Visit:
    """A window of a desk, with light colours and scripts."""
    return open_visit()
