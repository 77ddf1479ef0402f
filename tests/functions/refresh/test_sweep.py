"""The sweep by itself: which connections are due, the result of each, and when it stops."""

import asyncio
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from domain.authorization import PendingLogin
from domain.grant import AuthorizationRequired, Authorized, Unauthorized
from domain.token_endpoint import Outcome, TokenErrorResponse
from functions.refresh.sweep import MAX_CONCURRENCY, PAGE_SIZE, START_LIMIT, SweepReport
from ports.store import Record, StoreUnavailableError, UnreadableRecordError
from tests.domain.examples import DAY, RESPONSE, SECOND
from tests.functions.keeper_rig import EXPIRED, FRESH, CountingStore, KeeperRig, tokens_with
from tests.records import record_of

pytestmark = pytest.mark.anyio

SOON = 2 * DAY
YEARS = 1461 * DAY
AWAY = StoreUnavailableError("planned")
UNREADABLE = UnreadableRecordError("encrypted with another key", etag="first")
REJECTED = TokenErrorResponse(status=400, error="invalid_grant")


class MovingClock:
    """A clock that a test moves on."""

    def __init__(self) -> None:
        self.ahead = timedelta(0)

    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead


class BrokenStore(CountingStore):
    """A store in which some calls raise, and some names are always due; it counts those."""

    def __init__(
        self, broken: Mapping[str, Exception] | None = None, also_due: Sequence[str] = ()
    ) -> None:
        super().__init__()
        self.broken = broken or {}
        self.also_due = also_due
        self.names_read = 0

    async def load(self, connection: str) -> Record:
        if connection in self.broken:
            raise self.broken[connection]
        return await super().load(connection)

    async def due(self, before: datetime, *, limit: int) -> list[str]:
        if "due" in self.broken:
            raise self.broken["due"]
        found = [*self.also_due, *await super().due(before, limit=limit)][:limit]
        self.names_read += len(found)
        return found


async def bench_with(*due: str, store: CountingStore | None = None) -> KeeperRig:
    """Return a rig with these connections, which are due in their order."""
    rig = KeeperRig()
    rig.store = store or rig.store
    for number, name in enumerate(due):
        await rig.keep(EXPIRED, name, refresh_left=SOON + number * SECOND)
    return rig


def let_reply(rig: KeeperRig, *outcomes: Outcome) -> None:
    replies: Iterator[Outcome] = iter(outcomes)

    async def reply() -> Outcome:
        await asyncio.sleep(0.01)
        return next(replies)

    rig.server.reply = reply


async def sweep(rig: KeeperRig, clock: MovingClock | None = None) -> SweepReport:
    async with asyncio.timeout(60):
        return await rig.sweep(clock=clock).run()


def report(
    refreshed: int = 0, *, skipped: int = 0, failed: int = 0, is_complete: bool = True
) -> SweepReport:
    return SweepReport(refreshed=refreshed, skipped=skipped, failed=failed, is_complete=is_complete)


async def test_only_due_connections_are_refreshed() -> None:
    rig = await bench_with("a", "b")
    await rig.keep(EXPIRED, "not-due")
    assert await sweep(rig) == report(2)
    assert len(rig.server.requests) == 2
    assert await sweep(rig) == report()


async def test_grant_dated_by_a_clock_that_was_ahead_is_refreshed_and_a_long_one_is_not() -> None:
    rig = KeeperRig()
    long = tokens_with(FRESH, refresh_left=10 * YEARS)
    expires_at = datetime.now(UTC) + YEARS + FRESH
    ahead = replace(long, issued_at=long.issued_at + YEARS, expires_at=expires_at)
    for name, tokens in (("ahead", ahead), ("long", long)):
        record = record_of(Authorized(tokens=tokens), name)
        await rig.store.swap(name, record, expected_etag=None)
    assert await sweep(rig) == report(1)
    assert await sweep(rig) == report()


async def test_attempt_is_counted_though_the_access_token_is_still_valid() -> None:
    rig = KeeperRig()
    let_reply(rig, RESPONSE, REJECTED)
    for name, expected in (("a", report(1)), ("b", report(failed=1))):
        await rig.keep(FRESH, name, refresh_left=SOON)
        assert await sweep(rig) == expected


