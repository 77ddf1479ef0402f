"""Proof that our Upstash does what tests of its client take for granted, and spoils it as told."""

import asyncio
import base64
import json
import os
import signal
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

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
BASE64 = {"Upstash-Encoding": "base64"}

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.usefixtures("plain_loopback"),
]

# To build a client loads every certificate authority there is, unless it is given something else.


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def shared() -> Iterator[UpstashPeer]:
    with redis_server() as redis, upstash_front(redis) as front:
        yield front


@pytest.fixture
def front(shared: UpstashPeer) -> UpstashPeer:
    """An Upstash that is empty, and does nothing wrong yet."""
    shared.clear_faults()
    post(shared, ["FLUSHALL"])
    post(shared, ["SCRIPT", "FLUSH"])
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


def client(front: UpstashPeer, *, token: str | None = None, retries: int = 0) -> Redis:
    """The real client, which of itself would wait three seconds and then execute once more."""
    return Redis(
        url=front.url,
        token=front.token if token is None else token,
        rest_retries=retries,
        rest_retry_interval=0,
        allow_telemetry=False,
    )


def post(front: UpstashPeer, content: object, path: str = "/", **headers: str) -> httpx.Response:
    return send(front, json.dumps(content).encode(), path, **headers)


def send(front: UpstashPeer, body: bytes, path: str = "/", **headers: str) -> httpx.Response:
    authorization = {"Authorization": f"Bearer {front.token}"}
    return http.post(front.url + path, content=body, headers={**authorization, **headers})


async def until(condition: Callable[[], bool]) -> None:
    await asyncio.to_thread(wait_until, condition)


# Values


@pytest.mark.parametrize(
    "value",
    ["plain", "", "OK", "T0s=", "naïve ☕ 漢字 \U0001f511", "\x00\x01\r\n$3\r\n\x7f", '{"a":[1]}'],
)
async def test_what_was_set_is_what_is_got(upstash: Redis, value: str) -> None:
    assert await upstash.set("key", value)
    assert await upstash.get("key") == value


async def test_long_value_survives(upstash: Redis) -> None:
    await upstash.set("key", "☕" * 10_000)
    assert await upstash.get("key") == "☕" * 10_000


async def test_nothing_is_none(upstash: Redis) -> None:
    assert await upstash.get("key") is None
    assert await upstash.mget("a", "b") == [None, None]


async def test_refused_condition_is_none(upstash: Redis) -> None:
    await upstash.set("key", "first")
    assert not await upstash.set("key", "second", nx=True)
    assert await upstash.get("key") == "first"


async def test_integers_are_integers(upstash: Redis) -> None:
    assert await upstash.incr("key") == 1
    assert await upstash.ttl("key") == -1
    assert await upstash.ttl("other") == -2


async def test_lifetime_is_kept(upstash: Redis) -> None:
    await upstash.set("key", "value", px=1_000_000)
    assert 900_000 < await upstash.pttl("key") <= 1_000_000
    assert await upstash.persist("key")
    assert await upstash.pttl("key") == -1


async def test_script_answers_in_nested_arrays(upstash: Redis) -> None:
    script = "return {1, ARGV[1], {false, {KEYS[1]}}, redis.status_reply('OK'), {}}"
    assert await upstash.eval(script, keys=["key"], args=["☕"]) == [
        *(1, "☕", [None, ["key"]], "OK", []),
    ]


async def test_script_is_loaded_and_run_by_its_hash(upstash: Redis) -> None:
    digest = await upstash.script_load("return ARGV[1]")
    assert await upstash.script_exists(digest, "0" * 40) == [True, False]
    assert await upstash.evalsha(digest, args=["argument"]) == "argument"


async def test_other_status_than_ok_is_encoded(upstash: Redis) -> None:
    assert await upstash.ping() == "PONG"
    assert await upstash.execute(["TYPE", "key"]) == "none"


@pytest.mark.parametrize(
    ("argument", "stored"),
    [(1.5, "1.5"), (12345678901234567890, "12345678901234567890"), (True, "true"), ([1], "[1]")],
)
async def test_argument_is_stored_as_json_writes_it(
    upstash: Redis, argument: Any, stored: str
) -> None:
    await upstash.execute(["SET", "key", argument])
    assert await upstash.get("key") == stored


async def test_client_keeps_the_sync_token(upstash: Redis) -> None:
    await upstash.incr("key")
    first = upstash._sync_token
    await upstash.incr("key")
    assert "" != first != upstash._sync_token


