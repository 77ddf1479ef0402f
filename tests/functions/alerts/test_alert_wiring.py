"""The parts of a deployment with channels: its messages, and what a fresh token costs there."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from domain.alert_book import AlertBook, Owed
from domain.alerts import Alert, AlertKind
from domain.events import LoginCompleted
from domain.grant import AuthorizationRequired, Authorized, Cause, Grant
from domain.ledger import DONE
from functions.alerts.deployment import load_status
from functions.settings.settings import Settings
from functions.settings.store import SqliteSettings
from functions.wiring import Wiring
from ports.store import Record
from tests.domain.examples import RESPONSE, T0, TOKENS
from tests.functions.alerts.alert_rig import ListedChannel
from tests.functions.alerts.messages import SECRET
from tests.functions.commands import environ_in
from tests.functions.grants import fresh

pytestmark = pytest.mark.anyio

API_KEY = "not-a-real-api-key-of-anything"
PUBLIC_URL = "https://keeper.test"
REQUIRED = AuthorizationRequired(
    tokens=TOKENS, cause=Cause.REFRESH_TOKEN_REJECTED, client="c", since=T0
)

LOGIN = LoginCompleted(response=RESPONSE, requested_at=T0)


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {
        "CLIENT_ID": "c",
        "CLIENT_SECRET": "s",
        "API_KEY": API_KEY,
        "SQLITE_PATH": str(tmp_path / "grants.sqlite"),
        "PUBLIC_URL": PUBLIC_URL,
    }


@pytest.fixture
async def wiring(environ: dict[str, str]) -> AsyncIterator[Wiring]:
    made = Wiring(Settings.from_environ(environ))
    yield made
    await made.close()


async def change(wiring: Wiring, grant: Grant) -> None:
    recorder = wiring.client_of("default").recorder
    record = await recorder.load("default")
    await recorder.swap("default", record, grant, None, now=wiring.clock.now())
    await wiring.finish()


async def test_a_message_names_the_provider_and_has_a_link_where_a_login_helps(
    wiring: Wiring,
) -> None:
    channel = ListedChannel("one")
    vars(wiring.alerting)["channels"] = [channel]
    await change(wiring, REQUIRED)
    await change(wiring, fresh())
    login, recovered = channel.took
    assert (login.alert.kind, login.connection, login.provider, login.source) == (
        AlertKind.LOGIN_NEEDED,
        "default",
        "Digi-Key",
        PUBLIC_URL,
    )
    assert recovered.alert.kind is AlertKind.RECOVERED
    assert recovered.link is None
    assert login.link is not None
    url = urlsplit(login.link)
    assert f"{url.scheme}://{url.netloc}{url.path}" == f"{PUBLIC_URL}/api/login"
    link = await wiring.links.read(parse_qs(url.query)["link"][0])
    assert (link.connection, link.read) == ("default", 0)
    assert login.link not in repr(login)


async def test_a_delivery_after_an_answer_is_on_the_page_before_the_next_sweep(
    wiring: Wiring,
) -> None:
    vars(wiring.alerting)["channels"] = [ListedChannel("one")]
    await change(wiring, REQUIRED)
    status = await load_status(wiring.store)
    assert {name: last.outcome for name, last in status.channels.items()} == {"one": DONE}
    assert status.sweep_ended_at is None


async def test_a_channel_that_cannot_be_made_costs_no_token_and_no_other_channel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "adapters.webhook_signatures", None)
    slack = {"kind": "slack", "url": "https://hooks.slack.test/not-a-real-hook"}
    environ = environ_in(
        tmp_path,
        ALERTS=json.dumps([slack]),
        ALERT_WEBHOOK_URL="https://hooks.example.test/not-a-real-hook",
        ALERT_WEBHOOK_SECRET=SECRET,
    )
    wiring = Wiring(Settings.from_environ(environ))
    try:
        assert [channel.name for channel in wiring.alerting.channels] == ["slack"]
        record = await wiring.store.load("default")
        kept = await wiring.client_of("default").recorder.keep("default", record, LOGIN)
    finally:
        await wiring.close()
    assert isinstance(kept.grant, Authorized)
    assert "channel webhook is off: ModuleNotFoundError: " in caplog.text
    assert "not-a-real" not in caplog.text


SLACK = {"kind": "slack", "url": "https://hooks.slack.test/not-a-real-hook"}


@pytest.mark.parametrize(
    "variables",
    [
        pytest.param({"ALERTS": json.dumps([{**SLACK, "kind": "slak"}])}, id="fault"),
        pytest.param(
            {
                "ALERT_WEBHOOK_URL": "https://hooks.example.test/x",
                "ALERT_WEBHOOK_SECRET": SECRET,
            },
            id="unusable",
        ),
    ],
)
async def test_a_sweep_without_a_usable_channel_keeps_what_is_owed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]
) -> None:
    monkeypatch.setitem(sys.modules, "adapters.webhook_signatures", None)
    faulty = Wiring(Settings.from_environ(environ_in(tmp_path, **variables)))
    alert = Alert(id="id", kind=AlertKind.LOGIN_NEEDED, at=T0)
    owed = AlertBook(owed=(Owed(alert=alert, since=T0),))
    record = Record(grant=REQUIRED, etag="etag", ledger=(), alerts=owed)
    await faulty.store.swap("default", record, expected_etag=None)
    assert (await faulty.sweep.run()).skipped == 1
    assert (await faulty.store.load("default")).alerts == owed
    await faulty.close()


async def test_without_channels_no_write_has_alerts(wiring: Wiring) -> None:
    await change(wiring, REQUIRED)
    assert wiring.alerting.duty is None
    assert (await wiring.store.load("default")).alerts is None


FRESH_TOKEN = """
import asyncio, json, sys
from datetime import timedelta
from functions.settings.settings import Settings
from functions.settings.store import SqliteSettings
from functions.wiring import Wiring