async def test_forged_names_are_neither_logged_nor_in_the_way(
    caplog: pytest.LogCaptureFixture,
) -> None:
    forged = [f"evil\nERROR {number}\x1b[2J" for number in range(2 * PAGE_SIZE)]
    store = BrokenStore(dict.fromkeys(forged, UNREADABLE))
    assert await sweep(await bench_with(*forged, "z", store=store)) == report(1)
    assert "evil" not in caplog.text


async def test_failure_of_one_is_counted_and_does_not_stop_the_others(
    caplog: pytest.LogCaptureFixture,
) -> None:
    store = BrokenStore({"a": UNREADABLE, "b": AWAY, "c": RuntimeError("a fault of our own")})
    rig = await bench_with("a", "b", "c", "d", "e", "f", store=store)
    let_reply(rig, REJECTED, TokenErrorResponse(status=503, error=None), RESPONSE)
    assert await sweep(rig) == report(1, failed=5)
    states = {type(await rig.grant(connection)) for connection in ("d", "e", "f")}
    assert states == {Authorized, AuthorizationRequired}
    for connection in ("a", "b", "c"):
        assert f"connection {connection}: not refreshed" in caplog.text
    assert caplog.text.count("; the next sweep tries again") == 3
    assert "not refreshed: login required (refresh-token-rejected)" in caplog.text
    next_try = (
        r"not refreshed: the refresh failed \(provider-unavailable\); next try at \d{4}-\d\d-\d\dT"
    )
    assert re.search(next_try, caplog.text)
    assert "a fault of our own" in caplog.text


async def test_connection_that_was_deleted_or_revoked_meanwhile_is_skipped() -> None:
    store = BrokenStore(also_due=["deleted", "revoked"])
    rig = await bench_with("a", "revoked", store=store)
    await rig.revocations(rig.instance()).revoke("revoked")
    assert await sweep(rig) == report(1, skipped=2)
    assert await rig.grant("deleted") == Unauthorized()


async def test_more_than_a_page_is_refreshed_though_a_whole_page_fails() -> None:
    failing = [f"{number:03}" for number in range(PAGE_SIZE)]
    rig = await bench_with(*failing, "last", store=BrokenStore(dict.fromkeys(failing, AWAY)))
    assert await sweep(rig) == report(1, failed=PAGE_SIZE)


async def test_names_that_stay_due_are_read_a_few_times_however_many_they_are() -> None:
    many = 50 * PAGE_SIZE
    store = BrokenStore(also_due=[f"{name:05}" for name in range(many)])
    assert await sweep(await bench_with("z", store=store)) == report(1, skipped=many)
    assert store.names_read < 4 * many


async def test_sweep_starts_nothing_more_when_its_time_is_up_and_the_next_one_continues() -> None:
    names = [f"{number:02}" for number in range(3 * MAX_CONCURRENCY)]
    clock, rig = MovingClock(), await bench_with(*names)
    at_once: list[int] = []

    async def reply() -> Outcome:
        at_once.append(len(rig.server.requests))
        clock.ahead = START_LIMIT
        await asyncio.sleep(0.01)
        return RESPONSE

    rig.server.reply = reply
    assert await sweep(rig, clock) == report(MAX_CONCURRENCY, is_complete=False)
    assert max(at_once) == MAX_CONCURRENCY
    refreshed = [name for name in names if (await rig.tokens(name)).generation == 8]
    assert refreshed == names[:MAX_CONCURRENCY]
    assert await sweep(rig) == report(2 * MAX_CONCURRENCY)


async def test_store_that_cannot_list_due_connections_is_an_error() -> None:
    with pytest.raises(StoreUnavailableError):
        await sweep(await bench_with(store=BrokenStore({"due": AWAY})))


async def test_expired_logins_are_removed() -> None:
    rig, now = KeeperRig(), datetime.now(UTC)
    for state, expires_at in (("expired", now), ("pending", now + timedelta(minutes=1))):
        pending = PendingLogin(
            connection="c", redirect_uri="", code_verifier=None, expires_at=expires_at
        )
        await rig.store.put_login(state, pending)
    await sweep(rig)
    assert list(rig.store._logins) == ["pending"]