def test_base64_leaves_only_the_status_ok_plain(front: UpstashPeer) -> None:
    assert post(front, ["SET", "key", "OK"], **BASE64).json() == {"result": "OK"}
    assert post(front, ["GET", "key"], **BASE64).json() == {"result": "T0s="}
    assert post(front, ["PING"], **BASE64).json() == {"result": "UE9ORw=="}
    assert post(front, ["MGET", "key", "no"], **BASE64).json() == {"result": ["T0s=", None]}
    assert post(front, ["STRLEN", "key"], **BASE64).json() == {"result": 2}


def test_text_is_plain_unless_base64_is_asked_for(front: UpstashPeer) -> None:
    post(front, ["SET", "key", "☕"])
    assert post(front, ["GET", "key"]).json() == {"result": "☕"}
    assert post(front, ["GET", "key"], **BASE64).json() == {"result": "4piV"}


async def test_bytes_that_are_no_text_survive_base64_only(
    front: UpstashPeer, upstash: Redis
) -> None:
    script = "return redis.call('SET', KEYS[1], string.char(255, 0, 254))"
    await upstash.eval(script, keys=["key"])
    answer = post(front, ["GET", "key"], **BASE64).json()
    assert base64.b64decode(answer["result"]) == b"\xff\x00\xfe"
    assert post(front, ["GET", "key"]).json() == {"result": "\ufffd\x00\ufffd"}
    with pytest.raises(UnicodeDecodeError):
        await upstash.get("key")


def test_every_answer_carries_another_sync_token(front: UpstashPeer) -> None:
    tokens = [
        post(front, content, path).headers["upstash-sync-token"]
        for path, content in [("/", ["PING"]), ("/pipeline", [["PING"]]), ("/", ["NONSENSE"])]
    ]
    assert len(set(tokens)) == 3


# Errors


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (["NONSENSE"], "ERR unknown command"),
        (["GET"], "ERR wrong number of arguments"),
        (["INCR", "text"], "ERR value is not an integer"),
        (["LPUSH", "text", "1"], "WRONGTYPE"),
        (["EVAL", "return nonsense(", "0"], "ERR Error compiling script"),
        (["EVAL", "return redis.error_reply('MINE went wrong')", "0"], "MINE went wrong"),
        (["EVALSHA", "0" * 40, "0"], "NOSCRIPT"),
        (["WATCH", "key"], "ERR Command is not available: 'WATCH'"),
        (["blpop", "key", "0"], "ERR Command is not available: 'BLPOP'"),
    ],
)
async def test_failing_command_is_an_upstash_error(
    front: UpstashPeer, upstash: Redis, command: list[str], message: str
) -> None:
    await upstash.set("text", "text")
    with pytest.raises(UpstashError, match=message):
        await upstash.execute(command)
    assert post(front, command).status_code == 400


async def test_wrong_token_is_refused(front: UpstashPeer, upstash: Redis) -> None:
    async with client(front, token="another") as stranger:
        with pytest.raises(UpstashError, match="WRONGPASS"):
            await stranger.set("key", "value")
    assert await upstash.get("key") is None


@pytest.mark.parametrize("path", ["/", "/pipeline", "/multi-exec"])
@pytest.mark.parametrize("authorization", ["", "Bearer", "Bearer another", "Basic bm90OnRoaXM="])
def test_only_the_bearer_of_the_token_gets_in(
    front: UpstashPeer, path: str, authorization: str
) -> None:
    answer = post(front, [["PING"]], path, Authorization=authorization)
    assert (answer.status_code, list(answer.json())) == (401, ["error"])
    nobody = http.post(front.url + path, json=[["PING"]])
    assert (nobody.status_code, list(nobody.json())) == (401, ["error"])
    assert not front.stats().commands


@pytest.mark.parametrize(
    ("path", "body"),
    [
        *(("/", body) for body in [b"", b"{", b"{}", b'"GET"', b"[]", b"[null]", b"[[]]", b"\xff"]),
        *(("/", body) for body in [b'[["PING"]]', b'["GET",null]', b'["GET",{}]', b'["GET",NaN]']),
        *(("/", body) for body in [b'["GET","\\ud800"]', b"[" * 60_000]),
        *(("/pipeline", body) for body in [b"[]", b"[[]]", b'["PING"]', b'[["PING"],[]]', b"{}"]),
        *(("/multi-exec", body) for body in [b"[]", b"[[]]", b'["PING"]', b'[["PING"],[]]']),
    ],
    ids=lambda value: repr(value[:20]),
)
def test_malformed_body_is_refused(front: UpstashPeer, path: str, body: bytes) -> None:
    answer = send(front, body, path)
    assert (answer.status_code, list(answer.json())) == (400, ["error"])
    assert not front.stats().commands


