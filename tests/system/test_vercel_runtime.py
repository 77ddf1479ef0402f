"""Functions in Vercel's own runtime: many callers, settings that are missing, and the end."""

import os
import signal
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import count
from urllib.parse import urlsplit

import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal

from tests.functions.conftest import environ_for
from tests.functions.deployment import Call, Deployment, at, sequence_of
from tests.functions.expect import expect_json, expect_problem, expect_token
from tests.functions.grants import NEAR_END, fresh, over
from tests.functions.hosts import HOSTS, Running
from tests.functions.token_endpoint import TokenEndpoint, token_endpoint
from tests.system.redis_peer import redis_server
from tests.system.simulated_digikey import SimulatedDigiKeyPeer
from tests.system.upstash_front import UpstashPeer, upstash_front
from tests.system.vercel_deployment import BASE_URL, VercelDeployment, vercel_deployment
from tests.system.vercel_runtime import FunctionProcess
from tests.system.waiting import wait_until

CALLERS = 200
# Half of what the store's client has connections for: more than any serial server comes to.
AT_ONCE = 50
# A process that waits for nothing is gone by then.
ENDED_WITHIN_SECONDS = 1.5

# Nobody logs in here.
NO_PROVIDER = SimulatedDigiKeyPeer(
    address="http://localhost:1", client_id="client", client_secret="secret", redirect_uri=""
)
numbers = count()


@dataclass(frozen=True, slots=True, kw_only=True)
class Cloud:
    """A deployment with all that is around it."""

    callers: Deployment
    vercel: VercelDeployment
    store: UpstashPeer
    provider: TokenEndpoint

    @property
    def token(self) -> FunctionProcess:
        """The function behind /api/token, once it has been asked for something."""
        return self.vercel.processes["token"]


@pytest.fixture(scope="module")
def portal() -> Iterator[BlockingPortal]:
    with start_blocking_portal("asyncio") as portal:
        yield portal


@pytest.fixture(scope="module")
def store() -> Iterator[UpstashPeer]:
    with redis_server() as redis, upstash_front(redis) as front:
        yield front


@pytest.fixture
def cloud(portal: BlockingPortal, store: UpstashPeer) -> Iterator[Cloud]:
    with clouds(portal, store) as deploy:
        yield deploy({})


@contextmanager
def clouds(
    portal: BlockingPortal, store: UpstashPeer
) -> Iterator[Callable[[Mapping[str, str | None]], Cloud]]:
    """Deploy with changes to an environment that is in order; None takes a variable away."""
    store.clear_faults()
    with ExitStack() as stack, token_endpoint() as provider:

        def deploy(changes: Mapping[str, str | None]) -> Cloud:
            kept = {"KV_REST_API_URL": store.url, "KV_REST_API_TOKEN": store.token}
            given = {**environ_for(NO_PROVIDER, kept), **provider.environ, **changes}
            environ = {name: value for name, value in given.items() if value is not None}
            vercel = stack.enter_context(vercel_deployment(environ))
            running = Running(
                base_url=BASE_URL, transport=vercel.transport, log=vercel.log, stop=vercel.stop
            )
            callers = Deployment(
                portal=portal,
                host=HOSTS["vercel"],
                running=running,
                environ=environ,
                provider=NO_PROVIDER,
            )
            stack.callback(callers.close)
            return Cloud(callers=callers, vercel=vercel, store=store, provider=provider)

        yield deploy


@pytest.fixture
def connection() -> str:
    """A connection that no other test has."""
    return f"connection-{next(numbers)}"


# --- many callers of one process


def test_two_hundred_callers_are_served_while_another_connection_is_refreshed(
    cloud: Cloud, connection: str
) -> None:
    callers = cloud.callers
    callers.put(f"{connection}-slow", over())
    callers.put(connection, grant := fresh())
    with cloud.provider.held() as go_on, ThreadPoolExecutor() as pool:
        waiting = pool.submit(callers.together, sequence_of(callers, f"{connection}-slow", 20))
        wait_until(lambda: bool(cloud.provider.seen))
        # All of these are answered while the provider has not answered: it must not.
        answers = callers.together(sequence_of(callers, connection, CALLERS))
        assert {expect_token(answer) for answer in answers} == {grant.tokens.access_token}
        assert not waiting.done()
        go_on.set()
        tokens = {expect_token(answer) for answer in waiting.result()}
    assert tokens == {cloud.provider.given[0]["access_token"]}
    assert len(cloud.provider.seen) == 1
    assert list(cloud.vercel.processes) == ["token"]


