"""A worker is killed while it adopts a token: the earlier grant and the token both stay."""

import asyncio
import json
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from random import Random
from time import sleep
from uuid import uuid4

import httpx
import pytest

from domain.grant import Adopting, Authorized, Grant, Refreshing
from ports.store import Record
from tests.functions.commands import environ_in
from tests.functions.grants import fresh
from tests.functions.token_endpoint import TokenEndpoint, token_endpoint
from tests.system.deployment import opened_store
from tests.system.loopback import http
from tests.system.waiting import wait_until
from tests.system.workers import Workers, doors, running
from tests.thorough import times

ROUNDS = times(20, usually=4)
SEED = 5
# In seconds. An adoption takes about so long.
LATEST_KILL = 0.15
TOKEN = "a-token-from-elsewhere"
LEASE = timedelta(seconds=61)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rig:
    """One worker, its provider and its store."""

    workers: Workers
    endpoint: TokenEndpoint
    pool: ThreadPoolExecutor

    def record(self, connection: str) -> Record:
        """Return what is stored."""

        async def load() -> Record:
            async with opened_store(self.workers.environment) as store:
                return await store.load(connection)

        return asyncio.run(load())

    def rewrite(self, connection: str, change: Callable[[Grant], Grant]) -> None:
        """Replace what is stored."""

        async def swap() -> None:
            async with opened_store(self.workers.environment) as store:
                there = await store.load(connection)
                changed = replace(there, grant=change(there.grant), etag=uuid4().hex)
                await store.swap(connection, changed, expected_etag=there.etag)

        asyncio.run(swap())

    def adopt(self, connection: str) -> httpx.Response:
        """Send the token."""
        body = json.dumps({"refresh_token": TOKEN}).encode()
        url = f"{self.workers.urls[0]}/api/adopt?connection={connection}&replace=true"
        return http.post(url, headers={"x-api-key": self.workers.api_key}, content=body)

    def adopt_meanwhile(self, connection: str) -> Future[None]:
        """Send the token, whose answer is lost with the worker."""

        def send() -> None:
            with suppress(httpx.TransportError):
                self.adopt(connection)

        return self.pool.submit(send)

    def token(self, connection: str) -> str:
        """Ask for the access token."""
        url = f"{self.workers.urls[0]}/api/token?connection={connection}"
        answer = http.get(url, headers={"x-api-key": self.workers.api_key})
        return str(answer.raise_for_status().json()["access_token"])

    def restart(self) -> None:
        """Kill the worker, and start it again."""
        self.workers.kill(0)
        self.workers.start(0)


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    """A worker over a SQLite file."""
    with token_endpoint() as endpoint, doors(1) as opened, ThreadPoolExecutor() as pool:
        environ = {**environ_in(tmp_path), **endpoint.environ}
        with running(opened, environ, tmp_path) as workers:
            yield Rig(workers=workers, endpoint=endpoint, pool=pool)


def end_lease(grant: Grant) -> Grant:
    """Return the grant as it is after the lease of the killed worker."""
    if not isinstance(grant, Adopting) or not isinstance(grant.grant, Refreshing):
        return grant
    attempt = grant.grant.attempt
    earlier = replace(attempt, started_at=attempt.started_at - LEASE)
    return replace(grant, grant=replace(grant.grant, attempt=earlier))


def test_a_kill_during_the_proof_leaves_the_earlier_grant_and_the_token(rig: Rig) -> None:
    earlier = fresh()
    rig.rewrite("default", lambda _: earlier)
    with rig.endpoint.held():
        sent = rig.adopt_meanwhile("default")
        wait_until(lambda: len(rig.endpoint.seen) == 1)
        rig.restart()
    sent.result()
    waiting = rig.record("default").grant
    assert isinstance(waiting, Adopting)
    assert waiting.earlier == earlier
    assert rig.token("default") == earlier.tokens.access_token
    assert len(rig.endpoint.seen) == 1
    rig.rewrite("default", end_lease)
    assert rig.adopt("default").raise_for_status().json()["state"] == "fresh"
    assert [seen.form["refresh_token"] for seen in rig.endpoint.seen] == [TOKEN, TOKEN]
    assert rig.token("default") == rig.endpoint.given[-1]["access_token"]


def test_a_kill_at_any_moment_leaves_a_grant_and_the_token(rig: Rig) -> None:
    random = Random(SEED)  # noqa: S311  # moments are to be repeatable, not secret
    for number in range(ROUNDS):
        connection, earlier = f"connection-{number}", fresh()
        rig.rewrite(connection, lambda _, earlier=earlier: earlier)  # type: ignore[misc]
        sent = rig.adopt_meanwhile(connection)
        sleep(random.uniform(0, LATEST_KILL))
        rig.restart()
        sent.result()
        left = rig.record(connection).grant
        if isinstance(left, Adopting):
            assert left.earlier == earlier
        else:
            assert isinstance(left, Authorized)
            assert left == earlier or left.tokens.adopted is not None
        rig.rewrite(connection, end_lease)
        assert rig.adopt(connection).raise_for_status().json()["state"] == "fresh"
        assert rig.token(connection) != earlier.tokens.access_token
