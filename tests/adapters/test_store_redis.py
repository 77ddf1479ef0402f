"""Redis by TCP: what it stores, and each way in which a command can fail."""

import asyncio
import re
import traceback
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from random import Random
from threading import Event
from urllib.parse import urlsplit

import pytest
from redis import Redis

from adapters.facts_redis import redis_facts
from adapters.redis_client import RedisClient
from adapters.sealed_records import SealedRecords
from adapters.store_redis import RedisStore
from ports.facts import RedisServerFacts, ReplicaFacts, UnreadFact
from ports.store import StoreUnavailableError, UnreadableRecordError
from tests.bench.tls_door import tls_door
from tests.patience import PATIENCE
from tests.ports.scripted_server import Connection, ScriptedServer, serving
from tests.ports.store_contract import KEYS, RedisServer, UpstashDatabase, redis
from tests.ports.test_store_contract import NOW, PENDING, authorized
from tests.records import record_of
from tests.system.certificates import server_certificate
from tests.system.loopback import free_port
from tests.system.redis_peer import RedisPeer, redis_server
from tests.system.waiting import wait_until

pytestmark = pytest.mark.anyio

PASSWORD = "pass-word-of-this-test"
WITH_PASSWORD = f":{PASSWORD}@"
RULES = "on nopass ~oauth-callback:* +eval +hmget"
IMPATIENCE = timedelta(milliseconds=500)
UNDO = {
    "requirepass": "",
    "maxmemory": "0",
    "maxclients": "1000",
    "replica-serve-stale-data": "yes",
}
# A reply after which the server breaks off.
RESET = b"$9\r\n"
KEY = "oauth-callback:grant:default"


@pytest.fixture(scope="module")
def peer() -> Iterator[RedisPeer]:
    """A server whose settings the tests change."""
    with redis_server() as peer:
        yield peer


@pytest.fixture
def server(tmp_path: Path) -> RedisServer:
    """The server of the contract, empty."""
    return RedisServer.at(tmp_path)


def with_user(url: str, user: str) -> str:
    return url.replace("//", f"//{user}")


def execute(url: str, *command: str | float) -> object:
    """Send one command, and close the connections."""

    async def work() -> object:
        client = RedisClient(url)
        try:
            return await client.execute(*command)
        finally:
            await client.close()

    return asyncio.run(work())


def failure(url: str, *command: str | float) -> str:
    """Send one command that fails. Return its error, in which no password is."""
    with pytest.raises(StoreUnavailableError, match=r"^REDIS_URL: ") as raised:
        execute(url, *(command or ("HMGET", KEY, "etag", "sealed")))
    assert PASSWORD not in "".join(traceback.format_exception(raised.value))
    return str(raised.value)


# Records and connections


async def test_a_database_is_the_same_by_tcp_and_by_rest(tmp_path: Path) -> None:
    by_rest, by_tcp = (
        UpstashDatabase.at(tmp_path).open(),
        RedisStore(redis().url, SealedRecords(KEYS)),
    )
    one, two = record_of(authorized(1), "one"), record_of(authorized(2), "two")
    for writer, reader in ((by_rest, by_tcp), (by_tcp, by_rest)):
        redis().execute("FLUSHALL")
        await writer.swap("a", one, expected_etag=None)
        await reader.swap("a", two, expected_etag="one")
        # A retry of the same swap, after a lost answer, by the other way.
        await writer.swap("a", two, expected_etag="one")
        assert await writer.load("a") == await reader.load("a") == two
        await writer.put_login("key", PENDING)
        assert await reader.take_login("key", taker="me", now=NOW) == PENDING
        assert await writer.take_login("key", taker="other", now=NOW) is None
        counts = [await each.count("key", window_ends=NOW) for each in (writer, reader)]
        assert counts == [1, 2]
        await writer.complete_listing()
        assert await writer.list_records(None) == await reader.list_records(None)
    await by_rest.close()
    await by_tcp.close()


async def test_a_value_that_is_not_text_is_unreadable_and_a_login_replaces_it(
    server: RedisServer,
) -> None:
    script = "return redis.call('HSET', KEYS[1], 'etag', '\\255', 'sealed', '\\128')"
    redis().execute("EVAL", script, 1, KEY)
    store, after = server.open(), record_of(authorized(1), "one")
    with pytest.raises(UnreadableRecordError) as caught:
        await store.load("default")
    assert caught.value.is_damaged
    await store.swap("default", after, expected_etag=caught.value.etag)
    assert await store.load("default") == after
    await store.close()