def test_callers_do_not_wait_for_one_anothers_answers_of_the_store(
    cloud: Cloud, connection: str
) -> None:
    callers = cloud.callers
    names = [f"{connection}-{number}" for number in range(CALLERS)]
    for name in names:
        callers.put(name, fresh())
    calls = [
        Call(method="GET", target=at("/api/token", connection=name), headers=(callers.key,))
        for name in names
    ]
    cloud.store.plan_fault("delay-answer:1*")
    with ThreadPoolExecutor() as pool:
        asked = pool.submit(callers.together, calls)
        wait_until(lambda: cloud.store.stats().in_flight >= AT_ONCE)
        cloud.store.clear_faults()
        tokens = {expect_token(answer) for answer in asked.result()}
    assert len(tokens) == CALLERS


# --- settings


@pytest.mark.parametrize("name", ["CLIENT_SECRET", "API_KEY", "KV_REST_API_TOKEN"])
def test_function_without_a_variable_reports_it_and_keeps_running(
    portal: BlockingPortal, store: UpstashPeer, name: str
) -> None:
    with clouds(portal, store) as deploy:
        cloud = deploy({name: None})
        pids = set()
        for _ in range(3):
            answer = cloud.callers.call("GET", "/api/token", ("x-api-key", "any"))
            assert name in expect_problem(answer, 500, "not-configured")["detail"]
            pids.add(cloud.token.pid)
        assert cloud.token.is_running
        assert len(pids) == 1


# --- the end of a process


def test_end_waits_for_the_tokens_of_a_refresh_behind_an_answer(
    cloud: Cloud, connection: str
) -> None:
    callers = cloud.callers
    callers.put(connection, grant := fresh())
    callers.age(connection, by=NEAR_END)
    with cloud.provider.held():
        assert expect_token(callers.token(connection)) == grant.tokens.access_token
        wait_until(lambda: bool(cloud.provider.seen))
        tell_to_end(cloud.token)
    wait_until(lambda: not cloud.token.is_running)
    expect_stored(cloud, connection)


def test_end_waits_for_the_answer_to_a_caller_of_a_refresh(cloud: Cloud, connection: str) -> None:
    callers = cloud.callers
    callers.put(connection, over())
    with ThreadPoolExecutor() as pool:
        with cloud.provider.held():
            waiting = pool.submit(callers.token, connection)
            wait_until(lambda: bool(cloud.provider.seen))
            tell_to_end(cloud.token)
        assert expect_token(waiting.result()) == cloud.provider.given[0]["access_token"]
    wait_until(lambda: not cloud.token.is_running)
    expect_stored(cloud, connection)


def tell_to_end(process: FunctionProcess) -> None:
    """Send SIGTERM, and wait until it has been understood: a connection that is idle is closed."""
    parts = urlsplit(process.address)
    with socket.create_connection((str(parts.hostname), int(parts.port or 0))) as idle:
        idle.sendall(b"GET /api/health HTTP/1.1\r\nHost: x\r\n\r\n")
        # This function has one endpoint, and not that one.
        assert idle.recv(65536).startswith(b"HTTP/1.1 404")
        os.kill(process.pid, signal.SIGTERM)
        while idle.recv(65536):
            pass
    time.sleep(ENDED_WITHIN_SECONDS)
    assert process.is_running


def expect_stored(cloud: Cloud, connection: str) -> None:
    """Expect the store to have what the provider gave, of which it was asked for once."""
    [given] = cloud.provider.given
    stored = cloud.callers.tokens(connection)
    assert (stored.access_token, stored.refresh_token) == (
        given["access_token"],
        given["refresh_token"],
    )
    assert stored.generation == 1


# --- one function for each endpoint


def test_request_starts_the_function_that_it_is_for_and_no_other(cloud: Cloud) -> None:
    callers = cloud.callers
    assert callers.call("GET", "/functions/vercel/token.py").status_code == 404
    assert not cloud.vercel.processes
    expect_json(callers.call("GET", "/api/health/"))
    expect_problem(callers.get("/api/token/"), 401, "authorization-required")
    assert list(cloud.vercel.processes) == ["health", "token"]
