"""The sweep by itself: which connections are due, the result of each, and when it stops."""

import asyncio
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import cycle

import pytest

from domain.authorization import PendingLogin
from domain.connection import client_part
from domain.grant import AuthorizationRequired, Authorized, Unauthorized
from domain.token_endpoint import (
    Delivery,
    NoAnswer,
    Outcome,
    RefreshTokenRequest,
    TokenErrorResponse,
    TokenRequest,
)
from functions.refresh.alert_turns import MAX_WAITING, AlertTurns
from functions.refresh.away_clients import MOST_FAILURES
from functions.refresh.sweep import MAX_CONCURRENCY, START_LIMIT, SweepReport
from functions.refresh.sweep_walk import PAGE_SIZE
from ports.store import Due, Record, RecordPage, StoreUnavailableError, UnreadableRecordError
from tests.domain.examples import DAY, RESPONSE, SECOND
from tests.functions.keeper_rig import EXPIRED, FRESH, CountingStore, KeeperRig, tokens_with
from tests.records import record_of

pytestmark = pytest.mark.anyio

SOON = 2 * DAY
YEARS = 1461 * DAY
AWAY = StoreUnavailableError("planned")
UNREADABLE = UnreadableRecordError("encrypted with another key", etag="first")
REJECTED = TokenErrorResponse(status=400, error="invalid_grant")
AWAY_503 = TokenErrorResponse(status=503, error=None)


class MovingClock:
    """A clock that a test moves on."""

    def __init__(self) -> None:
        self.ahead = timedelta(0)

    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead


class BrokenStore(CountingStore):
    """A store in which some calls raise, and some names are always due; it counts pages."""

    def __init__(
        self, broken: Mapping[str, Exception] | None = None, also_due: Sequence[str] = ()
    ) -> None:
        super().__init__()
        self.broken = broken or {}
        self.also_due = also_due
        self.pages = 0

    async def load(self, connection: str) -> Record:
        if connection in self.broken:
            raise self.broken[connection]
        return await super().load(connection)

    async def due(self, after: Due | None, before: datetime | None, *, limit: int) -> list[Due]:
        if "due" in self.broken:
            raise self.broken["due"]
        self.pages += 1
        found = await super().due(after, before, limit=limit)
        also = [Due(0, name) for name in self.also_due] if before is not None else []
        return sorted(due for due in {*also, *found} if after is None or due > after)[:limit]

    async def load_records(self, connections: Sequence[str]) -> RecordPage:
        self.pages += 1
        return await super().load_records(connections)


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
    refreshed: int = 0,
    *,
    skipped: int = 0,
    failed: int = 0,
    left: int = 0,
    is_complete: bool = True,
) -> SweepReport:
    return SweepReport(
        refreshed=refreshed, skipped=skipped, failed=failed, left=left, is_complete=is_complete
    )


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
    let_reply(rig, REJECTED, AWAY_503, RESPONSE)
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


@pytest.mark.parametrize("alerts_are_on", [False, True])
async def test_a_connection_with_nothing_due_costs_one_call_and_a_page_one_more(
    *, alerts_are_on: bool
) -> None:
    many = 4 * PAGE_SIZE
    store = BrokenStore(also_due=[f"{name:05}" for name in range(many)])
    rig = await bench_with("z", store=store)
    assert await rig.sweep(alerts_are_on=alerts_are_on).run() == report(1, skipped=many)
    # "z" is loaded and swapped twice.
    assert (store.loads, len(store.etags)) == (many + 1, 2)
    # One ends the due ones, and one those far from due.
    assert store.pages == many // PAGE_SIZE + 3


@pytest.mark.parametrize("pages", [0, 1, 3])
async def test_connections_far_from_due_cost_a_call_a_page(pages: int) -> None:
    rig = KeeperRig()
    rig.store = store = BrokenStore()
    for number in range(pages * PAGE_SIZE):
        await rig.keep(FRESH, f"{number:04}", refresh_left=10 * YEARS)
    assert await sweep(rig) == report()
    # Its names, and its records.
    assert (store.loads, store.pages) == (0, 2 * pages + 2)


@pytest.mark.parametrize(
    ("outcome", "left"),
    [
        pytest.param(AWAY_503, True, id="provider away"),
        pytest.param(NoAnswer(delivery=Delivery.UNKNOWN, reason="x"), True, id="no answer"),
        pytest.param(NoAnswer(delivery=Delivery.NOT_SENT, reason="x"), True, id="not sent"),
        pytest.param(
            TokenErrorResponse(status=401, error="invalid_client"), True, id="client refused"
        ),
        pytest.param(REJECTED, False, id="each refused"),
    ],
)
async def test_a_client_that_fails_is_left_after_some_and_the_others_go_on(
    caplog: pytest.LogCaptureFixture, outcome: Outcome, *, left: bool
) -> None:
    many = 2 * PAGE_SIZE
    names = [f"{client}:{number:03}" for number in range(many) for client in ("away", "well")]
    rig = await bench_with(*names)
    for name in names:
        tokens = replace(await rig.tokens(name), refresh_token=name)
        await rig.write(Authorized(tokens=tokens), name)

    async def request_tokens(request: TokenRequest) -> Outcome:
        rig.server.requests.append(request)
        await asyncio.sleep(0)
        assert isinstance(request, RefreshTokenRequest)
        return outcome if request.refresh_token.startswith("away") else RESPONSE

    rig.server.request_tokens = request_tokens  # type: ignore[method-assign]
    swept = await rig.sweep(client_of=client_part).run()
    assert swept.refreshed == many
    assert swept.failed + swept.left == many
    assert bool(swept.left) is left
    assert swept.is_complete is not left
    if left:
        assert MOST_FAILURES <= swept.failed < MOST_FAILURES + MAX_CONCURRENCY
        # Some kinds of failures are tried twice.
        assert len(rig.server.requests) <= many + 3 * swept.failed
    assert ("the client 'away'" in caplog.text) is left
    assert (f"{swept.left} connections are left" in caplog.text) is left


async def test_a_success_resets_the_failures_in_a_row() -> None:
    rig = await bench_with(*(f"{number:03}" for number in range(5 * MOST_FAILURES)))
    answers: Iterator[Outcome] = cycle([*[AWAY_503] * (MOST_FAILURES - MAX_CONCURRENCY), RESPONSE])

    async def reply() -> Outcome:
        return next(answers)

    rig.server.reply = reply
    swept = await sweep(rig)
    assert swept.is_complete
    assert swept.refreshed + swept.failed == 5 * MOST_FAILURES


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


async def test_a_channel_that_is_away_leaves_no_more_than_some_alerts_waiting() -> None:
    settled: list[str] = []
    may_end = asyncio.Event()

    async def settle(connection: str) -> None:
        await may_end.wait()
        settled.append(connection)

    turns = AlertTurns(settle, MovingClock(), end=datetime.now(UTC) + DAY)
    for number in range(MAX_WAITING + 10):
        turns.add(f"{number}")
    may_end.set()
    await turns.finish()
    turns.add("after some have ended")
    await turns.finish()
    assert len(settled) == MAX_WAITING + 1


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
