"""The stores that a storm is made over, each as slow as real ones can be."""

import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import httpx

from tests.bench.storm_distance import distant_door
from tests.system.dynamodb_peer import dynamodb_server
from tests.system.guarded_process import guarded_process
from tests.system.loopback import free_port, http
from tests.system.postgres_peer import postgres_server
from tests.system.redis_peer import redis_server
from tests.system.stores import rest_store

_SHIM = Path(__file__).with_name("slow_disk.c")


@dataclass(frozen=True, slots=True, kw_only=True)
class StormStore:
    """A store: how the bench reaches it, how slow workers do, and what makes it slow."""

    environ: Mapping[str, str] = field(repr=False)
    slow: Mapping[str, str] = field(repr=False)
    text: str
    be_slow: Callable[[], None] = lambda: None


@contextmanager
def sqlite_store(folder: Path, *, seconds: float) -> Iterator[StormStore]:
    """Keep a file on a disk that takes so long for an fsync."""
    shim = folder / "slow_disk.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-O2", "-o", shim, _SHIM], check=True)
    environ = {"SQLITE_PATH": str(folder / "records.sqlite3")}
    slow = {**environ, "LD_PRELOAD": str(shim), "FSYNC_SECONDS": str(seconds)}
    yield StormStore(
        environ=environ, slow=slow, text=f"SQLite, {seconds * 1000:.0f} ms more an fsync"
    )


@contextmanager
def upstash_store(*, seconds: float) -> Iterator[StormStore]:
    """Run a Redis, and what makes an Upstash of it that is far away."""
    with rest_store() as rest:
        environ = rest.front.environ
        yield StormStore(
            environ=environ,
            slow=environ,
            text=f"Upstash, {seconds * 1000:.0f} ms a round trip",
            be_slow=partial(rest.front.plan_fault, f"delay:{seconds}*"),
        )


@contextmanager
def redis_store(*, seconds: float) -> Iterator[StormStore]:
    """Run a Redis that is far away."""
    with redis_server() as redis, distant_door(redis.port, distance=seconds) as door:
        yield StormStore(
            environ=redis.environ,
            slow={"REDIS_URL": f"redis://127.0.0.1:{door.port}"},
            text=f"Redis, {seconds * 1000:.0f} ms a round trip",
            be_slow=door.be_far,
        )


@contextmanager
def postgres_store(*, seconds: float) -> Iterator[StormStore]:
    """Run a Postgres that is far away."""
    with postgres_server() as server, distant_door(server.port, distance=seconds) as door:
        url = server.new_database()
        yield StormStore(
            environ={"DATABASE_URL": url},
            slow={"DATABASE_URL": url.replace(f":{server.port}/", f":{door.port}/")},
            text=f"Postgres, {seconds * 1000:.0f} ms a round trip",
            be_slow=door.be_far,
        )


@contextmanager
def dynamodb_store(*, calls_a_second: float) -> Iterator[StormStore]:
    """Run an imitation of DynamoDB, and before it what throttles a table."""
    with dynamodb_server() as peer:
        port = free_port()
        url = f"http://127.0.0.1:{port}"
        command = [sys.executable, "-m", "tests.bench.storm_throttle", "--port", str(port)]
        command += ["--upstream", peer.url, "--calls-a-second", str(calls_a_second)]
        with guarded_process(command, is_ready=lambda _pid: answers(url)):
            table = peer.new_table()
            yield StormStore(
                environ=peer.environ(table),
                slow=peer.environ(table, url=url),
                text=f"DynamoDB, throttled at {calls_a_second:.0f} calls a second",
            )


def answers(url: str) -> bool:
    """Whether somebody serves there."""
    try:
        return http.get(url).is_success
    except httpx.TransportError:
        return False
