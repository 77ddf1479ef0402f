"""The own parts of an instance: a clock, ids, a log."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import TYPE_CHECKING

from domain.grant import (
    Inactive,
)
from ports.rescue import RescuedRecord, UnreadableLine
from tests.simulation.instance import Instance, describe
from tests.simulation.loop import current_process
from tests.simulation.promises import BrokenRuleError, Rule

if TYPE_CHECKING:
    from tests.simulation.world import World

# Decisions that one step of an instance may take.
MOST_READS = 1000


@dataclass(frozen=True)
class RescueLines:
    """The log, as far as it holds rescue lines; it survives every crash."""

    world: "World"

    def emit(self, rescued: RescuedRecord) -> None:
        """Write a line."""
        process, grant = current_process(), rescued.record.grant
        self.world.note(process.name, f"rescues {describe(grant)}")
        connection = self.world.connections[rescued.connection]
        connection.rescue_lines.append(rescued)
        if not isinstance(grant, Inactive):
            with self.world.judging():
                token = grant.tokens.access_token
                connection.history_of(token).rescued(process, token)

    def read(self, line: str) -> list[RescuedRecord | UnreadableLine]:
        """Nobody reads here: the operator has the lines already."""
        raise NotImplementedError(line)


@dataclass
class SkewedClock:
    """The clock of an instance."""

    world: "World"
    instance: Instance
    step: int = -1
    reads: int = 0

    def now(self) -> datetime:
        """Return the instant, more or less. Many reads in one step are an endless loop."""
        self.reads = self.reads + 1 if self.step == self.world.loop.steps else 0
        self.step = self.world.loop.steps
        if self.reads > MOST_READS:
            with self.world.judging():
                raise BrokenRuleError(Rule.ANSWERED, "an instance is in an endless loop")
        return self.world.now() + timedelta(seconds=self.instance.skew)


@dataclass(frozen=True)
class SeededEntropy:
    """Ids that are new in this run."""

    random: Random

    def token(self) -> str:
        """Draw one."""
        return f"{self.random.getrandbits(64):016x}"
