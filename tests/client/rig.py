"""A source with a clock that only the test moves."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from oauth_callback import TokenSource
from oauth_callback.testing import FakeKeeper


class ManualClock:
    """Seconds that pass when the test says so, and when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        """Return the time."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Let the seconds pass."""
        self.slept.append(seconds)
        self.now += seconds


class Rig:
    """A fake keeper and a source that share a clock."""

    def __init__(self, keeper: FakeKeeper, clock: ManualClock, **options: Any) -> None:
        self.keeper = keeper
        self.clock = clock
        self.source = self.another(**options)

    def another(self, **options: Any) -> TokenSource:
        """Return a source of the same token, as another process has it."""
        return self.keeper.source(clock=self.clock, sleep=self.clock.sleep, **options)

    def wait(self, seconds: float) -> None:
        """Let the seconds pass."""
        self.clock.now += seconds

    def asked(self) -> list[str]:
        """Return the requests since the last call: method, path, and `refused` if it is sent."""
        seen = [
            f"{each.method} {each.path}"
            + (f"?refused={each.params['refused']}" if "refused" in each.params else "")
            for each in self.keeper.requests
        ]
        self.keeper.requests.clear()
        return seen


TOKEN = "GET /api/token"


@contextmanager
def rig(
    *, is_older: bool = False, lifetime: float | None = 1800.0, **options: Any
) -> Iterator[Rig]:
    """Run a keeper, and make a source; the options are those of `TokenSource`."""
    clock = ManualClock()
    with FakeKeeper(clock=clock, is_older=is_older, lifetime=lifetime) as keeper:
        yield Rig(keeper, clock, **options)
