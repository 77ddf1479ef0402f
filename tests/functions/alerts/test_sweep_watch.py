"""The watch of the sweep: several instances, one store, and a channel that may be away."""

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from adapters.entropy_system import SystemEntropy
from adapters.sealed_records import SealedRecords
from adapters.sealing import KeyRing
from adapters.store_memory import MemoryStore
from adapters.store_sqlite import SqliteStore
from domain.alerts import Alert, AlertKind
from domain.grant import Grant
from domain.ledger import DONE, FAILED, HistoryEvent
from functions.alerts.channel import ChannelError, ChannelGoneError
from functions.alerts.delivery import Delivery
from functions.alerts.deployment import (
    DEPLOYMENT,
    LastDelivery,
    load_deployment,
    load_status,
    record_sweep,
)
from functions.alerts.message import AlertMessage
from functions.alerts.sweep_watch import CHECK_INTERVAL, SweepWatch
from ports.store import Record, Store, StoreUnavailableError
from tests.functions.keeper_rig import SetClock

pytestmark = pytest.mark.anyio

DAY = timedelta(days=1)
OVERDUE = timedelta(hours=26)
AWAY = ChannelError("away")


class Chat:
    """A channel in this process, which takes alerts of the deployment only."""

    name = "chat"

    def __init__(self) -> None:
        self.got: list[AlertMessage] = []
        self.error: Exception | None = None
        self.asked = asyncio.Event()
        self.sends = 0
        self.answers = asyncio.Event()
        self.answers.set()

    def takes(self, kind: AlertKind, connection: str | None) -> bool:
        return kind is AlertKind.SWEEP_OVERDUE and connection is None

    async def send(self, message: AlertMessage) -> None:
        self.sends += 1
        self.asked.set()
        await self.answers.wait()
        if self.error is not None:
            raise self.error
        self.got.append(message)


