"""The store: whether it can be reached and written, how fast, and what is special to its kind."""

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
from functions.admin.doctor.wiring import store_facts
from functions.wiring import Wired
from ports.facts import DynamoDbFacts, RedisFacts, SqliteFacts, StoreFacts, Unseen
from ports.store import Store, StoreUnavailableError, UnreadableRecordError

_TIMES = 5
# What the doctor writes is of no use after it, and the store removes it.
_KEPT_FOR = timedelta(minutes=1)


async def check_store(wired: Wired) -> AsyncGenerator[Finding, None]:
    """Look at the store, write to it, and then look at what it keeps."""
    try:
        facts = await store_facts(wired.settings.store)
    except OSError as error:
        yield fault("store", f"{error}")
        return
    for finding in judge(facts):
        yield finding
    # The doctor makes no file: it would be another user's than the application's, perhaps.
    if isinstance(facts, SqliteFacts) and not (facts.is_begun and facts.is_database):
        return
    try:
        yield await _check_writing(wired)
    except StoreUnavailableError as error:
        yield fault("store", f"it is not available: {error}")
        return
    try:
        async for finding in check_grants(wired):
            yield finding
    except StoreUnavailableError as error:
        # What requests need has worked; credentials need not allow to list everything.
        yield unknown("connections", f"what is kept cannot be looked at: {error}")


async def _check_writing(wired: Wired) -> Finding:
    """Write, and read back what was written. Raises StoreUnavailableError."""
    with suppress(UnreadableRecordError):
        # What every request for a token does.
        await wired.store.load(DEFAULT_CONNECTION)
    key, ends = f"doctor-{secrets.token_hex(16)}", wired.clock.now() + _KEPT_FOR
    found, milliseconds = [], []
    for _ in range(_TIMES):
        start = time.perf_counter()
        found.append(await wired.store.count(key, window_ends=ends))
        milliseconds.append((time.perf_counter() - start) * 1000)
    is_kept = all(after > before for before, after in zip([0, *found], found, strict=False))
    if not (is_kept and await _keeps_a_login(wired.store, key, wired)):
        return fault("store", "it does not read back what was written")
    return ok(
        "store", f"written and read back in {median(milliseconds):.1f} ms (median of {_TIMES})"
    )


async def _keeps_a_login(store: Store, key: str, wired: Wired) -> bool:
    now = wired.clock.now()
    pending = PendingLogin(
        connection=DEFAULT_CONNECTION,
        redirect_uri="",
        code_verifier=None,
        expires_at=now + _KEPT_FOR,
    )
    await store.put_login(key, pending)
    return await store.take_login(key, taker=key, now=now) == pending


def judge(facts: StoreFacts) -> Iterator[Finding]:
    """Say what there is to say of a kind of store."""
    match facts:
        case SqliteFacts():
            yield from _judge_sqlite(facts)
        case RedisFacts(eviction_policy=policy):
            yield _judge_eviction(policy)
        case DynamoDbFacts():
            yield from _judge_dynamodb(facts)
        case _:
            assert_never(facts)


def _judge_sqlite(facts: SqliteFacts) -> Iterator[Finding]:
    about = "SQLITE_PATH"
    if not facts.folder_is_writable:
        yield fault(about, "its folder cannot be written here, which SQLite needs beside the file")
    if not facts.is_on_disk:
        yield warning(about, "it is in memory, not on a disk: the machine's restart takes it away")
    if not facts.is_begun:
        yield unknown(
            about, "there is no database yet, and none was made; ask again when logins have begun"
        )
        return
    if not facts.is_database:
        yield fault(about, "the file is no SQLite database")
        return
    if facts.others_can:
        parts = ", ".join(facts.others_can)
        yield warning(about, f"others than its owner can get at it ({parts}): chmod 600")
    if not facts.is_in_wal_mode:
        yield warning(
            about,
            "the file is not in WAL mode, in which the application leaves it: something else has "
            "changed it, or its file system cannot (none of a network can)",
        )
    if not facts.others_can and facts.is_in_wal_mode:
        yield ok(about, "the file is its owner's only, and in WAL mode")


def _judge_eviction(policy: str | Unseen) -> Finding:
    match policy:
        case Unseen(why=why):
            return unknown(
                "eviction",
                f"the database does not show its policy ({why}): see that Eviction is off in "
                "Upstash's console",
            )
        case "noeviction":
            return ok("eviction", "the database removes nothing by itself (noeviction)")
        case _:
            return warning(
                "eviction",
                f"the policy is {policy}: grants can be evicted when memory is short, and then "
                "somebody has to log in again; turn Eviction off (maxmemory-policy noeviction)",
            )


def _judge_dynamodb(facts: DynamoDbFacts) -> Iterator[Finding]:
    about = "DYNAMODB_TABLE"
    match facts.misshapen:
        case Unseen(why=why):
            yield unknown(about, f"how it is made cannot be seen: {why}")
        case None:
            yield ok(about, "it is made as the store needs it")
        case reason:
            yield fault(about, f"{reason}: make it as docs/adr/0011-dynamodb.md says")
    yield _judge_setting(
        facts.forgets_expired,
        good="its time to live removes what has expired",
        bad="its time to live is not on delete_after: what has expired is kept, and paid for",
    )
    yield _judge_setting(
        facts.can_go_back,
        good="it can be restored to any instant of the last days",
        bad="point-in-time recovery is off: what is deleted by mistake is lost, and all log in",
    )


def _judge_setting(is_on: bool | Unseen, *, good: str, bad: str) -> Finding:  # noqa: FBT001 - it is what was found
    about = "DYNAMODB_TABLE"
    if isinstance(is_on, Unseen):
        return unknown(about, f"whether {good} cannot be seen: {is_on.why}")
    return ok(about, good) if is_on else warning(about, bad)
