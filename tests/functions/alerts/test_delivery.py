"""Alerts reach each channel: after the answer, by the sweep after a crash, in order, once."""

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from datetime import timedelta
from multiprocessing import get_context
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest

from domain import alert_delivery
from domain.alert_book import EMPTY, AlertBook
from domain.alerts import AlertKind
from domain.events import AttemptEnded, LoginCompleted
from domain.grant import AuthorizationRequired, Authorized, Cause
from domain.ledger import HistoryEvent
from domain.token_endpoint import Outcome
from functions.alerts import outlets
from functions.alerts.channel import ChannelError, ChannelGoneError, ChannelTimeoutError
from functions.alerts.message import AlertMessage
from functions.refresh.alert_duty import AlertDuty
from ports.store import Record, StoreUnavailableError
from tests.domain.examples import DAY, EXPIRED, MINUTE, REFRESH_LIFE, RESPONSE, T0, TOKENS, begin
from tests.functions.alerts.alert_rig import AlertRig, ListedChannel, alert_rig

pytestmark = pytest.mark.anyio

LOGIN, RECOVERED = AlertKind.LOGIN_NEEDED, AlertKind.RECOVERED
GOOD = Authorized(tokens=TOKENS)
REQUIRED = AuthorizationRequired(
    tokens=TOKENS, cause=Cause.REFRESH_TOKEN_REJECTED, client="c", since=T0
)
RENEWED = Authorized(tokens=replace(TOKENS, generation=8, issued_at=EXPIRED))


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[AlertRig]:
    async with alert_rig(tmp_path, at=EXPIRED) as made:
        yield made


@pytest.fixture(autouse=True)
def no_second_try(monkeypatch: pytest.MonkeyPatch) -> None:
    """A delivery does not wait for its second try, unless a test says so."""
    monkeypatch.setattr(alert_delivery, "BACKOFF", (MINUTE, 5 * MINUTE))


def refuse(_message: AlertMessage) -> None:
    raise ChannelError("answered 503")


async def book_of(rig: AlertRig, connection: str = "c") -> AlertBook:
    return (await rig.record(connection)).alerts or EMPTY


async def test_a_change_of_state_reaches_every_channel_once_and_leaves_nothing(
    rig: AlertRig,
) -> None:
    one, two = ListedChannel("one"), ListedChannel("two", kinds=frozenset({RECOVERED}))
    instance = rig.instance(one, two)
    await instance.change(GOOD)
    await instance.change(REQUIRED)
    await instance.finish()
    assert one.kinds_taken == [LOGIN]
    [message] = one.took
    assert (message.connection, message.alert.cause) == ("c", "refresh-token-rejected")
    await instance.change(RENEWED)
    await instance.finish()
    assert (one.kinds_taken, two.kinds_taken) == ([LOGIN, RECOVERED], [RECOVERED])
    assert one.ids[1] == two.ids[0] != one.ids[0]
    assert (await rig.record()).alerts is None


async def test_an_answer_does_not_wait_for_a_channel(rig: AlertRig) -> None:
    slow = ListedChannel("slow", gate=asyncio.Event())
    fast = ListedChannel("fast")
    instance = rig.instance(slow, fast)
    await instance.change(REQUIRED)
    # The change is stored and answered, and so is the next one.
    await slow.is_asked.wait()
    await instance.change(RENEWED)
    assert slow.took == []
    assert slow.gate is not None
    slow.gate.set()
    await instance.finish()
    assert slow.kinds_taken == fast.kinds_taken == [LOGIN, RECOVERED]
    assert (await rig.record()).alerts is None


async def test_a_channel_that_fails_stops_at_that_alert_and_delays_no_other(
    rig: AlertRig, caplog: pytest.LogCaptureFixture
) -> None:
    away, works = ListedChannel("away", refuse), ListedChannel("works")
    instance = rig.instance(away, works)
    for grant in (REQUIRED, RENEWED, replace(REQUIRED, tokens=RENEWED.tokens)):
        await instance.change(grant)
        await instance.finish()
    assert works.kinds_taken == [LOGIN, RECOVERED, LOGIN]
    # It was not asked again: it waits.
    assert [message.alert.kind for message in away.asked] == [LOGIN]
    assert [owed.done for owed in (await book_of(rig)).owed] == [{"works"}] * 3
    assert "alert connection.login-needed: not delivered to away: answered 503" in caplog.text
    assert "connection c: next alert to away: not before 2026-01-01T00:31:00Z" in caplog.text
    away.before = lambda _message: None
    rig.move(MINUTE)
    await instance.sweep.run()
    assert away.ids == works.ids
    book = await book_of(rig)
    assert (book.owed, book.waits) == ((), ())