def test_other_paths_and_methods_do_not_exist(front: UpstashPeer) -> None:
    assert post(front, ["PING"], "/get/key").status_code == 404
    headers = {"Authorization": f"Bearer {front.token}"}
    refused = http.get(front.url, headers=headers)
    assert (refused.status_code, refused.headers["allow"]) == (405, "POST")


# Batches


async def test_pipeline_answers_in_order(upstash: Redis) -> None:
    pipeline = upstash.pipeline()
    pipeline.set("key", "☕").get("key").get("other").incr("count")
    assert await pipeline.exec() == [True, "☕", None, 1]


def test_pipeline_goes_on_after_an_error(front: UpstashPeer) -> None:
    commands = [["SET", "key", "text"], ["INCR", "key"], ["WATCH", "key"], ["GET", "key"]]
    answer = post(front, commands, "/pipeline")
    assert answer.status_code == 200
    assert answer.json() == [
        {"result": "OK"},
        {"error": "ERR value is not an integer or out of range"},
        {"error": "ERR Command is not available: 'WATCH'"},
        {"result": "text"},
    ]


async def test_transaction_answers_in_order(upstash: Redis) -> None:
    transaction = upstash.multi()
    transaction.set("key", "☕").get("key").get("other").incr("count")
    assert await transaction.exec() == [True, "☕", None, 1]


def test_transaction_goes_on_after_an_error(front: UpstashPeer) -> None:
    commands = [["SET", "key", "text"], ["INCR", "key"], ["GET", "key"]]
    answer = post(front, commands, "/multi-exec", **BASE64)
    assert answer.status_code == 200
    assert answer.json() == [
        {"result": "OK"},
        {"error": "ERR value is not an integer or out of range"},
        {"result": "dGV4dA=="},
    ]


@pytest.mark.parametrize("wrong", [["NONSENSE"], ["GET"], ["WATCH", "key"], ["EXEC"], ["DISCARD"]])
def test_transaction_with_a_wrong_command_does_nothing(
    front: UpstashPeer, wrong: list[str]
) -> None:
    answer = post(front, [["SET", "key", "value"], wrong], "/multi-exec")
    assert (answer.status_code, list(answer.json())) == (400, ["error"])
    assert post(front, ["GET", "key"]).json() == {"result": None}


async def test_nothing_comes_between_the_commands_of_a_transaction(upstash: Redis) -> None:
    async def push_ten(writer: int) -> None:
        transaction = upstash.multi()
        for _ in range(10):
            transaction.rpush("log", f"transaction {writer}")
        await transaction.exec()

    async def push_one(writer: int) -> None:
        await upstash.rpush("log", f"single {writer}")

    await asyncio.gather(*(push(writer) for writer in range(50) for push in (push_ten, push_one)))
    log = await upstash.lrange("log", 0, -1)
    together = [entry for entry in log if entry.startswith("transaction")]
    runs = [entry for entry, before in zip(log, ["", *log], strict=False) if entry != before]
    assert (len(log), len(together), len(runs)) == (550, 500, 100)
    assert all(len(set(together[first : first + 10])) == 1 for first in range(0, 500, 10))


async def test_two_hundred_requests_at_once_are_all_answered(
    front: UpstashPeer, upstash: Redis
) -> None:
    counts = await asyncio.gather(*(upstash.incr("key") for _ in range(200)))
    assert sorted(counts) == list(range(1, 201))
    assert front.stats().commands == {"INCR": 200}


# Faults


@pytest.mark.parametrize(
    ("fault", "seen", "executed"),
    [
        ("drop-request", httpx.RemoteProtocolError, 0),
        ("drop-answer", httpx.RemoteProtocolError, 1),
        ("html-502", json.JSONDecodeError, 0),
        ("html-502-after", json.JSONDecodeError, 1),
        ("garbage", json.JSONDecodeError, 1),
        ("wrong-shape", UpstashError, 1),
        ("status-401", UpstashError, 0),
        ("status-429", UpstashError, 0),
        ("status-500", UpstashError, 0),
    ],
)
async def test_fault_is_met_once(
    front: UpstashPeer, upstash: Redis, fault: str, seen: type[Exception], executed: int
) -> None:
    front.plan_faults(fault)
    with pytest.raises(seen):
        await upstash.incr("key")
    assert front.stats().commands == Counter(INCR=executed)
    assert await upstash.incr("key") == executed + 1


