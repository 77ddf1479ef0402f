"""Our Upstash does what tests of its client rely on, and the faults that they plan."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import httpx
import pytest
from upstash_redis.asyncio import Redis
from upstash_redis.errors import UpstashError

from tests.system import redis_peer
from tests.system.guarded_process import ServerDidNotStartError
from tests.system.loopback import http
from tests.system.redis_peer import RedisPeer, redis_server, require_redis
from tests.system.upstash_front import UpstashPeer, upstash_front
from tests.system.waiting import wait_until

REPOSITORY = Path(__file__).parents[2]

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("plain_loopback")]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def shared() -> Iterator[UpstashPeer]:
    with redis_server() as redis, upstash_front(redis) as front:
        yield front


@pytest.fixture
def front(shared: UpstashPeer) -> UpstashPeer:
    """An Upstash that is empty and without faults."""
    shared.clear_faults()
    send(shared, b'["FLUSHALL"]')
    shared.reset_stats()
    return shared


@pytest.fixture
def both() -> Iterator[tuple[RedisPeer, UpstashPeer]]:
    """A Redis that may be stopped, and the Upstash in front of it."""
    with redis_server() as redis, upstash_front(redis) as front:
        yield redis, front


@pytest.fixture
async def upstash(front: UpstashPeer) -> AsyncIterator[Redis]:
    async with client(front) as redis:
        yield redis


def client(front: UpstashPeer, *, token: str | None = None) -> Redis:
    """Return the real client, without its own retries."""
    return Redis(
        url=front.url,
        token=front.token if token is None else token,
        rest_retries=0,
        allow_telemetry=False,
    )


def send(front: UpstashPeer, body: bytes, **headers: str) -> httpx.Response:
    authorization = {"Authorization": f"Bearer {front.token}"}
    return http.post(front.url, content=body, headers={**authorization, **headers})


async def until(condition: Callable[[], bool]) -> None:
    await asyncio.to_thread(wait_until, condition)


# Values


@pytest.mark.parametrize(
    "value",
    [
        "plain",
        "",
        "OK",
        "T0s=",
        "naïve ☕ 漢字 \U0001f511",
        "\x00\x01\r\n$3\r\n\x7f",
        "☕" * 10_000,
    ],
    ids=ascii,
)
async def test_a_value_is_stored_and_read_unchanged(upstash: Redis, value: str) -> None:
    assert await upstash.set("key", value)
    assert await upstash.get("key") == value


async def test_replies_have_their_types(upstash: Redis) -> None:
    script = "return {1, ARGV[1], {false, {KEYS[1]}}, redis.status_reply('OK'), {}}"
    assert await upstash.eval(script, keys=["key"], args=["☕"]) == [
        *(1, "☕", [None, ["key"]], "OK", []),
    ]
    assert await upstash.ping() == "PONG"
    assert await upstash.ttl("other") == -2


def test_text_is_plain_unless_base64_is_asked_for(front: UpstashPeer) -> None:
    send(front, '["SET", "key", "☕"]'.encode())
    assert send(front, b'["GET", "key"]').json() == {"result": "☕"}
    in_base64 = send(front, b'["GET", "key"]', **{"Upstash-Encoding": "base64"})
    assert in_base64.json() == {"result": "4piV"}


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (["NONSENSE"], "ERR unknown command"),
        (["LPUSH", "text", "1"], "WRONGTYPE"),
        (["EVAL", "return redis.error_reply('MINE went wrong')", "0"], "MINE went wrong"),
    ],
)
async def test_failing_command_is_an_upstash_error(
    upstash: Redis, command: list[str], message: str
) -> None:
    await upstash.set("text", "text")
    with pytest.raises(UpstashError, match=message):
        await upstash.execute(command)


async def test_wrong_token_is_refused(front: UpstashPeer) -> None:
    async with client(front, token="another") as stranger:
        with pytest.raises(UpstashError, match="WRONGPASS"):
            await stranger.set("key", "value")
    assert not front.stats().executed


@pytest.mark.parametrize(
    "body",
    [b"", b"{}", b'"GET"', b"[]", b'["GET",null]', b'["GET",NaN]', b"[" * 60_000],
    ids=lambda body: repr(body[:20]),
)
def test_malformed_body_is_refused(front: UpstashPeer, body: bytes) -> None:
    answer = send(front, body)
    assert (answer.status_code, list(answer.json())) == (400, ["error"])
    assert not front.stats().executed


# Faults


@pytest.mark.parametrize(
    ("fault", "seen", "executed"),
    [
        ("drop-request", httpx.RemoteProtocolError, 0),
        ("drop-answer", httpx.RemoteProtocolError, 1),
        ("html-502-after", json.JSONDecodeError, 1),
    ],
)
async def test_fault_is_met_once(
    front: UpstashPeer, upstash: Redis, fault: str, seen: type[Exception], executed: int
) -> None:
    front.plan_fault(fault)
    with pytest.raises(seen):
        await upstash.incr("key")
    assert front.stats().executed == executed
    assert await upstash.incr("key") == executed + 1


async def test_delay_is_before_execution_or_before_the_answer(
    both: tuple[RedisPeer, UpstashPeer],
) -> None:
    _, front = both
    front.plan_fault("delay:600", matching="INCR")
    front.plan_fault("delay-answer:600", matching="APPEND")
    async with client(front) as upstash:
        waiting = [
            asyncio.ensure_future(upstash.execute([name, "key", *more]))
            for name, *more in [["INCR"], ["APPEND", "value"]]
        ]
        await until(lambda: front.stats().in_flight == 2 and bool(front.stats().executed))
        assert await upstash.get("key") == "value"
        assert not any(task.done() for task in waiting)
        front.stop()
        for error in await asyncio.gather(*waiting, return_exceptions=True):
            assert isinstance(error, httpx.TransportError | ValueError)


async def test_delayed_request_is_executed_though_its_client_has_gone(
    front: UpstashPeer, upstash: Redis
) -> None:
    front.plan_fault("delay:0.2")
    waiting = asyncio.ensure_future(upstash.incr("key"))
    await until(lambda: front.stats().requests == 1)
    waiting.cancel()
    await until(lambda: front.stats().executed == 1)


async def test_sticky_fault_is_met_until_it_is_cleared(front: UpstashPeer, upstash: Redis) -> None:
    front.plan_fault("drop-answer*")
    for _ in range(2):
        with pytest.raises(httpx.RemoteProtocolError):
            await upstash.incr("key")
    assert front.stats().faults == ["drop-answer*"]
    front.clear_faults()
    assert await upstash.incr("key") == 3


async def test_fault_waits_for_its_script(front: UpstashPeer, upstash: Redis) -> None:
    front.plan_fault("drop-request", matching="PERSIST")
    assert await upstash.eval("return 1", args=["PERSIST"]) == 1
    with pytest.raises(httpx.RemoteProtocolError):
        await upstash.eval("return redis.call('PERSIST', KEYS[1])", keys=["key"])


@pytest.mark.parametrize("name", ["", "*", "drop", "delay", "delay:", "delay:-1"])
def test_unknown_fault_cannot_be_planned(front: UpstashPeer, name: str) -> None:
    with pytest.raises(ValueError, match="no such fault"):
        front.plan_fault(name)


# Servers that go away


async def test_redis_that_is_stopped_is_a_bad_gateway(both: tuple[RedisPeer, UpstashPeer]) -> None:
    redis, front = both
    async with client(front) as upstash:
        await asyncio.gather(*(upstash.incr("key") for _ in range(50)))
        redis.stop()
        with pytest.raises(UpstashError, match="cannot be reached"):
            await upstash.incr("key")
        redis.start()
        counts = await asyncio.gather(*(upstash.incr("key") for _ in range(50)))
    assert sorted(counts) == list(range(51, 101))


async def test_redis_that_is_killed_keeps_what_it_acknowledged(
    both: tuple[RedisPeer, UpstashPeer],
) -> None:
    redis, front = both
    async with client(front) as upstash:
        await asyncio.gather(*(upstash.rpush("key", "value") for _ in range(100)))
        redis.kill()
        redis.start()
        assert await upstash.llen("key") == 100


async def test_redis_that_is_paused_answers_after_it_and_not_after_a_crash(
    both: tuple[RedisPeer, UpstashPeer],
) -> None:
    redis, front = both
    async with client(front) as upstash:
        redis.pause()
        waiting = asyncio.ensure_future(upstash.incr("key"))
        await until(lambda: front.stats().executed == 1)
        assert not waiting.done()
        redis.resume()
        assert await waiting == 1
        redis.pause()
        waiting = asyncio.ensure_future(upstash.incr("key"))
        await until(lambda: front.stats().executed == 2)
        redis.kill()
        with pytest.raises(UpstashError, match="cannot be reached"):
            await waiting
        redis.start()
        assert await upstash.get("key") == "1"


async def test_front_that_is_stopped_refuses_connections(
    both: tuple[RedisPeer, UpstashPeer],
) -> None:
    _, front = both
    async with client(front) as upstash:
        await upstash.set("key", "value")
        front.stop()
        with pytest.raises(httpx.ConnectError):
            await upstash.get("key")
        front.start()
        assert await upstash.get("key") == "value"


def test_redis_that_is_paused_can_be_stopped_in_good_order() -> None:
    with redis_server() as redis:
        redis.pause()
        redis.stop()
        assert "bye bye" in redis._process.log()


def test_server_that_does_not_start_reports_the_reason() -> None:
    require_redis()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with (
            pytest.raises(ServerDidNotStartError, match="in use"),
            redis_server(port=taken.getsockname()[1]),
        ):
            pass


def test_server_ends_with_the_tests_even_if_they_are_killed() -> None:
    require_redis()
    script = (
        "import time; from tests.system.redis_peer import redis_server\n"
        "with redis_server() as redis: print(redis.port, flush=True); time.sleep(600)"
    )
    command = [sys.executable, "-c", script]
    with subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE) as tests:
        assert tests.stdout is not None
        port = int(tests.stdout.readline())
        tests.send_signal(signal.SIGKILL)
    wait_until(lambda: refuses(port))


def refuses(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


@pytest.mark.parametrize(
    ("in_ci", "outcome"), [("true", pytest.fail.Exception), ("", pytest.skip.Exception)]
)
def test_missing_redis_is_skipped_and_fails_in_ci(
    monkeypatch: pytest.MonkeyPatch, in_ci: str, outcome: type[BaseException]
) -> None:
    monkeypatch.setattr(redis_peer, "_program", lambda: None)
    monkeypatch.setitem(os.environ, "CI", in_ci)
    with pytest.raises(outcome, match="redis-server"), redis_server():
        pass