async def test_a_crash_between_the_write_and_the_delivery_is_made_up_for_by_the_sweep(
    rig: AlertRig,
) -> None:
    lost, other = ListedChannel("one", gate=asyncio.Event()), ListedChannel("one")
    crashed, sweeps = rig.instance(lost), rig.instance(other)
    record = await crashed.change(REQUIRED)
    await lost.is_asked.wait()
    # Its lease holds: it may be delivering.
    await sweeps.sweep.run()
    assert other.took == []
    rig.move(MINUTE)
    report = await sweeps.sweep.run()
    assert record.alerts is not None
    assert other.ids == [owed.alert.id for owed in record.alerts.owed]
    assert (report.refreshed, report.skipped, report.failed) == (0, 0, 0)
    # The first instance was only frozen. Its channel takes a duplicate with the same id.
    assert lost.gate is not None
    lost.gate.set()
    await crashed.finish()
    assert lost.ids == other.ids
    assert (await book_of(rig)).owed == ()


async def test_an_instance_whose_lease_ran_out_leaves_the_claim_to_the_next(
    rig: AlertRig,
) -> None:
    late, next_ = (ListedChannel("one", gate=asyncio.Event()) for _ in range(2))
    frozen, sweeps = rig.instance(late), rig.instance(next_)
    await frozen.change(REQUIRED)
    await late.is_asked.wait()
    rig.move(MINUTE)
    sweep = asyncio.create_task(sweeps.sweep.run())
    await next_.is_asked.wait()
    theirs = (await book_of(rig)).claim
    assert late.gate is not None
    assert next_.gate is not None
    late.gate.set()
    await frozen.finish()
    assert (await book_of(rig)).claim == theirs is not None
    next_.gate.set()
    await sweep
    assert (await book_of(rig)).owed == ()
    assert (await book_of(rig)).claim is None


async def test_no_send_starts_in_the_last_seconds_of_a_lease(rig: AlertRig) -> None:
    left = []

    class SlowChannel(ListedChannel):
        async def send(self, message: AlertMessage) -> None:
            claim = (await book_of(rig)).claim
            assert claim is not None
            left.append(claim.until - rig.clock.now())
            rig.move(timedelta(seconds=40))
            await super().send(message)

    channel = SlowChannel("slow")
    instance = rig.instance(channel)
    await instance.change(replace(REQUIRED, tokens=replace(TOKENS, subject="one")))
    await instance.finish()
    await instance.change(replace(RENEWED, tokens=replace(RENEWED.tokens, subject="two")))
    await instance.finish()
    assert channel.kinds_taken == [LOGIN, AlertKind.ACCOUNT_CHANGED, RECOVERED]
    # A send takes 20 s at most, and its mark is stored after that.
    assert min(left) >= timedelta(seconds=25)


