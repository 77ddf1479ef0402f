"""A request ends with what it has itself begun, and with nothing that others have."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
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
from functions.refresh import recorder, sharing
from functions.refresh.sharing import SharedTasks, collect_tasks
from functions.settings.settings import Settings
from functions.wiring import Wiring
from ports.store import StoreUnavailableError
from tests.domain.examples import RESPONSE
from tests.functions.bench import EXPIRED, NEAR_ITS_END, ScriptedServer, tokens_with
from tests.functions.hosts import AsgiTransport
from tests.records import record_of

API_KEY = "not-a-real-api-key-of-anything"
STRANGERS = 200


@dataclass(kw_only=True)
class Instance:
    """One instance whose provider answers when it may, and who of its requests has not ended."""

    transport: AsgiTransport
    application: Application
    wiring: Wiring
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    may_answer: asyncio.Event = field(default_factory=asyncio.Event)

    async def get(self, path: str, **headers: str) -> httpx.Response:
        """Ask, and let all that ends with the answer end."""
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
    def unended(self) -> int:
        """How many requests were not left by the application yet."""
        return len(self.transport._running)

    async def stored_token(self) -> str:
        """The access token in the store."""
        tokens = tokens_of((await self.wiring.store.load("default")).grant)
        assert tokens is not None
        return tokens.access_token

    async def reply(self) -> Outcome:
        """Answer a token request."""
        self.asked.set()
        await self.may_answer.wait()
        return RESPONSE


@asynccontextmanager
async def instance(folder: Path, *, left: timedelta) -> AsyncIterator[Instance]:
    """Run one whose token has so much left."""
    environ = {
        "CLIENT_ID": "client",
        "CLIENT_SECRET": "a-secret-of-the-tests",
        "API_KEY": API_KEY,
        "SQLITE_PATH": str(folder / "grants.sqlite"),
    }
    application = Application(ROUTES, partial(Settings.from_environ, environ))
    transport = AsgiTransport(application)
    await transport.start()
    wiring = await application._parts.get()
    running = Instance(transport=transport, application=application, wiring=wiring)
    vars(wiring)["_server"] = ScriptedServer(running.reply)
    grant = Authorized(tokens=tokens_with(left))
    await wiring.store.swap("default", record_of(grant, "first"), expected_etag=None)
    try:
        yield running
    finally:
        running.may_answer.set()
        await transport.stop()


def test_who_asks_for_something_else_does_not_wait_for_a_refresh(tmp_path: Path) -> None:
    async def run() -> None:
        async with instance(tmp_path, left=NEAR_ITS_END) as it:
            assert await it.token() == "access-7"
            await it.asked.wait()
            tasks = len(asyncio.all_tasks())
            for _ in range(STRANGERS):
                assert (await it.get("/api/health")).status_code == httpx.codes.OK
            assert it.unended == 1
            assert len(asyncio.all_tasks()) == tasks

    asyncio.run(run())


def test_who_joins_a_refresh_does_not_wait_for_it_behind_the_answer(tmp_path: Path) -> None:
    async def run() -> None:
        async with instance(tmp_path, left=NEAR_ITS_END) as it:
            assert {await it.token() for _ in range(20)} == {"access-7"}
            assert it.unended == 1

    asyncio.run(run())


def test_who_begins_a_refresh_waits_for_it_until_it_is_stored(tmp_path: Path) -> None:
    async def run() -> None:
        async with instance(tmp_path, left=NEAR_ITS_END) as it:
            assert await it.token() == "access-7"
            [first] = it.transport._running
            it.may_answer.set()
            await first
            assert await it.stored_token() == "access-8"

    asyncio.run(run())


def test_only_who_began_a_refresh_waits_for_a_store_that_is_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder, "SWAP_RETRIES", ())
    monkeypatch.setattr(recorder, "LATE_RETRIES", (timedelta(milliseconds=1),) * 10_000)

    async def run() -> None:
        async with instance(tmp_path, left=EXPIRED) as it:
            callers = [asyncio.create_task(it.token()) for _ in range(20)]
            await it.asked.wait()
            swap = it.wiring.store.swap
            monkeypatch.setattr(it.wiring.store, "swap", no_store)
            it.may_answer.set()
            assert set(await asyncio.gather(*callers)) == {"access-8"}
            assert it.unended == 1
            [first] = it.transport._running
            monkeypatch.setattr(it.wiring.store, "swap", swap)
            await first
            assert await it.stored_token() == "access-8"

    asyncio.run(run())


async def no_store(*_: object, **__: object) -> None:
    raise StoreUnavailableError("planned")


def test_wait_behind_an_answer_ends_and_the_refresh_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sharing, "FINISH_LIMIT", timedelta(milliseconds=10))

    async def run() -> None:
        async with instance(tmp_path, left=NEAR_ITS_END) as it:
            assert await it.token() == "access-7"
            [first] = it.transport._running
            await first
            it.may_answer.set()
            await it.wiring.finish()
            assert await it.stored_token() == "access-8"

    asyncio.run(run())
    assert "still runs after" in caplog.text


def test_application_closes_though_the_provider_hangs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run() -> None:
        async with instance(tmp_path, left=NEAR_ITS_END) as it:
            assert await it.token() == "access-7"
            await it.asked.wait()
            monkeypatch.setattr(sharing, "FINISH_LIMIT", timedelta(milliseconds=10))
            # What comes afterwards finds the store closed, for the two minutes of these.
            monkeypatch.setattr(recorder, "LATE_RETRIES", ())
            await it.application.close()
            assert await it.application._parts.get() is not it.wiring
            await it.application.close()

    asyncio.run(run())


@pytest.mark.parametrize("must_end", [True, False])
def test_what_is_begun_belongs_to_who_began_it_and_so_does_what_that_begins(
    must_end: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    async def run() -> None:
        shared: SharedTasks[None] = SharedTasks(must_end=must_end)
        may_end = asyncio.Event()

        async def outer() -> None:
            shared.start("inner", waiting)

        async def waiting() -> None:
            await may_end.wait()

        async def request(work: Callable[[], Coroutine[None, None, None]]) -> None:
            with collect_tasks() as begun:
                await asyncio.shield(shared.start("outer", work))
                await begun.finish()

        first = asyncio.create_task(request(outer))
        await asyncio.sleep(0)
        joining = asyncio.create_task(request(outer))
        await asyncio.sleep(0.01)
        assert joining.done()
        assert first.done() is not must_end
        may_end.set()
        await first
        await shared.finish()

    asyncio.run(run())