async def test_a_connection_that_was_idle_too_long_is_replaced(
    server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def connections() -> int:
        (number,) = re.findall(
            r"total_connections_received:(\d+)", redis().execute("INFO", "stats")
        )
        return int(number)

    store = server.open()
    await store.load("a")
    before = connections()
    await store.load("a")
    # That of the test itself.
    assert connections() == before + 1
    monkeypatch.setattr("adapters.redis_client._MAX_UNCHECKED", timedelta(0))
    monkeypatch.setattr("adapters.redis_client._MAX_IDLE", timedelta(0))
    await store.load("a")
    assert connections() == before + 3
    await store.close()


async def test_a_server_that_was_restarted_is_used_at_once(
    peer: RedisPeer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapters.redis_client._MAX_UNCHECKED", timedelta(0))
    client = RedisClient(peer.url)
    for _ in range(2):
        assert await asyncio.gather(*(client.execute("ECHO", text) for text in "abc")) == [*"abc"]
        # Without a turn of the event loop meanwhile, as in a process that is frozen.
        peer.stop()
        peer.start()
    assert await client.execute("ECHO", "a") == "a"
    await client.close()


# Faults of the server and of the URL


@pytest.mark.parametrize(
    ("user", "setting", "command", "told"),
    [
        pytest.param(WITH_PASSWORD, "", "", "has no password", id="no-password-there"),
        pytest.param("", "requirepass other", "", "requires a password", id="no-password-here"),
        pytest.param(WITH_PASSWORD, "requirepass other", "", "refuses", id="wrong-password"),
        pytest.param(f"x{WITH_PASSWORD}", "", "", "refuses", id="unknown-user"),
        pytest.param("app:x@", "", f"SET {KEY} 1", "lacks a permission", id="no-permission"),
        pytest.param(
            "app:x@", "", f"EVAL set 1 {KEY}", "lacks a permission", id="no-permission-in-script"
        ),
        pytest.param("", "maxmemory 1", "SET a 1", "memory is full", id="memory"),
        pytest.param("", "maxmemory 1", "EVAL set 1 a", "memory is full", id="memory-in-script"),
        pytest.param("", "maxclients 1", "", "lower max_connections", id="clients"),
        pytest.param("", "replica", "SET a 1", "the primary", id="replica"),
        pytest.param("", "replica", "EVAL set 1 a", "the primary", id="replica-in-script"),
        pytest.param("", "replica-serve-stale-data no", "", "the primary", id="primary-away"),
        pytest.param("", "", "NOSUCH pass-word-of-this-test", "unknown command", id="command"),
    ],
)
def test_each_fault_of_a_server_has_a_text_that_says_what_to_do(
    peer: RedisPeer, user: str, setting: str, command: str, told: str
) -> None:
    script = "return redis.call('SET', KEYS[1], '1')"
    words = [script if word == "set" else word for word in command.split()]
    # One connection, so that it stays open and authenticated.
    with Redis.from_url(peer.url, single_connection_client=True) as admin:
        admin.execute_command("ACL", "SETUSER", "app", *RULES.split())
        if setting.startswith("replica"):
            admin.replicaof("127.0.0.1", "1")
        if " " in setting:
            admin.config_set(*setting.split())
        try:
            assert told in failure(with_user(peer.url, user), *words)
        finally:
            for name, value in UNDO.items():
                admin.config_set(name, value)
            admin.replicaof("NO", "ONE")


def test_a_database_that_is_not_there_is_named(peer: RedisPeer) -> None:
    assert "does not have the database" in failure(f"{peer.url}/99")
    assert execute(f"{peer.url}/7", "ECHO", "a") == "a"


def test_a_cluster_is_refused_by_its_errors() -> None:
    # Its own bus port is 10,000 above, which may be too high.
    options = ("--cluster-enabled", "yes", "--cluster-port", str(free_port()))
    with redis_server(*options, "--cluster-require-full-coverage", "no") as peer:
        peer.execute("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
        assert "cluster mode off" in failure(peer.url, "EVAL", "return 1", 2, "a", "b")


@pytest.mark.parametrize(
    ("reply", "told"),
    [
        pytest.param(b"-MOVED 3999 10.0.0.1:6381\r\n", "cluster mode off", id="moved"),
        pytest.param(b"-MOVED\r\n", "", id="moved-nowhere"),
        pytest.param(b"-LOADING Redis is loading\r\n", "still loading", id="loading"),
        pytest.param(b"-MISCONF Errors writing\r\n", "cannot save", id="misconf"),
        pytest.param(b"-ERR \x1b[2J\x00\r\n", "?[2J?", id="control-codes"),
        pytest.param(
            b"-ERR unknown command `AUTH`, with args beginning with: `pass-word-of-this-test`\r\n",
            "unknown command",
            id="password-quoted",
        ),
        pytest.param(b"-ERR pass-word-of-this-test\r\n", "ERR", id="password"),
        pytest.param(b"HTTP/1.1 400 Bad Request\r\n\r\n", "does not speak", id="http"),
        pytest.param(b"$99\r\nshort", "closed", id="cut-off"),
        pytest.param(b"", "rediss://", id="closed"),
        pytest.param(b":five\r\n", "ValueError", id="no-number"),
        pytest.param(RESET, "rediss://", id="reset"),
        pytest.param(b"$-7\r\n\r\n", "", id="negative"),
        pytest.param(b"*x\r\n", "ValueError", id="no-length"),
        pytest.param(b"\r\n", "", id="empty-line"),
        pytest.param(b"*1\r\n" * 5000, "", id="nested"),
        pytest.param(b"+\xff\r\n", "AuthenticationError", id="not-utf-8"),
    ],
)
@pytest.mark.usefixtures("impatient")
def test_an_odd_reply_is_unavailable(reply: bytes, told: str) -> None:
    def script(connection: Connection) -> None:
        connection.socket.recv(4096)
        connection.send(reply)
        if reply == RESET:
            connection.reset()

    with serving(script, reads=False) as server:
        assert told in failure(url_of(server, WITH_PASSWORD))


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adapters.redis_client._LIMIT", IMPATIENCE)


def url_of(server: ScriptedServer, user: str = "") -> str:
    return f"redis://{user}{urlsplit(server.endpoint).netloc}"


@pytest.mark.usefixtures("impatient")
def test_a_command_that_gets_no_reply_ends_in_time_and_was_sent_once() -> None:
    received = list[bytes]()

    def drip(connection: Connection) -> None:
        received.append(connection.socket.recv(4096))
        while True:
            connection.send(b"+")
            Event().wait(0.01)

    def close(connection: Connection) -> None:
        received.append(connection.socket.recv(4096))

    for script, told in ((drip, "did not answer"), (close, "closed")):
        with serving(script, reads=False) as server:
            assert told in failure(url_of(server), "INCR", "a")
    assert [part.count(b"INCR") for part in received] == [1, 1]


@pytest.mark.usefixtures("impatient")
def test_a_pool_that_is_used_up_answers_in_time_and_is_usable_afterwards() -> None:
    held = Event()

    def hold(connection: Connection) -> None:
        connection.socket.recv(4096)
        held.wait(20)
        connection.send(b"+OK\r\n")

    async def crowd(url: str) -> list[object]:
        client = RedisClient(f"{url}?max_connections=2")
        calls = (client.execute("PING") for _ in range(5))
        failed = await asyncio.gather(*calls, return_exceptions=True)
        held.set()
        answers = [*failed, await client.execute("PING")]
        await client.close()
        return answers

    with serving(hold, reads=False) as server:
        *failed, last = asyncio.run(crowd(url_of(server)))
    assert last == "OK"
    assert {type(each) for each in failed} == {StoreUnavailableError}
    assert any("all 2 connections are in use" in str(each) for each in failed)


async def test_a_caller_that_leaves_takes_no_connection_along_and_no_reply_of_another() -> None:
    random = Random(1)  # noqa: S311 - moments are to be repeatable, not secret
    client = RedisClient(f"{redis().url}?max_connections=2")
    for number in range(60):
        texts = [f"{number}-{caller}" for caller in range(5)]
        calls = [asyncio.create_task(client.execute("ECHO", text)) for text in texts]
        for _ in range(random.randrange(12)):
            await asyncio.sleep(0)
        for call in calls[::2]:
            call.cancel()
        answers = await asyncio.gather(*calls, return_exceptions=True)
        assert answers[1::2] == texts[1::2]
    assert await asyncio.gather(*(client.execute("ECHO", text) for text in "abcd")) == [*"abcd"]
    await client.close()


# TLS


@pytest.mark.parametrize(
    ("host", "query", "told"),
    [
        pytest.param("127.0.0.1", "?ssl_ca_certs=certificate.pem", None, id="authority-named"),
        pytest.param("127.0.0.1", "", "cannot be verified", id="unknown-authority"),
        pytest.param(
            "other.example", "?ssl_ca_certs=certificate.pem", "cannot be verified", id="wrong-name"
        ),
        pytest.param(
            "127.0.0.1", "?ssl_ca_certs=key.pem", "cannot be used", id="not-a-certificate"
        ),
    ],
)
def test_tls_is_always_verified(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, host: str, query: str, told: str | None
) -> None:
    monkeypatch.chdir(tmp_path)
    with tls_door(redis().port, server_certificate(tmp_path, host)) as port:
        url = f"rediss://127.0.0.1:{port}/0{query}"
        if told is None:
            assert execute(url, "ECHO", "a") == "a"
        else:
            assert told in failure(url)


@pytest.mark.usefixtures("trusted")
def test_an_authority_of_ssl_cert_file_is_trusted(tmp_path: Path) -> None:
    with tls_door(redis().port, server_certificate(tmp_path, "127.0.0.1")) as port:
        assert execute(f"rediss://127.0.0.1:{port}", "ECHO", "a") == "a"
        assert "rediss://" in failure(f"redis://127.0.0.1:{port}")


# Facts for the doctor


def test_facts_of_a_server_and_its_replica_are_read(
    peer: RedisPeer, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = asyncio.run(redis_facts(peer.url))
    assert facts == RedisServerFacts(
        eviction_policy="noeviction",
        has_append_only_file=True,
        has_snapshots=False,
        is_replica=False,
        replicas=(),
        least_replicas="0",
        is_encrypted=True,
    )
    # A replica would wait for others for seconds.
    peer.execute("CONFIG", "SET", "repl-diskless-sync-delay", "0")
    with redis_server("--replicaof", "127.0.0.1", str(peer.port)) as replica:
        peer.execute("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
        peer.execute("CONFIG", "SET", "appendonly", "no")
        peer.execute("CONFIG", "SET", "save", "60 1")
        wait_until(lambda: "state=online" in str(peer.execute("INFO", "replication")))
        facts = asyncio.run(redis_facts(peer.url))
        (found,) = in_replicas(facts)
        assert (found.name, found.is_streaming) == (f"127.0.0.1:{replica.port}", True)
        assert (facts.eviction_policy, facts.has_append_only_file, facts.has_snapshots) == (
            "allkeys-lru",
            False,
            True,
        )
        assert asyncio.run(redis_facts(replica.url)).is_replica is True
        replica.pause()
        peer.execute("SET", "a", "x" * 10_000)
        with monkeypatch.context() as patch:
            patch.setattr("adapters.facts_replicas._CATCH_UP", IMPATIENCE)
            (found,) = in_replicas(asyncio.run(redis_facts(peer.url)))
        assert found.missing >= 10_000
        replica.resume()
        monkeypatch.setattr("adapters.facts_replicas._CATCH_UP", PATIENCE)
        (found,) = in_replicas(asyncio.run(redis_facts(peer.url)))
        assert found.missing == 0


def in_replicas(facts: RedisServerFacts) -> Sequence[ReplicaFacts]:
    assert not isinstance(facts.replicas, UnreadFact)
    return facts.replicas


def test_facts_that_the_user_may_not_read_are_unknown(peer: RedisPeer) -> None:
    peer.execute("ACL", "SETUSER", "app", *RULES.split())
    facts = asyncio.run(redis_facts(with_user(peer.url, "app:x@")))
    assert isinstance(facts.eviction_policy, UnreadFact)
    assert isinstance(facts.has_snapshots, UnreadFact)
    assert isinstance(facts.replicas, UnreadFact)
