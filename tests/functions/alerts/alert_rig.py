"""Instances of a deployment with channels: real recorders and deliveries over one SQLite file."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from adapters.entropy_system import SystemEntropy
from adapters.sealed_records import SealedRecords
from adapters.store_sqlite import SqliteStore
from domain.alerts import Alert, AlertKind, AlertThresholds
from domain.grant import Grant
from domain.policy import Policy
from domain.token_endpoint import RevocationRequest
from functions.alerts.channel import Channel
from functions.alerts.delivery import Delivery
from functions.alerts.message import AlertMessage
from functions.refresh.alert_duty import AlertDuty
from functions.refresh.keeper import Keeper, intent_limit
from functions.refresh.poller import Poller
from functions.refresh.recorder import Recorder
from functions.refresh.revocations import Revocations
from functions.refresh.sweep import Sweep
from ports.store import Record, Store
from tests.domain.examples import POLICY
from tests.functions.keeper_rig import RescueList, ScriptedServer, SetClock, answered
from tests.ports.store_contract import KEYS

THRESHOLDS = AlertThresholds()


@dataclass(slots=True)
class ListedChannel:
    """A channel that keeps what it took, and does before that what the test says."""

    name: str
    before: Callable[[AlertMessage], object] = lambda _message: None
    kinds: frozenset[AlertKind] = frozenset(AlertKind)
    took: list[AlertMessage] = field(default_factory=list)
    asked: list[AlertMessage] = field(default_factory=list)
    # Holds every send until it is set.
    gate: asyncio.Event | None = None
    is_asked: asyncio.Event = field(default_factory=asyncio.Event)

    def takes(self, kind: AlertKind, connection: str | None) -> bool:
        return kind in self.kinds and connection != "none-of-theirs"

    async def send(self, message: AlertMessage) -> None:
        self.asked.append(message)
        self.is_asked.set()
        if self.gate is not None:
            await self.gate.wait()
        self.before(message)
        self.took.append(message)

    @property
    def kinds_taken(self) -> list[AlertKind]:
        return [message.alert.kind for message in self.took]

    @property
    def ids(self) -> list[str]:
        return [message.alert.id for message in self.took]


async def compose(connection: str, _grant: Grant, alert: Alert) -> AlertMessage:
    return AlertMessage(
        alert=alert, connection=connection, provider="Digi-Key", link=None, source=None
    )


async def _revoke(_connection: str, _request: RevocationRequest) -> None:
    """Revoke nothing."""


class AlertInstance:
    """One instance: its recorder, its keeper and its sweep."""

    def __init__(
        self,
        store: Store,
        channels: Sequence[Channel],
        *,
        clock: SetClock,
        by: Policy = POLICY,
        thresholds: AlertThresholds = THRESHOLDS,
        alerts: Callable[[], AlertDuty | None] | None = None,
    ) -> None:
        self.store = store
        self.clock = clock
        self.delivery = Delivery(
            channels=channels,
            compose=compose,
            clock=clock,
            give_up_after=thresholds.give_up_after,
        )
        duty = AlertDuty(thresholds=thresholds, deliver=self.delivery.deliver)
        self.rescue = RescueList()
        self.recorder = Recorder(
            store=store,
            clock=clock,
            entropy=SystemEntropy(),
            rescue=self.rescue,
            revoke_late_tokens=_revoke,
            policy=by,
            alerts=alerts or (lambda: duty if channels else None),
        )
        self.server = ScriptedServer(answered)
        poller = Poller(store)
        self.keeper = Keeper(
            recorder=self.recorder,
            server=lambda: self.server,
            clock=clock,
            entropy=SystemEntropy(),
            policy=by,
            intents=intent_limit(),
            poller=lambda: poller,
        )
        self.sweep = Sweep(
            keeper_of=lambda _: self.keeper,
            revocations_of=lambda _: self.revocations,
            store=store,
            clock=clock,
            alerts_are_on=bool(channels),
        )

    @property
    def revocations(self) -> Revocations:
        return Revocations(keeper=self.keeper, recorder=self.recorder, server=lambda: self.server)

    async def change(self, grant: Grant, connection: str = "c") -> Record:
        """Store a grant, as an event does. The delivery goes on after that."""
        record = await self.recorder.load(connection)
        return await self.recorder.swap(connection, record, grant, None, now=self.clock.now())

    async def finish(self) -> None:
        await self.keeper.finish()


class AlertRig:
    """One SQLite file, one clock, and as many instances as a test needs."""

    def __init__(self, path: Path, *, at: datetime) -> None:
        self._path = path
        self.clock = SetClock()
        self.clock.at = at
        self._opened: list[SqliteStore] = []

    def instance(
        self,
        *channels: Channel,
        by: Policy = POLICY,
        alerts: Callable[[], AlertDuty | None] | None = None,
    ) -> AlertInstance:
        store = SqliteStore(self._path, SealedRecords(KEYS))
        self._opened.append(store)
        return AlertInstance(store, channels, clock=self.clock, by=by, alerts=alerts)

    async def record(self, connection: str = "c") -> Record:
        return await self._opened[0].load(connection)

    def move(self, by: timedelta) -> None:
        self.clock.move(by)

    async def close(self) -> None:
        for store in self._opened:
            await store.close()


@asynccontextmanager
async def alert_rig(folder: Path, *, at: datetime) -> AsyncIterator[AlertRig]:
    """Open a rig, and close its stores."""
    rig = AlertRig(folder / "store.sqlite", at=at)
    try:
        yield rig
    finally:
        await rig.close()