class Rig:
    """Instances that share a store, a clock and a channel."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.clock = SetClock()
        self.chat = Chat()
        self.deliveries: list[Delivery] = []

    def instance(self, chat: Chat | None = None) -> SweepWatch:
        delivery = Delivery(
            channels=[chat or self.chat], compose=compose, clock=self.clock, give_up_after=3 * DAY
        )
        self.deliveries.append(delivery)
        return SweepWatch(
            store=self.store,
            clock=self.clock,
            entropy=SystemEntropy(),
            delivery=lambda: delivery,
            overdue_after=OVERDUE,
        )

    async def sweep(self, outcome: str = DONE) -> None:
        deliveries: dict[str, LastDelivery] = {}
        for delivery in self.deliveries:
            deliveries.update(delivery.last_deliveries())
        await record_sweep(
            self.store,
            SystemEntropy(),
            ended_at=self.clock.now(),
            outcome=outcome,
            deliveries=deliveries,
        )


async def compose(connection: str, grant: Grant, alert: Alert) -> AlertMessage:
    del grant
    assert connection == DEPLOYMENT
    return AlertMessage(alert=alert, connection=None, provider=None, link=None, source=None)


@pytest.fixture(params=["memory", "sqlite"])
def rig(request: pytest.FixtureRequest, tmp_path: Path) -> Rig:
    if request.param == "memory":
        return Rig(MemoryStore())
    records = SealedRecords(KeyRing([bytes(range(32))]))
    return Rig(SqliteStore(tmp_path / "grants.sqlite", records))


async def test_several_instances_send_one_alert_and_the_next_sweep_allows_another(
    rig: Rig,
) -> None:
    await rig.sweep()
    instances = [rig.instance() for _ in range(5)]
    for expected in (1, 2):
        rig.clock.move(OVERDUE - DAY / 100)
        await asyncio.gather(*(each.check() for each in instances))
        assert len(rig.chat.got) == expected - 1
        rig.clock.move(DAY / 100)
        await asyncio.gather(*(each.check() for each in instances))
        await rig.instance().check()
        assert [each.alert.kind for each in rig.chat.got] == [AlertKind.SWEEP_OVERDUE] * expected
        assert len({each.alert.id for each in rig.chat.got}) == expected
        await rig.sweep()
    status = await load_status(rig.store)
    assert status.channels.keys() == {"chat"}
    await rig.store.close()


async def test_a_channel_that_is_away_gets_it_later_from_any_instance(rig: Rig) -> None:
    await rig.sweep()
    rig.clock.move(2 * DAY)
    rig.chat.error = AWAY
    first = asyncio.create_task(rig.instance().check())
    await rig.chat.asked.wait()
    first.cancel()
    assert (await load_status(rig.store)).alerts_owed == 1
    rig.chat.error = None
    rig.clock.move(DAY)
    await rig.instance().check()
    assert (await load_status(rig.store)).alerts_owed == 0
    [message] = rig.chat.got
    assert message.alert.since is not None
    assert rig.clock.now() - message.alert.since > 2 * DAY
    await rig.store.close()


async def test_an_instance_without_the_claim_sends_nothing(rig: Rig) -> None:
    await rig.sweep()
    rig.clock.move(2 * DAY)
    rig.chat.answers.clear()
    first = asyncio.create_task(rig.instance().check())
    await rig.chat.asked.wait()
    # The end of a sweep changes the book, whose claim is still that of the first instance.
    await rig.sweep()
    other = Chat()
    await rig.instance(other).check()
    assert other.sends == 0
    rig.chat.answers.set()
    await first
    assert (len(rig.chat.got), rig.chat.sends) == (1, 1)
    record = await load_deployment(rig.store)
    assert record.alerts is not None
    assert (record.alerts.owed, record.alerts.open) == ((), ())
    await rig.store.close()


async def test_a_channel_that_is_gone_is_noted_with_the_last_delivery(rig: Rig) -> None:
    await rig.sweep()
    rig.clock.move(2 * DAY)
    rig.chat.error = ChannelGoneError("410")
    await rig.instance().check()
    await rig.sweep(FAILED)
    record = await load_deployment(rig.store)
    assert record.alerts is not None
    assert record.alerts.owed == ()
    events = [entry.event for entry in record.ledger]
    assert events.count(HistoryEvent.ALERT_GIVEN_UP) == 1
    status = await load_status(rig.store)
    last = LastDelivery(at=rig.clock.now().replace(microsecond=0), outcome=FAILED)
    assert (status.sweep_outcome, status.channels) == (FAILED, {"chat": last})
    await rig.store.close()


async def test_a_sweep_without_channels_forgets_what_was_owed(rig: Rig) -> None:
    rig.chat.error = ChannelGoneError("410")
    await rig.instance().check()
    assert (await load_deployment(rig.store)).alerts is not None
    await record_sweep(
        rig.store,
        SystemEntropy(),
        ended_at=rig.clock.now(),
        outcome=DONE,
        deliveries={},
        has_channels=False,
    )
    assert (await load_deployment(rig.store)).alerts is None
    await rig.store.close()


class CountingStore(MemoryStore):
    """A store that counts loads, and is away as long as a test wants."""

    def __init__(self) -> None:
        super().__init__()
        self.loads = 0
        self.is_away = False

    async def load(self, connection: str) -> Record:
        self.loads += 1
        if self.is_away:
            raise StoreUnavailableError("away")
        return await super().load(connection)


async def test_an_instance_looks_twice_an_hour_and_survives_a_store_that_is_away(
    caplog: pytest.LogCaptureFixture,
) -> None:
    store = CountingStore()
    rig = Rig(store)
    watch = rig.instance()
    for _ in range(100):
        await watch.check_now_and_then()
    assert store.loads == 1
    rig.clock.move(CHECK_INTERVAL)
    store.is_away = True
    await watch.check_now_and_then()
    assert store.loads == 2
    assert "the sweep is not watched: away" in caplog.text
    # A clock that is set back must not end the watch.
    rig.clock.move(-DAY)
    await watch.check_now_and_then()
    assert store.loads == 3
