"""The setup of a Redis by TCP, as far as its user may read it."""

import re
from collections.abc import Mapping
from datetime import timedelta
from urllib.parse import urlsplit

from adapters.redis_client import RedisClient
from domain.metadata import is_loopback
from ports.facts import RedisServerFacts, UnreadFact
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
        replicas=info if isinstance(info, UnreadFact) else _replicas(info),
        is_encrypted=is_encrypted,
    )


async def _info(client: RedisClient) -> Mapping[str, str] | UnreadFact:
    try:
        answer = await client.execute("INFO")
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


def _replicas(info: Mapping[str, str]) -> tuple[tuple[str, timedelta | None], ...]:
    """Read lines such as `slave0:ip=10.0.0.2,port=6379,state=online,offset=14,lag=1`."""
    rows = [
        dict(part.partition("=")[::2] for part in text.split(","))
        for name, text in info.items()
        if _REPLICA.fullmatch(name)
    ]
    return tuple((f"{row.get('ip')}:{row.get('port')}", _lag(row)) for row in rows)


def _lag(row: Mapping[str, str]) -> timedelta | None:
    lag = row.get("lag", "")
    is_in_step = row.get("state") == "online" and lag.isdecimal()
    return timedelta(seconds=int(lag)) if is_in_step else None


def _is_encrypted(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme == "rediss" or is_loopback(parts.hostname or "")