@pytest.mark.parametrize("path", ["/pipeline", "/multi-exec"])
@pytest.mark.parametrize(("fault", "executed"), [("drop-request", 0), ("drop-answer", 2)])
def test_batch_meets_a_fault_as_a_whole(
    front: UpstashPeer, path: str, fault: str, executed: int
) -> None:
    front.plan_faults(fault)
    with pytest.raises(httpx.RemoteProtocolError):
        post(front, [["INCR", "key"], ["INCR", "key"]], path)
    assert front.stats().commands == Counter(INCR=executed)


@pytest.mark.parametrize(
    ("fault", "status", "content_type"),
    [
        ("html-502", 502, "text/html"),
        ("html-502-after", 502, "text/html"),
        ("garbage", 200, "application/json"),
        ("wrong-shape", 200, "application/json"),
        ("status-401", 401, "application/json"),
        ("status-429", 429, "application/json"),
        ("status-503", 503, "application/json"),
    ],
)
def test_fault_is_answered_with_its_status(
    front: UpstashPeer, fault: str, status: int, content_type: str
) -> None:
    front.plan_faults(fault)
    answer = post(front, ["PING"])
    assert (answer.status_code, answer.headers["content-type"]) == (status, content_type)


async def test_client_that_retries_executes_twice(front: UpstashPeer) -> None:
    front.plan_faults("drop-answer")
    async with client(front, retries=1) as retrying:
        assert await retrying.incr("key") == 2


async def test_delayed_requests_are_answered(front: UpstashPeer, upstash: Redis) -> None:
    front.plan_faults("delay:0.01", "delay-answer:0.01")
    assert [await upstash.incr("key"), await upstash.incr("key")] == [1, 2]
    assert front.planned_faults() == []


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
        await until(lambda: front.stats().in_flight == 2 and bool(front.stats().commands))
        assert await upstash.get("key") == "value"
        assert not any(task.done() for task in waiting)
        assert front.stats().commands == {"APPEND": 1, "GET": 1}
        front.stop()
        for error in await asyncio.gather(*waiting, return_exceptions=True):
            assert isinstance(error, httpx.TransportError | ValueError)


async def test_delayed_request_is_executed_though_its_client_has_gone(
    front: UpstashPeer, upstash: Redis
) -> None:
    front.plan_faults("delay:0.2")
    waiting = asyncio.ensure_future(upstash.incr("key"))
    await until(lambda: front.stats().requests == 1)
    waiting.cancel()
    await until(lambda: front.stats().commands == {"INCR": 1})


async def test_faults_are_met_in_their_order(front: UpstashPeer, upstash: Redis) -> None:
    front.plan_faults("status-429", "drop-answer")
    front.plan_faults("status-500")
    seen = await seen_in_turn(upstash, 4)
    assert seen == ["Too Many Requests", "RemoteProtocolError", "Internal Server Error", "2"]


async def test_sticky_fault_is_met_until_it_is_cleared(front: UpstashPeer, upstash: Redis) -> None:
    front.plan_faults("drop-request", "status-500*", "html-502")
    seen = await seen_in_turn(upstash, 4)
    assert seen == ["RemoteProtocolError", *["Internal Server Error"] * 3]
    assert front.planned_faults() == ["status-500*", "html-502"]
    front.clear_faults()
    assert await upstash.incr("key") == 1


async def seen_in_turn(upstash: Redis, times: int) -> list[str]:
    seen = []
    for _ in range(times):
        try:
            seen.append(str(await upstash.incr("key")))
        except UpstashError as error:
            seen.append(str(error))
        except httpx.TransportError as error:
            seen.append(type(error).__name__)
    return seen


async def test_fault_waits_for_the_command_it_is_meant_for(
    front: UpstashPeer, upstash: Redis
) -> None:
    front.plan_fault("drop-request", matching="EVAL")
    await upstash.set("EVAL", "EVAL")
    with pytest.raises(httpx.RemoteProtocolError):
        await upstash.eval("return 1")


async def test_fault_waits_for_the_script_it_is_meant_for(
    front: UpstashPeer, upstash: Redis
) -> None:
    front.plan_fault("drop-request", matching="PERSIST")
    front.plan_faults("status-500")
    with pytest.raises(UpstashError, match="Internal"):
        await upstash.eval("return 1", args=["PERSIST"])
    assert await upstash.eval("return 1") == 1
    with pytest.raises(httpx.RemoteProtocolError):
        await upstash.eval("return redis.call('PERSIST', KEYS[1])", keys=["key"])


def test_fault_waits_for_a_batch_with_the_command(front: UpstashPeer) -> None:
    front.plan_fault("status-500", matching="GET")
    assert post(front, [["PING"], ["INCR", "key"]], "/pipeline").status_code == 200
    assert post(front, [["PING"], ["get", "key"]], "/pipeline").status_code == 500


