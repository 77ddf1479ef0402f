"""A request waits for the work that it started itself, and for no other."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path

import httpx
import pytest

from domain.grant import Authorized, tokens_of
from domain.token_endpoint import Outcome
from functions.application import Application
from functions.asgi import ROUTES
from functions.refresh import recorder, shared_tasks
from functions.refresh.shared_tasks import SharedTasks, collect_tasks
from functions.settings.settings import Settings
from functions.wiring import Wiring
from ports.store import StoreUnavailableError
from tests.domain.examples import RESPONSE
from tests.functions.hosts import AsgiTransport
from tests.functions.keeper_rig import EXPIRED, NEAR_ITS_END, ScriptedServer, tokens_with
from tests.records import record_of

pytestmark = pytest.mark.anyio

API_KEY = "not-a-real-api-key-of-anything"
OTHER_REQUESTS = 50


@dataclass(kw_only=True)
class Instance:
    """One instance, whose provider answers when it may."""

    transport: AsgiTransport
    application: Application
    wiring: Wiring
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    may_answer: asyncio.Event = field(default_factory=asyncio.Event)

    async def get(self, path: str, **headers: str) -> httpx.Response:
        """Send a request, and wait for the work that ends with its response."""
        request = httpx.Request("GET", f"http://instance{path}", headers=headers)
        response = await self.transport.handle_async_request(request)
        for _ in range(10):
            await asyncio.sleep(0)
        return response

    async def token(self) -> str:
        """Ask for a token, and return it."""
        response = await self.get("/api/token", **{"x-api-key": API_KEY})
        assert response.status_code == httpx.codes.OK, response.text
        return str(response.json()["access_token"])

    @property
    def running(self) -> list[asyncio.Task[None]]:
        """The requests that the application still works on."""
        return list(self.transport._running)

    async def stored_token(self) -> str:
        """Return the access token in the store."""
        tokens = tokens_of((await self.wiring.store.load("default")).grant)
        assert tokens is not None
        return tokens.access_token

    async def reply(self) -> Outcome:
        """Answer a token request."""
        self.asked.set()
        await self.may_answer.wait()
        return RESPONSE


@pytest.fixture
def left() -> timedelta:
    """The remaining lifetime of the access token: a refresh starts behind the response."""
    return NEAR_ITS_END


@pytest.fixture
async def it(tmp_path: Path, left: timedelta) -> AsyncIterator[Instance]:
    """An instance with a token."""
    environ = {
        "CLIENT_ID": "client",
        "CLIENT_SECRET": "a-secret-of-the-tests",
        "API_KEY": API_KEY,
        "SQLITE_PATH": str(tmp_path / "grants.sqlite"),
    }
    application = Application(ROUTES, partial(Settings.from_environ, environ))
    transport = AsgiTransport(application)
    await transport.start()
    wiring = await application._parts.get()
    it = Instance(transport=transport, application=application, wiring=wiring)
    vars(wiring.client(None))["_server"] = ScriptedServer(it.reply)
    grant = Authorized(tokens=tokens_with(left))
    await wiring.store.swap("default", record_of(grant, "first"), expected_etag=None)
    yield it
    it.may_answer.set()
    await transport.stop()


async def test_request_for_something_else_does_not_wait_for_a_refresh(it: Instance) -> None:
    assert await it.token() == "access-7"
    await it.asked.wait()
    tasks = len(asyncio.all_tasks())
    for _ in range(OTHER_REQUESTS):
        assert (await it.get("/api/health")).status_code == httpx.codes.OK
    assert len(it.running) == 1
    assert len(asyncio.all_tasks()) == tasks


async def test_only_the_first_request_waits_for_its_refresh_until_it_is_stored(
    it: Instance,
) -> None:
    assert {await it.token() for _ in range(20)} == {"access-7"}
    [first] = it.running
    it.may_answer.set()
    await first
    assert await it.stored_token() == "access-8"


@pytest.mark.parametrize("left", [EXPIRED], ids=["expired"])
async def test_only_the_request_that_started_a_refresh_waits_for_a_store_that_is_down(
    it: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder, "SWAP_RETRIES", ())
    monkeypatch.setattr(recorder, "LATE_RETRIES", (timedelta(milliseconds=1),) * 60_000)
    callers = [asyncio.create_task(it.token()) for _ in range(20)]
    await it.asked.wait()
    with monkeypatch.context() as outage:
        outage.setattr(it.wiring.store, "swap", no_store)
        it.may_answer.set()
        assert set(await asyncio.gather(*callers)) == {"access-8"}
        [first] = it.running
    await first
    assert await it.stored_token() == "access-8"


async def no_store(*_: object, **__: object) -> None:
    raise StoreUnavailableError("planned")


async def test_wait_after_a_response_is_limited_and_the_refresh_continues(
    it: Instance, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(shared_tasks, "FINISH_LIMIT", timedelta(milliseconds=10))
    assert await it.token() == "access-7"
    [first] = it.running
    await first
    assert "still runs after" in caplog.text
    it.may_answer.set()
    await it.wiring.finish()
    assert await it.stored_token() == "access-8"


async def test_application_closes_though_the_provider_hangs(
    it: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await it.token() == "access-7"
    await it.asked.wait()
    monkeypatch.setattr(shared_tasks, "FINISH_LIMIT", timedelta(milliseconds=10))
    # The late writes find a closed store, and would retry for two minutes.
    monkeypatch.setattr(recorder, "LATE_RETRIES", ())
    await it.application.close()
    assert await it.application._parts.get() is not it.wiring
    await it.application.close()


@pytest.mark.parametrize("must_end", [True, False])
async def test_task_belongs_to_the_request_that_started_it_directly_or_not(
    *, must_end: bool
) -> None:
    shared: SharedTasks[None] = SharedTasks(must_end=must_end)
    may_end = asyncio.Event()

    async def outer() -> None:
        shared.start("inner", inner)

    async def inner() -> None:
        await may_end.wait()

    async def request(work: Callable[[], Coroutine[None, None, None]]) -> None:
        with collect_tasks() as begun:
            await asyncio.shield(shared.start("outer", work))
            await begun.finish()

    first = asyncio.create_task(request(outer))
    await asyncio.sleep(0)
    async with asyncio.timeout(60):
        await request(outer)
    assert first.done() is not must_end
    may_end.set()
    await first
    await shared.finish()
