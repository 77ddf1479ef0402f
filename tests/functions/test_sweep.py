"""The sweep by itself: what is due, what becomes of each, and when it stops."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from domain.authorization import PendingLogin
from domain.grant import AuthorizationRequired, Authorized, Unauthorized
from domain.token_endpoint import Outcome, TokenErrorResponse
from functions.refresh.sweep import MAX_CONCURRENCY, PAGE_SIZE, START_LIMIT, SweepReport
from ports.store import Record, StoreUnavailableError, UnreadableRecordError
from tests.domain.examples import DAY, RESPONSE
from tests.functions.bench import EXPIRED, FRESH, Bench, CountingStore, tokens_with
from tests.records import record_of

SOON = 2 * DAY
NOTHING = SweepReport(refreshed=0, skipped=0, failed=0, is_complete=True)


class SlowingClock:
    """A clock that a test moves on."""

    def __init__(self) -> None:
        self.ahead = timedelta(0)

    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead


class ForgedStore(CountingStore):
    """A store with names that are due and have no record, and how many it has told."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.names = [f"{name:05}" for name in range(number)]
        self.told = 0

    async def due(self, before: datetime, *, limit: int) -> list[str]:
        found = [*self.names, *await super().due(before, limit=limit)][:limit]
        self.told += len(found)
        return found


class BrokenStore(CountingStore):
    """A store in which some things cannot be done, each for a reason of its own."""

    def __init__(self, *, broken: Mapping[str, Exception], also_due: Sequence[str] = ()) -> None:
        super().__init__()
        self.broken = broken
        self.also_due = also_due

    async def load(self, connection: str) -> Record:
        if connection in self.broken:
            raise self.broken[connection]
        return await super().load(connection)

    async def due(self, before: datetime, *, limit: int) -> list[str]:
        if "due" in self.broken:
            raise self.broken["due"]
        return [*await super().due(before, limit=limit), *self.also_due][:limit]


def run(work: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(work(), 60))


async def idle(bench: Bench, *connections: str) -> None:
    for connection in connections:
        await bench.keep(EXPIRED, connection, refresh_left=SOON)


def test_what_is_due_is_refreshed_and_nothing_else() -> None:
    async def work() -> None:
        bench = Bench()
        await idle(bench, "a", "b")
        await bench.keep(EXPIRED, "not-due")
        report = await bench.sweep().run()
        assert report == SweepReport(refreshed=2, skipped=0, failed=0, is_complete=True)
        assert len(bench.server.requests) == 2
        assert await bench.sweep().run() == NOTHING

    run(work)


def test_what_a_clock_that_was_ahead_has_dated_is_refreshed_and_what_lives_long_is_not() -> None:
    async def work() -> None:
        bench = Bench()
        years = timedelta(days=1461)
        living = tokens_with(FRESH, refresh_left=10 * years)
        ahead = replace(
            living,
            issued_at=living.issued_at + years,
            expires_at=datetime.now(UTC) + years + FRESH,
        )
        for name, tokens in (("ahead", ahead), ("living", living)):
            grant = Authorized(tokens=tokens)
            await bench.store.swap(name, record_of(grant, name), expected_etag=None)
        report = await bench.sweep().run()
        assert report == SweepReport(refreshed=1, skipped=0, failed=0, is_complete=True)
        assert await bench.sweep().run() == NOTHING

    run(work)


def test_an_attempt_is_counted_though_the_access_token_lives_meanwhile() -> None:
    async def work() -> None:
        bench = Bench()
        refused = TokenErrorResponse(status=400, error="invalid_grant")
        replies: Iterator[Outcome] = iter([RESPONSE, refused])

        async def reply() -> Outcome:
            await asyncio.sleep(0.01)
            return next(replies)

        bench.server.reply = reply
        await bench.keep(FRESH, "a", refresh_left=SOON)
        report = await bench.sweep().run()
        assert report == SweepReport(refreshed=1, skipped=0, failed=0, is_complete=True)
        await bench.keep(FRESH, "b", refresh_left=SOON)
        report = await bench.sweep().run()
        assert report == SweepReport(refreshed=0, skipped=0, failed=1, is_complete=True)

    run(work)