def test_refused_request_meets_no_fault(front: UpstashPeer) -> None:
    front.plan_faults("status-500")
    post(front, ["PING"], Authorization="Bearer another")
    post(front, [], "/pipeline")
    post(front, ["PING"], "/nowhere")
    assert front.planned_faults() == ["status-500"]


@pytest.mark.parametrize("name", ["", "*", "drop", "delay", "delay:", "delay:-1", "status-200"])
def test_unknown_fault_cannot_be_planned(front: UpstashPeer, name: str) -> None:
    with pytest.raises(ValueError, match="no such fault"):
        front.plan_faults(name)


# Statistics


def test_requests_and_commands_are_counted(front: UpstashPeer) -> None:
    post(front, ["get", "key"])
    post(front, [["GET", "key"], ["PING"]], "/pipeline")
    post(front, [["PING"], ["PING"]], "/multi-exec")
    post(front, ["GET", "key"], Authorization="Bearer another")
    stats = front.stats()
    assert (stats.requests, stats.commands, stats.in_flight) == (4, {"GET": 2, "PING": 3}, 0)
    front.reset_stats()
    assert (front.stats().requests, front.stats().commands.total()) == (0, 0)


# Servers that go away


async def test_redis_that_is_stopped_is_a_bad_gateway(both: tuple[RedisPeer, UpstashPeer]) -> None:
    redis, front = both
    async with client(front) as upstash:
        await asyncio.gather(*(upstash.incr("key") for _ in range(50)))
        redis.stop()
        with pytest.raises(UpstashError, match="cannot be reached"):
            await upstash.incr("key")
        assert post(front, [["PING"]], "/multi-exec").status_code == 502
        redis.start()
        counts = await asyncio.gather(*(upstash.incr("key") for _ in range(50)))
    assert sorted(counts) == list(range(51, 101))


async def test_redis_that_is_killed_keeps_what_it_acknowledged(
    both: tuple[RedisPeer, UpstashPeer],
) -> None:
    redis, front = both
    async with client(front) as upstash:
        for times in range(1, 4):
            pid = redis.pid
            await asyncio.gather(*(upstash.rpush("key", "value") for _ in range(100)))
            redis.kill()
            redis.start()
            assert redis.pid != pid
            assert await upstash.llen("key") == 100 * times


async def test_redis_that_is_paused_answers_once_it_goes_on(
    both: tuple[RedisPeer, UpstashPeer],
) -> None:
    redis, front = both
    async with client(front) as upstash:
        redis.pause()
        waiting = asyncio.ensure_future(upstash.incr("key"))
        await until(lambda: front.stats().commands == {"INCR": 1})
        assert not waiting.done()
        redis.resume()
        assert await waiting == 1


def test_redis_that_is_paused_can_be_stopped_in_good_order() -> None:
    with redis_server() as redis:
        redis.pause()
        redis.stop()
        assert "bye bye" in redis._process.log()


async def test_redis_that_is_killed_before_it_answers_is_a_bad_gateway(
    both: tuple[RedisPeer, UpstashPeer],
) -> None:
    redis, front = both
    async with client(front) as upstash:
        redis.pause()
        waiting = asyncio.ensure_future(upstash.incr("key"))
        await until(lambda: front.stats().commands == {"INCR": 1})
        redis.kill()
        with pytest.raises(UpstashError, match="cannot be reached"):
            await waiting
        redis.start()
        assert await upstash.get("key") is None


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


def test_data_is_in_the_folder_that_was_named(tmp_path: Path) -> None:
    with redis_server(folder=tmp_path) as redis:
        port = redis.port
        with upstash_front(redis) as front:
            post(front, ["SET", "key", "value"])
    with redis_server(folder=tmp_path, port=port) as redis, upstash_front(redis) as front:
        assert redis.port == port
        assert post(front, ["GET", "key"]).json() == {"result": "value"}


def test_server_that_does_not_start_says_why() -> None:
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
    asyncio.run(until(lambda: refuses(port)))


def refuses(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def test_front_alone_prints_its_address() -> None:
    with redis_server() as redis:
        command = [sys.executable, "-m", "tests.system.upstash_front", "--port", "0"]
        command += ["--redis-port", str(redis.port), "--token", "token"]
        with subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            url = process.stdout.readline().decode().strip()
            headers = {"Authorization": "Bearer token"}
            answer = http.post(url, json=["PING"], headers=headers)
            process.terminate()
    assert answer.json() == {"result": "PONG"}


def test_token_is_not_shown(front: UpstashPeer) -> None:
    assert front.token not in repr(front)


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
