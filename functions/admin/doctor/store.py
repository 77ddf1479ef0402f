"""Checks the store: access, speed, and the settings of its kind."""

import secrets
import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import suppress
from datetime import timedelta
from statistics import median
from typing import assert_never

from domain.authorization import PendingLogin
from domain.connection import DEFAULT_CONNECTION
from functions.admin.doctor.findings import Finding, fault, ok, unknown, warning
from functions.admin.doctor.grants import check_grants
from functions.admin.doctor.postgres import findings_of_postgres
from functions.admin.doctor.redis_server import findings_of_redis_server
from functions.admin.doctor.wiring import store_facts
from functions.wiring import Wiring
from ports.facts import (
    DynamoDbFacts,
    PostgresFacts,
    RedisFacts,
    RedisServerFacts,
    SqliteFacts,
    StoreFacts,
    UnreadFact,
)
from ports.store import Store, StoreUnavailableError, UnreadableRecordError

_SAMPLES = 5
# The store removes what the doctor writes.
_LIFETIME = timedelta(minutes=1)


async def check_store(wiring: Wiring) -> AsyncGenerator[Finding, None]:
    """Check the store's settings, write to it, then check its records."""
    try:
        facts = await store_facts(wiring.settings.store)
    except OSError as error:
        yield fault("store", f"{error}")
        return
    if isinstance(facts, UnreadFact):
        yield fault("store", f"it is not available: {facts.why}")
        return
    for finding in findings_of(facts):
        yield finding
    # The doctor makes no file, which might belong to another user than the application.
    if isinstance(facts, SqliteFacts) and not (facts.exists and facts.is_database):
        return
    if isinstance(facts, PostgresFacts) and facts.version != facts.known_version:
        return
    try:
        yield await _check_round_trip(wiring)
    except StoreUnavailableError as error:
        yield fault("store", f"it is not available: {error}")
        return
    try:
        async for finding in check_grants(wiring):
            yield finding
    except StoreUnavailableError as error:
        # Requests work; the credentials need not allow a listing.
        yield unknown("connections", f"the records cannot be listed: {error}")


async def _check_round_trip(wiring: Wiring) -> Finding:
    """Write, and read it back. Raises StoreUnavailableError."""
    with suppress(UnreadableRecordError):
        # Like every request for a token.
        await wiring.store.load(DEFAULT_CONNECTION)
    key, ends = f"doctor-{secrets.token_hex(16)}", wiring.clock.now() + _LIFETIME
    found, milliseconds = [], []
    for _ in range(_SAMPLES):
        start = time.perf_counter()
        found.append(await wiring.store.count(key, window_ends=ends))
        milliseconds.append((time.perf_counter() - start) * 1000)
    is_kept = all(after > before for before, after in zip([0, *found], found, strict=False))
    if not (is_kept and await _returns_login(wiring.store, key, wiring)):
        return fault("store", "it does not return what was written")
    return ok(
        "store", f"written and read back in {median(milliseconds):.1f} ms (median of {_SAMPLES})"
    )


async def _returns_login(store: Store, key: str, wiring: Wiring) -> bool:
    now = wiring.clock.now()
    pending = PendingLogin(
        connection=DEFAULT_CONNECTION,
        redirect_uri="",
        code_verifier=None,
        expires_at=now + _LIFETIME,
    )
    await store.put_login(key, pending)
    return await store.take_login(key, taker=key, now=now) == pending


def findings_of(facts: StoreFacts) -> Iterator[Finding]:
    """Report the settings of a kind of store."""
    match facts:
        case SqliteFacts():
            yield from _findings_of_sqlite(facts)
        case RedisFacts(eviction_policy=policy):
            yield _findings_of_eviction(policy)
        case RedisServerFacts():
            yield from findings_of_redis_server(facts)
        case PostgresFacts():
            yield from findings_of_postgres(facts)
        case DynamoDbFacts():
            yield from _findings_of_dynamodb(facts)
        case _:
            assert_never(facts)


def _findings_of_sqlite(facts: SqliteFacts) -> Iterator[Finding]:
    about = "SQLITE_PATH"
    if not facts.folder_is_writable:
        yield fault(about, "its folder is not writable here, which SQLite requires")
    if not facts.is_on_disk:
        yield warning(about, "it is in memory, not on a disk: a restart of the machine deletes it")
    if not facts.exists:
        yield unknown(
            about,
            "there is no database yet, and none was made: run this again after the first login",
        )
        return
    if not facts.is_database:
        yield fault(about, "the file is not an SQLite database")
        return
    if facts.accessible_parts:
        parts = ", ".join(facts.accessible_parts)
        yield warning(about, f"others than its owner can read or write it ({parts}): run chmod 600")
    if not facts.is_in_wal_mode:
        yield warning(
            about,
            "the file is not in WAL mode: another program changed it, or the file system does not "
            "support it (network file systems do not)",
        )
    if not facts.accessible_parts and facts.is_in_wal_mode:
        yield ok(about, "only its owner can access the file, and it is in WAL mode")


def _findings_of_eviction(policy: str | UnreadFact) -> Finding:
    match policy:
        case UnreadFact(why=why):
            return unknown(
                "eviction",
                f"the database does not show its policy ({why}): check in Upstash's console that "
                "Eviction is off",
            )
        case "noeviction":
            return ok("eviction", "the database evicts nothing (noeviction)")
        case _:
            return warning(
                "eviction",
                f"the policy is {policy}, which may evict grants when memory is short, so that "
                "logins are lost: turn Eviction off (maxmemory-policy noeviction)",
            )


def _findings_of_dynamodb(facts: DynamoDbFacts) -> Iterator[Finding]:
    about = "DYNAMODB_TABLE"
    match facts.schema_fault:
        case UnreadFact(why=why):
            yield unknown(about, f"its schema cannot be read: {why}")
        case None:
            yield ok(about, "its schema is right")
        case reason:
            yield fault(about, f"{reason}: create it as docs/adr/0011-dynamodb.md says")
    yield _judge_setting(
        facts.has_listing,
        good="its index listing lists the connections",
        bad="it has no index listing, so that GET /api/connections fails: add it as "
        "docs/adr/0027-listing.md says",
    )
    yield _judge_setting(
        facts.has_time_to_live,
        good="its time to live removes expired entries",
        bad="its time to live is not on delete_after, so that expired entries stay, and cost",
    )
    yield _judge_setting(
        facts.has_point_in_time_recovery,
        good="point-in-time recovery is on",
        bad="point-in-time recovery is off, so that a deletion by mistake loses every login",
    )


def _judge_setting(is_on: bool | UnreadFact, *, good: str, bad: str) -> Finding:  # noqa: FBT001 - it is what was found
    about = "DYNAMODB_TABLE"
    if isinstance(is_on, UnreadFact):
        return unknown(about, f"unknown whether {good}: {is_on.why}")
    return ok(about, good) if is_on else warning(about, bad)