def test_names_that_no_connection_can_have_are_neither_logged_nor_in_the_way(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def work() -> None:
        bench = Bench()
        forged = [f"evil\nERROR {number}\x1b[2J" for number in range(2 * PAGE_SIZE)]
        broken = dict.fromkeys(forged, UnreadableRecordError("planned", etag="first"))
        bench.store = BrokenStore(broken=broken)
        await idle(bench, *forged)
        await idle(bench, "z")
        report = await bench.sweep().run()
        assert report == SweepReport(refreshed=1, skipped=0, failed=0, is_complete=True)
        assert "evil" not in caplog.text

    run(work)


def test_what_fails_is_counted_and_does_not_stop_the_others(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def work() -> None:
        bench = Bench()
        broken = {
            "a": UnreadableRecordError("sealed with another key", etag="first"),
            "b": StoreUnavailableError("planned"),
            "c": RuntimeError("a fault of our own"),
        }
        bench.store = BrokenStore(broken=broken)
        await idle(bench, "a", "b", "c", "d", "e")
        replies: Iterator[Outcome] = iter(
            [TokenErrorResponse(status=400, error="invalid_grant"), RESPONSE]
        )

        async def reply() -> Outcome:
            return next(replies)

        bench.server.reply = reply
        report = await bench.sweep().run()
        assert report == SweepReport(refreshed=1, skipped=0, failed=4, is_complete=True)
        states = {type(await bench.grant(connection)) for connection in ("d", "e")}
        assert states == {Authorized, AuthorizationRequired}

    run(work)
    for connection in ("a", "b", "c"):
        assert f"connection {connection}: not refreshed" in caplog.text
    assert "a fault of our own" in caplog.text


def test_a_connection_that_was_forgotten_or_revoked_meanwhile_is_skipped() -> None:
    async def work() -> None:
        bench = Bench()
        bench.store = BrokenStore(broken={}, also_due=["forgotten", "revoked"])
        await idle(bench, "a", "revoked")
        await bench.revocations(bench.instance()).revoke("revoked")
        report = await bench.sweep().run()
        assert report == SweepReport(refreshed=1, skipped=2, failed=0, is_complete=True)
        assert await bench.grant("forgotten") == Unauthorized()

    run(work)


def test_more_than_a_page_is_refreshed_though_a_whole_page_fails() -> None:
    async def work() -> None:
        bench = Bench()
        failing = [f"{number:03}" for number in range(PAGE_SIZE)]
        broken = {name: StoreUnavailableError("planned") for name in failing}
        bench.store = BrokenStore(broken=broken)
        for number, name in enumerate([*failing, "last"]):
            left = SOON + number * timedelta(seconds=1)
            await bench.keep(EXPIRED, name, refresh_left=left)
        report = await bench.sweep().run()
        assert report == SweepReport(refreshed=1, skipped=0, failed=PAGE_SIZE, is_complete=True)

    run(work)


def test_names_that_stay_due_are_read_a_few_times_however_many_they_are() -> None:
    async def work() -> None:
        bench = Bench()
        bench.store = forged = ForgedStore(50 * PAGE_SIZE)
        await idle(bench, "z")
        report = await bench.sweep().run()
        assert (report.refreshed, report.skipped) == (1, 50 * PAGE_SIZE)
        assert forged.told < 4 * 50 * PAGE_SIZE

    run(work)


def test_it_begins_nothing_more_when_its_time_is_up_and_the_next_one_goes_on() -> None:
    async def work() -> None:
        clock, bench = SlowingClock(), Bench()
        names = [f"{number:02}" for number in range(3 * MAX_CONCURRENCY)]
        for number, name in enumerate(names):
            left = SOON + number * timedelta(seconds=1)
            await bench.keep(EXPIRED, name, refresh_left=left)
        at_once: list[int] = []

        async def reply() -> Outcome:
            at_once.append(len(bench.server.requests))
            clock.ahead = START_LIMIT
            await asyncio.sleep(0.01)
            return RESPONSE

        bench.server.reply = reply
        report = await bench.sweep(clock=clock).run()
        assert report == SweepReport(
            refreshed=MAX_CONCURRENCY, skipped=0, failed=0, is_complete=False
        )
        assert max(at_once) == MAX_CONCURRENCY
        refreshed = [name for name in names if (await bench.tokens(name)).generation == 8]
        assert refreshed == names[:MAX_CONCURRENCY]
        report = await bench.sweep().run()
        assert report == SweepReport(
            refreshed=2 * MAX_CONCURRENCY, skipped=0, failed=0, is_complete=True
        )

    run(work)


def test_a_store_that_cannot_tell_what_is_due_is_an_error() -> None:
    async def work() -> None:
        bench = Bench()
        bench.store = BrokenStore(broken={"due": StoreUnavailableError("planned")})
        with pytest.raises(StoreUnavailableError):
            await bench.sweep().run()

    run(work)


def test_logins_that_nobody_finished_are_removed() -> None:
    async def work() -> None:
        bench = Bench()
        pending = PendingLogin(
            connection="c", redirect_uri="", code_verifier=None, expires_at=datetime.now(UTC)
        )
        await bench.store.put_login("ended", pending)
        later = replace(pending, expires_at=pending.expires_at + timedelta(minutes=1))
        await bench.store.put_login("goes on", later)
        await bench.sweep().run()
        assert list(bench.store._logins) == ["goes on"]

    run(work)
