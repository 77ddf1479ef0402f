"""Simulated channels: they are away for days, hang, lose their answers, and go for good."""

import asyncio
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum
from random import Random
from typing import TYPE_CHECKING

from domain.alerts import AlertKind
from functions.alerts.channel import ChannelError, ChannelGoneError
from functions.alerts.message import AlertMessage
from tests.simulation.loop import Process, current_process

if TYPE_CHECKING:
    from tests.simulation.alert_world import AlertWorld

# A receiver that accepts a connection and never answers.
FOR_EVER = 10 * 86_400.0


class ChannelFault(Enum):
    """How a channel fails."""

    REFUSES = "refuses"
    HANGS = "hangs"
    # It takes the alert, and its sender does not know.
    ANSWER_LOST = "answer lost"
    TAKES_AND_HANGS = "takes it, and hangs"
    RAISES = "raises an unexpected error"
    RETRY_AFTER = "refuses, with Retry-After"


OUTAGES = (ChannelFault.REFUSES, ChannelFault.HANGS, ChannelFault.RETRY_AFTER)


@dataclass(eq=False, kw_only=True)
class Try:
    """One call of `send`.

    `is_heard`: its sender knows that the alert was taken. `is_gone`: or that the channel is gone.
    """

    sender: Process
    message: AlertMessage
    at: datetime
    is_taken: bool = False
    is_heard: bool = False
    is_over: bool = False
    is_gone: bool = False


@dataclass(eq=False, kw_only=True)
class SimulatedChannel:
    """A channel, which is there unless `away` says how it fails until `away_until`."""

    world: "AlertWorld"
    name: str
    kinds: Collection[AlertKind] | None = None
    away: ChannelFault = ChannelFault.REFUSES
    away_until: float = -1.0
    # When the last outage ended or will end.
    back_at: float = -1.0
    is_gone: bool = False
    rate: float = 0.0
    tries: list[Try] = field(default_factory=list)

    def takes(self, kind: AlertKind, connection: str | None) -> bool:  # noqa: ARG002 - the port's
        """Whether it is configured for such alerts."""
        return self.kinds is None or kind in self.kinds

    def go_away(self, seconds: float, how: ChannelFault) -> None:
        """Fail in one way for a while."""
        self.away, self.away_until = how, self.world.loop.time() + seconds
        self.back_at = self.away_until
        self.world.note(self.name, f"{how.value} for {timedelta(seconds=seconds)}")

    def is_away(self) -> bool:
        """Whether an outage lasts."""
        return self.world.loop.time() < self.away_until

    async def send(self, message: AlertMessage) -> None:
        """Take an alert, or fail. Raises ChannelError, ChannelGoneError."""
        world = self.world
        sent = Try(sender=current_process(), message=message, at=world.now())
        world.judge_try(self, sent)
        self.tries.append(sent)
        try:
            await self._receive(sent)
        finally:
            sent.is_over = True

    async def _receive(self, sent: Try) -> None:
        world, message = self.world, sent.message
        await asyncio.sleep(world.latency())
        if self.is_gone:
            world.note(sent.sender.name, f"{self.name}: 410 for {message.alert.id}")
            sent.is_gone = True
            raise ChannelGoneError("410")
        fault = self._fault(world.random)
        what = fault.value if fault else "takes"
        world.note(sent.sender.name, f"{self.name}: {what} {message.alert.id}")
        if fault in {None, ChannelFault.ANSWER_LOST, ChannelFault.TAKES_AND_HANGS}:
            sent.is_taken = True
            world.judge_taken(self, sent)
        await self._fail(fault)
        await asyncio.sleep(world.latency())
        sent.is_heard = True

    def _fault(self, random: Random) -> ChannelFault | None:
        if self.is_away():
            return self.away
        return random.choice(list(ChannelFault)) if random.random() < self.rate else None

    async def _fail(self, fault: ChannelFault | None) -> None:
        match fault:
            case None:
                return
            case ChannelFault.HANGS | ChannelFault.TAKES_AND_HANGS:
                await asyncio.sleep(FOR_EVER)
            case ChannelFault.RAISES:
                raise ValueError("simulated")
            case ChannelFault.RETRY_AFTER:
                raise ChannelError("429", retry_after=timedelta(minutes=10))
            case ChannelFault.REFUSES | ChannelFault.ANSWER_LOST:
                raise ChannelError("simulated")
