"""An instance of the application, and its description in the trace."""

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime

from domain.grant import (
    Adopting,
    Authorized,
    Grant,
    Inactive,
)
from functions.refresh.keeper import Keeper
from functions.refresh.recorder import Recorder
from functions.refresh.revocations import Revocations
from functions.refresh.sweep import Sweep
from tests.domain.examples import T0
from tests.simulation.loop import Process


@dataclass(eq=False, kw_only=True)
class Instance(Process):
    """One process of the application."""

    slot: int
    skew: float
    keeper: Keeper = field(init=False)
    recorder: Recorder = field(init=False)
    revocations: Revocations = field(init=False)
    sweep: Sweep = field(init=False)
    # Since when records are being loaded, by connection; and which ones were read, by their etags.
    loading: defaultdict[str, list[datetime]] = field(default_factory=lambda: defaultdict(list))
    has_read: set[str] = field(default_factory=set)
    # Until when what it suffered may delay its answers.
    troubled_until: float = -1

    @contextmanager
    def loads(self, connection: str, began_at: datetime) -> Iterator[None]:
        """Note that it loads a record for as long as the block lasts."""
        self.loading[connection].append(began_at)
        try:
            yield
        finally:
            self.loading[connection].remove(began_at)


def describe(grant: Grant) -> str:
    """Describe a grant in a line of the trace."""
    if isinstance(grant, Inactive):
        return type(grant).__name__
    if isinstance(grant, Adopting):
        return f"Adopting {describe(grant.grant)} over {describe(grant.earlier)}"
    what = f"{type(grant).__name__} {grant.tokens.generation} {grant.tokens.refresh_token}"
    if isinstance(grant, Authorized) and grant.failure_state is not None:
        failure_state = grant.failure_state
        doubt = ", in doubt" if failure_state.in_doubt_since else ""
        failure = f"{failure_state.failures} times {failure_state.failure.value}"
        retry = (failure_state.retry_at - T0).total_seconds()
        what += f" ({failure}{doubt}, again at {retry:.1f})"
    return what