async def test_an_alert_whose_mark_is_not_stored_is_delivered_again_with_the_same_id(
    rig: AlertRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    channel = ListedChannel("one")
    instance = rig.instance(channel)
    monkeypatch.setattr("functions.refresh.recorder.SWAP_RETRIES", ())

    async def fail(*_: object, **__: object) -> None:
        raise StoreUnavailableError("planned")

    with monkeypatch.context() as patch:
        channel.before = lambda _: patch.setattr(instance.store, "swap", fail)
        await instance.change(REQUIRED)
        await instance.finish()
    channel.before = lambda _message: None
    rig.move(MINUTE)
    await instance.sweep.run()
    assert channel.kinds_taken == [LOGIN, LOGIN]
    assert len(set(channel.ids)) == 1


async def test_a_write_during_a_delivery_is_not_undone_by_it_and_its_alerts_follow(
    rig: AlertRig,
) -> None:
    channel = ListedChannel("one", gate=asyncio.Event())
    mine, theirs = rig.instance(channel), rig.instance(ListedChannel("one"))
    await mine.change(REQUIRED)
    await channel.is_asked.wait()
    written = await theirs.change(RENEWED)
    await theirs.finish()
    assert channel.gate is not None
    channel.gate.set()
    await mine.finish()
    assert channel.kinds_taken == [LOGIN, RECOVERED]
    after = await rig.record()
    assert (after.grant, after.alerts) == (written.grant, None)


def time_out(_message: AlertMessage) -> None:
    raise ChannelTimeoutError("no answer in 15 s")


@pytest.mark.parametrize("has_limit", [False, True], ids=["without-limit", "with-its-own-limit"])
async def test_a_channel_that_hangs_has_a_limit_and_the_others_go_on(
    *,
    has_limit: bool,
    rig: AlertRig,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(outlets, "SEND_LIMIT", timedelta(seconds=0.05))
    works, hangs = ListedChannel("works"), ListedChannel("hangs", gate=asyncio.Event())
    if has_limit:
        hangs = ListedChannel("hangs", time_out)
    instance = rig.instance(hangs, works)
    names = [f"c{number}" for number in range(6)]
    for name in names:
        await instance.change(REQUIRED, name)
        await instance.finish()
    assert len(works.took) == len(names)
    # After some sends without an answer nobody waits for it, for a minute.
    assert len(hangs.asked) == 3
    assert "not delivered to hangs: no answer in" in caplog.text
    hangs.gate, hangs.before = None, works.before
    rig.move(MINUTE)
    await instance.sweep.run()
    assert sorted(message.connection or "" for message in hangs.took) == names


async def test_a_channel_that_is_gone_gets_no_more(
    rig: AlertRig, caplog: pytest.LogCaptureFixture
) -> None:
    def end(_message: AlertMessage) -> None:
        raise ChannelGoneError("answered 410")

    gone, works = ListedChannel("gone", end), ListedChannel("works")
    instance = rig.instance(gone, works)
    for grant in (REQUIRED, RENEWED):
        await instance.change(grant)
        await instance.finish()
    assert (len(gone.asked), works.kinds_taken) == (1, [LOGIN, RECOVERED])
    record = await rig.record()
    assert record.alerts is None
    assert [(each.event, each.quote) for each in record.ledger] == [
        (HistoryEvent.ALERT_GIVEN_UP, "connection.login-needed: gone"),
        (HistoryEvent.ALERT_GIVEN_UP, "connection.recovered: gone"),
    ]
    assert "gone for good: answered 410; remove it from ALERTS" in caplog.text


async def test_an_alert_is_given_up_after_three_days_and_the_history_has_it(
    rig: AlertRig, caplog: pytest.LogCaptureFixture
) -> None:
    away = ListedChannel("away", refuse)
    instance = rig.instance(away)
    await instance.change(REQUIRED)
    await instance.finish()
    rig.move(3 * DAY - MINUTE)
    await instance.sweep.run()
    assert len((await book_of(rig)).owed) == 1
    rig.move(5 * MINUTE)
    await instance.sweep.run()
    record = await rig.record()
    assert record.alerts is not None
    assert record.alerts.owed == ()
    [entry] = record.ledger
    assert (entry.event, entry.outcome, entry.key_name, entry.quote) == (
        HistoryEvent.ALERT_GIVEN_UP,
        "not-delivered",
        None,
        "connection.login-needed: away",
    )
    assert "alert connection.login-needed is given up for away" in caplog.text
    # The next one is tried, as if nothing had been.
    away.before = lambda _message: None
    await instance.change(RENEWED)
    await instance.finish()
    assert away.kinds_taken == [RECOVERED]


async def test_a_failure_of_a_moment_is_made_up_for_in_the_same_delivery(
    rig: AlertRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alert_delivery, "BACKOFF", (timedelta(0), MINUTE))

    def fail_once(_message: AlertMessage) -> None:
        if len(flaky.asked) == 1:
            raise ChannelError("answered 500")

    flaky, works = ListedChannel("flaky", fail_once), ListedChannel("works")
    instance = rig.instance(flaky, works)
    await instance.change(REQUIRED)
    await instance.finish()
    assert (len(flaky.asked), flaky.kinds_taken, works.kinds_taken) == (2, [LOGIN], [LOGIN])
    assert (await book_of(rig)).owed == ()


async def test_an_error_of_a_channel_stops_no_other_and_its_text_stays_out_of_the_log(
    rig: AlertRig, caplog: pytest.LogCaptureFixture
) -> None:
    def break_down(_message: AlertMessage) -> None:
        raise ValueError("https://hooks.example/secret-path")

    broken, works = ListedChannel("broken", break_down), ListedChannel("works")
    instance = rig.instance(broken, works)
    await instance.change(REQUIRED)
    await instance.finish()
    assert works.kinds_taken == [LOGIN]
    assert "not delivered to broken: ValueError" in caplog.text
    assert "secret-path" not in caplog.text


async def test_a_channel_that_asks_for_a_wait_gets_it(rig: AlertRig) -> None:
    def ask(_message: AlertMessage) -> None:
        raise ChannelError("answered 429", retry_after=30 * MINUTE)

    busy = ListedChannel("busy", ask)
    instance = rig.instance(busy)
    await instance.change(REQUIRED)
    await instance.finish()
    [wait] = (await book_of(rig)).waits
    assert wait.next_try_at == EXPIRED + 30 * MINUTE


async def test_without_channels_nothing_is_written_and_what_was_owed_is_forgotten(
    rig: AlertRig,
) -> None:
    with_channels = rig.instance(ListedChannel("away", refuse))
    without = rig.instance()
    await without.change(REQUIRED)
    assert (await rig.record()).alerts is None
    await with_channels.recorder.settle("c")
    before = await rig.record()
    assert before.alerts is not None
    # An instance without ALERTS, during a deployment, keeps what others owe.
    assert (await without.change(replace(REQUIRED, client="d"))).alerts == before.alerts
    rig.move(MINUTE)
    report = await without.sweep.run()
    assert (await rig.record()).alerts is None
    assert (report.refreshed, report.skipped, report.failed) == (0, 1, 0)


async def test_time_alone_owes_an_alert_when_the_sweep_looks(rig: AlertRig) -> None:
    channel = ListedChannel("one")
    instance = rig.instance(channel)
    tokens = replace(TOKENS, refresh_token=None, refresh_token_expires_at=None)
    tokens = replace(tokens, expires_at=EXPIRED + 60 * DAY)
    await instance.change(Authorized(tokens=tokens))
    owed = []
    for days in (45, 46, 53, 59, 60):
        rig.clock.at = EXPIRED + days * DAY
        await instance.sweep.run()
        owed.append((days, len(channel.took)))
    assert owed == [(45, 0), (46, 1), (53, 2), (59, 3), (60, 4)]
    assert channel.kinds_taken == [AlertKind.EXPIRES_SOON] * 3 + [LOGIN]


async def test_the_sweep_refreshes_other_connections_while_a_channel_hangs(
    rig: AlertRig,
) -> None:
    hangs = ListedChannel("hangs", gate=asyncio.Event())
    instance = rig.instance(hangs)
    away = rig.instance(ListedChannel("hangs", refuse))
    for number in range(12):
        await away.change(REQUIRED, f"dead-{number}")
        await away.finish()
    idle = replace(TOKENS, refresh_token_expires_at=EXPIRED + 3 * DAY, expires_at=EXPIRED)
    await instance.change(Authorized(tokens=idle), "idle")
    rig.move(2 * DAY)

    async def answer() -> Outcome:
        assert hangs.gate is not None
        hangs.gate.set()
        return await reply()

    reply, instance.server.reply = instance.server.reply, answer
    report = await instance.sweep.run()
    # The channel went on only after the refresh.
    assert report.refreshed == 1
    assert len(hangs.took) == 12


async def test_a_record_that_was_put_back_owes_an_alert(rig: AlertRig) -> None:
    channel = ListedChannel("one")
    instance = rig.instance(channel)
    old = await instance.change(GOOD)
    new = await instance.change(RENEWED)
    await instance.store.swap("c", replace(old, etag="older"), expected_etag=new.etag)
    await instance.store.swap("c", old, expected_etag="older")
    await instance.recorder.load("c")
    await instance.finish()
    [message] = channel.took
    assert (message.alert.kind, message.alert.cause) == (
        AlertKind.ROLLED_BACK,
        "record-rolled-back",
    )
    assert (await rig.record()).grant == RENEWED


async def test_tokens_that_were_stored_late_owe_an_alert(
    rig: AlertRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("functions.refresh.recorder.SWAP_RETRIES", ())
    monkeypatch.setattr("functions.refresh.recorder.LATE_RETRIES", (timedelta(0),) * 9)
    channel = ListedChannel("one")
    instance = rig.instance(channel)
    refreshing, command = begin(GOOD, EXPIRED)
    record = await instance.change(refreshing)
    swap, fails = instance.store.swap, [True, True]

    async def fail(connection: str, new: Record, *, expected_etag: str | None) -> None:
        if fails:
            fails.pop()
            raise StoreUnavailableError("planned")
        await swap(connection, new, expected_etag=expected_etag)

    monkeypatch.setattr(instance.store, "swap", fail)
    ended = AttemptEnded(attempt=command.attempt, outcome=RESPONSE)
    with pytest.raises(StoreUnavailableError):
        await instance.recorder.keep("c", record, ended)
    await instance.finish()
    [message] = channel.took
    assert (message.alert.kind, message.alert.cause) == (AlertKind.TOKENS_RESCUED, "late-write")
    assert [line.record.alerts for line in instance.rescue.emitted] == [None]


async def test_a_fault_of_the_rules_of_alerts_loses_no_tokens(
    rig: AlertRig, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OverflowError("date value out of range")

    monkeypatch.setattr("functions.refresh.alert_duty.book_after", fail)
    instance = rig.instance(ListedChannel("one"))
    await instance.change(RENEWED)
    assert (await rig.record()).grant == RENEWED
    assert "unexpected error of alerts" in caplog.text


async def test_a_fault_of_the_parts_of_alerts_loses_no_tokens(
    rig: AlertRig, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> AlertDuty:
        raise ImportError("planned")

    instance = rig.instance(alerts=fail)
    login = LoginCompleted(response=RESPONSE, requested_at=EXPIRED)
    await instance.recorder.keep("c", await instance.recorder.load("c"), login)
    assert isinstance((await rig.record()).grant, Authorized)
    rig.move(DAY)
    assert (await instance.keeper.refresh("c")).is_refreshed
    assert "unexpected error of alerts" in caplog.text


class FileChannel:
    """A channel of several processes: it adds a line to a file."""

    name = "file"

    def __init__(self, path: Path) -> None:
        self._path = path

    def takes(self, kind: AlertKind, connection: str | None) -> bool:
        return kind is LOGIN and connection is not None

    async def send(self, message: AlertMessage) -> None:
        with self._path.open("a") as file:
            file.write(f"{message.connection} {message.alert.kind.value} {message.alert.id}\n")


PROCESSES, CONNECTIONS = 3, 8
_barrier: Barrier


def _join(barrier: Barrier) -> None:
    global _barrier  # noqa: PLW0603 - a pool hands this to its processes in no other way
    _barrier = barrier


def _sweep(folder: Path) -> None:
    _barrier.wait(60)
    asyncio.run(_sweep_all(folder))


async def _sweep_all(folder: Path) -> None:
    async with alert_rig(folder, at=T0 + REFRESH_LIFE) as rig:
        instance = rig.instance(FileChannel(folder / "sent"))
        await instance.sweep.run()
        await instance.finish()


async def test_several_processes_that_see_the_same_change_send_one_alert(
    rig: AlertRig, tmp_path: Path
) -> None:
    # All of them find at the same moment that the refresh tokens have expired.
    writes = rig.instance()
    names = [f"c{number}" for number in range(CONNECTIONS)]
    for name in names:
        await writes.change(GOOD, name)
    context = get_context("forkserver")
    barrier = context.Barrier(PROCESSES)
    with ProcessPoolExecutor(
        PROCESSES, mp_context=context, initializer=_join, initargs=(barrier,)
    ) as pool:
        for done in [pool.submit(_sweep, tmp_path) for _ in range(PROCESSES)]:
            await asyncio.to_thread(done.result)
    sent = [line.split()[:2] for line in (tmp_path / "sent").read_text().splitlines()]
    assert sorted(sent) == [[name, LOGIN.value] for name in names]
    for name in names:
        assert (await book_of(rig, name)).owed == ()
