"""Sweeps, watched: what they report is compared with what happened."""

from collections import Counter
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from functions.refresh.keeper import Answered, Keeper
from functions.refresh.sweep import SweepReport, Swept
from ports.store import StoreUnavailableError
from tests.simulation.exchanges import Wish
from tests.simulation.instance import Instance
from tests.simulation.promises import BrokenRuleError, Rule

if TYPE_CHECKING:
    from tests.simulation.world import World

# What the running sweep must report, by what happened.
_witnessed: ContextVar[list[Swept]] = ContextVar("_witnessed")


class WitnessedKeeper(Keeper):
    """A keeper whose answers to the sweep are judged."""

    def __init__(self, world: "World", instance: Instance, **parts: Any) -> None:
        super().__init__(**parts)
        self._world = world
        self._instance = instance

    async def refresh_if_due(self, connection: str) -> Answered:
        """Answer the sweep, and note what it must count."""
        subject = self._world.connections[connection]
        call = subject.open(self._instance, Wish.SWEEP)
        subject.hear(call)
        try:
            answered = await super().refresh_if_due(connection)
        except Exception as error:
            _witnessed.get().append(Swept.FAILED)
            subject.fail(call, error)
            raise
        subject.close(call, type(answered.answer).__name__)
        subject.take(call, answered.answer)
        with self._world.judging():
            _witnessed.get().append(subject.judge.swept(call, answered))
        return answered


async def sweep(world: "World", instance: Instance) -> SweepReport | None:
    """Run a sweep on an instance, and judge its report; None where the store was away."""
    witnessed: list[Swept] = []
    _witnessed.set(witnessed)
    try:
        report = await instance.sweep.run()
    except StoreUnavailableError:
        world.note(instance.name, "cannot sweep")
        return None
    told = Counter(
        {
            Swept.REFRESHED: report.refreshed,
            Swept.SKIPPED: report.skipped,
            Swept.FAILED: report.failed,
        }
    )
    world.note(instance.name, f"sweeps: {report}")
    world.swept += told
    with world.judging():
        if +told != Counter(witnessed):
            raise BrokenRuleError(Rule.COUNTED, f"{report}, not {witnessed}")
    return report
