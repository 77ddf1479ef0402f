"""Sweeps, watched: what they report is compared with what happened."""

from collections import Counter
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from functions.refresh.keeper import Keeper, QuestionResult
from functions.refresh.sweep import SweepReport
from functions.refresh.sweep_outcomes import SweepOutcome
from ports.store import StoreUnavailableError
from tests.simulation.exchanges import RequestKind
from tests.simulation.instance import Instance
from tests.simulation.promises import BrokenRuleError, Rule

if TYPE_CHECKING:
    from tests.simulation.world import World

# The outcomes that the running sweep must report.
_witnessed: ContextVar[list[SweepOutcome]] = ContextVar("_witnessed")


class WitnessedKeeper(Keeper):
    """A keeper whose answers to the sweep are judged."""

    def __init__(self, world: "World", instance: Instance, **parts: Any) -> None:
        super().__init__(**parts)
        self._world = world
        self._instance = instance

    async def refresh_if_due(self, connection: str) -> QuestionResult:
        """Answer the sweep, and note what it must count."""
        subject = self._world.connections[connection]
        call = subject.open(self._instance, RequestKind.SWEEP)
        subject.hear(call)
        try:
            result = await super().refresh_if_due(connection)
        except Exception as error:
            _witnessed.get().append(SweepOutcome.FAILED)
            subject.fail(call, error)
            raise
        subject.close(call, type(result.answer).__name__)
        subject.take(call, result.answer)
        with self._world.judging():
            _witnessed.get().append(subject.swept(call, result))
        return result


async def sweep(world: "World", instance: Instance) -> SweepReport | None:
    """Run a sweep on an instance, and judge its report; None where the store was away."""
    witnessed: list[SweepOutcome] = []
    _witnessed.set(witnessed)
    try:
        report = await instance.sweep.run()
    except StoreUnavailableError:
        world.note(instance.name, "cannot sweep")
        return None
    told = Counter(
        {
            SweepOutcome.REFRESHED: report.refreshed,
            SweepOutcome.SKIPPED: report.skipped,
            SweepOutcome.FAILED: report.failed,
        }
    )
    world.note(instance.name, f"sweeps: {report}")
    world.swept += told
    world.swept[SweepOutcome.LEFT] += report.left
    with world.judging():
        if +told != Counter(witnessed):
            raise BrokenRuleError(Rule.COUNTED, f"{report}, not {witnessed}")
    return report
