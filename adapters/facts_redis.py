"""The setup of a Redis by TCP, as far as its user may read it."""

import re
from collections.abc import Mapping
from datetime import timedelta
from urllib.parse import urlsplit

from adapters.facts_replicas import once_caught_up
from adapters.redis_client import RedisClient
from domain.metadata import is_loopback
from ports.facts import RedisServerFacts, ReplicaFacts, UnreadFact
from ports.store import StoreUnavailableError

_LINE = re.compile(r"^([a-z0-9_]+):(.*?)\r?$", re.MULTILINE)
_REPLICA = re.compile(r"slave[0-9]+")
_HIDDEN = UnreadFact("the server does not report it")


async def redis_facts(url: str) -> RedisServerFacts:
    """Read the setup by INFO, and by CONFIG where the server allows it. Raises OSError."""
    try:
        client = RedisClient(url)
    except StoreUnavailableError as error:
        raise OSError(str(error)) from None
    try:
        return await _facts(client, is_encrypted=_is_encrypted(url))
    finally:
        await client.close()


async def _facts(client: RedisClient, *, is_encrypted: bool) -> RedisServerFacts:
    info, save = await _info(client), await _setting(client, "save")
    aof, role = _member(info, "aof_enabled"), _member(info, "role")
    return RedisServerFacts(
        eviction_policy=_member(info, "maxmemory_policy"),
        has_append_only_file=aof if isinstance(aof, UnreadFact) else aof == "1",
        has_snapshots=save if isinstance(save, UnreadFact) else save != "",
        is_replica=role if isinstance(role, UnreadFact) else role == "slave",
        replicas=await _replicas(client, info),
        least_replicas=await _setting(client, "min-replicas-to-write"),
        is_encrypted=is_encrypted,
    )


async def _info(client: RedisClient, *section: str) -> Mapping[str, str] | UnreadFact:
    try:
        answer = await client.execute("INFO", *section)
    except StoreUnavailableError as error:
        return UnreadFact(str(error))
    return dict(_LINE.findall(answer)) if isinstance(answer, str) else _HIDDEN


async def _setting(client: RedisClient, name: str) -> str | UnreadFact:
    try:
        answer = await client.execute("CONFIG", "GET", name)
    except StoreUnavailableError as error:
        # Hosted servers refuse CONFIG.
        return UnreadFact(str(error))
    match answer:
        case [str(found), str(value)] if found == name:
            return value
        case _:
            return _HIDDEN


def _member(info: Mapping[str, str] | UnreadFact, name: str) -> str | UnreadFact:
    return info if isinstance(info, UnreadFact) else info.get(name, _HIDDEN)


async def _replicas(
    client: RedisClient, info: Mapping[str, str] | UnreadFact
) -> tuple[ReplicaFacts, ...] | UnreadFact:
    """Return the replicas, once each has all that is written now, or after the limit."""
    written = _number(_member(info, "master_repl_offset"))

    async def read() -> tuple[ReplicaFacts, ...] | UnreadFact:
        # A replica acknowledges once a second.
        found = await _info(client, "replication")
        return found if isinstance(found, UnreadFact) else _rows(found, written)

    return info if isinstance(info, UnreadFact) else await once_caught_up(read)


def _rows(info: Mapping[str, str], written: int) -> tuple[ReplicaFacts, ...]:
    """Read lines such as `slave0:ip=10.0.0.2,port=6379,state=online,offset=14,lag=1`."""
    return tuple(
        _replica(dict(part.partition("=")[::2] for part in text.split(",")), written)
        for name, text in info.items()
        if _REPLICA.fullmatch(name)
    )


def _replica(row: Mapping[str, str], written: int) -> ReplicaFacts:
    lag = row.get("lag", "")
    is_streaming = row.get("state") == "online" and lag.isdecimal()
    missing = max(0, written - _number(row.get("offset"))) if is_streaming else 0
    return ReplicaFacts(
        name=f"{row.get('ip')}:{row.get('port')}",
        is_streaming=is_streaming,
        missing=missing,
        unapplied=missing,
        lag=timedelta(seconds=int(lag)) if is_streaming else None,
        # It counts replicas that have been in step lately, and asks none of them.
        is_waited_for=False,
    )


def _number(text: str | UnreadFact | None) -> int:
    return int(text) if isinstance(text, str) and text.isdecimal() else 0


def _is_encrypted(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme == "rediss" or is_loopback(parts.hostname or "")