async def main(path):
    environ = {"CLIENT_ID": "c", "CLIENT_SECRET": "s", "SQLITE_PATH": path}
    environ["API_KEY"] = sys.argv[2]
    one = {"kind": "slack", "url": "https://hooks.slack.example/services/x"}
    environ["ALERTS"] = json.dumps([{**one, "name": str(number)} for number in range(10)])
    wiring = Wiring(Settings.from_environ(environ))
    trips, load, swap = [], wiring.store.load, wiring.store.swap
    async def counted_load(*args): trips.append("load"); return await load(*args)
    async def counted_swap(*args, **kinds): trips.append("swap"); return await swap(*args, **kinds)
    wiring.store.load, wiring.store.swap = counted_load, counted_swap
    answer = await wiring.client_of("default").keeper.token("default", min_ttl=timedelta(0))
    print(type(answer).__name__, trips)
    print(sorted(name for name in sys.modules if "alert" in name))
    print(len(wiring.alerting.channels))
    await wiring.close()

asyncio.run(main(sys.argv[1]))
"""


async def test_a_fresh_token_costs_one_round_trip_and_no_import_with_ten_channels(
    wiring: Wiring,
) -> None:
    await change(wiring, fresh())
    store = wiring.settings.store
    assert isinstance(store, SqliteSettings)
    command = [sys.executable, "-c", FRESH_TOKEN, str(store.path), API_KEY]
    done = await asyncio.to_thread(
        subprocess.run, command, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == ["Serve ['load']", "[]", "10"]


COLD_START = """
import asyncio, json, os, sys
from functions.application import Application
from functions.endpoints.token import ROUTES

async def main():
    up, received = asyncio.Event(), asyncio.Queue()
    async def started(message): up.set()
    application = Application(ROUTES)
    lifespan = asyncio.create_task(application({"type": "lifespan"}, received.get, started))
    await received.put({"type": "lifespan.startup"})
    await up.wait()

    async def send(message):
        if message["type"] == "http.response.start":
            print(message["status"])
        elif not message.get("more_body"):
            print(json.dumps(sorted(sys.modules)))
    async def receive(): return {"type": "http.request", "body": b""}
    key = (b"x-api-key", os.environ["API_KEY"].encode())
    await application(
        {"type": "http", "method": "GET", "path": "/api/token", "raw_path": b"/api/token",
         "query_string": b"", "headers": [key], "scheme": "http", "client": ("127.0.0.1", 1)},
        receive, send)
    await received.put({"type": "lifespan.shutdown"})
    await lifespan

asyncio.run(main())
"""


async def cold_start(environ: dict[str, str], **more: str) -> tuple[str, list[str], str]:
    """Return the status of a first answer, the modules imported up to its end, and the log."""
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", COLD_START],
        env={**os.environ, **environ, **more},
        capture_output=True,
        text=True,
        check=True,
    )
    status, modules = done.stdout.splitlines()
    return status, json.loads(modules), done.stderr


async def test_a_first_answer_imports_nothing_for_ten_channels(
    wiring: Wiring, environ: dict[str, str]
) -> None:
    await change(wiring, fresh())
    entry = {"kind": "slack", "url": "https://hooks.slack.example/services/x"}
    ten = json.dumps([{**entry, "name": str(number)} for number in range(10)])
    assert await cold_start(environ, ALERTS=ten) == await cold_start(environ)


async def test_a_wrong_channel_is_in_the_log_behind_the_first_answer(
    wiring: Wiring, environ: dict[str, str]
) -> None:
    await change(wiring, fresh())
    status, modules, log = await cold_start(environ, ALERTS='[{"kind": "carrier-pigeon"}]')
    assert status == "200"
    assert "functions.settings.alerts" not in modules
    (line,) = log.splitlines()
    assert "not configured: ALERTS, entry 1" in line
