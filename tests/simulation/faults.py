"""What can go wrong, and who decides that it does: chaos, or one planned fault."""

from dataclasses import dataclass
from enum import Enum
from random import Random
from typing import Protocol, TypeAlias


class NetworkFault(Enum):
    """What becomes of one token request."""

    NOT_SENT = "request not sent"
    REQUEST_LOST = "request lost"
    ANSWER_LOST = "answer lost"
    LANDS_LATE = "request lands late, its sender no longer listens"
    LANDS_AFTER_LEASE = "request lands after its lease"
    ANSWER_DELAYED = "answer delayed"
    UNAVAILABLE = "503"
    TOO_MANY = "429 with Retry-After"
    SERVER_ERROR = "500"
    UNEXPLAINED = "400 with an empty body"


class StoreFault(Enum):
    """What becomes of one operation of the store."""

    UNAVAILABLE = "store unavailable"
    ANSWER_LOST = "store writes, its answer is lost"
    COMMITS_LATE = "store writes late, after saying that it cannot"
    SLOW = "store slow"
    OUTAGE = "store away for a minute"


class Blow(Enum):
    """What an instance can suffer."""

    CRASH = "instance crashes"
    STALL = "instance stalls past its lease"
    CLOCK_STEP = "clock steps by up to 4 s"


class Point(Enum):
    """Where in an attempt something happens."""

    INTENT_STORED = "the intent is stored"
    SENT = "the request is on its way"
    ANSWERED = "the answer has come"
    WRITTEN = "the answer is stored"


Fault: TypeAlias = NetworkFault | StoreFault | Blow


class Faults(Protocol):
    """Decide what goes wrong. None means that nothing does."""

    def on_request(self) -> NetworkFault | None:
        """Decide on a token request."""
        ...

    def on_store(self, *, writes: bool) -> StoreFault | None:
        """Decide on an operation of the store."""
        ...

    def at_point(self, point: Point) -> Blow | StoreFault | None:
        """Decide on an instance that has come to a point; a fault of the store begins there."""
        ...

    def steps_to_blow(self) -> int:
        """Decide after how many steps of instances the next one suffers something."""
        ...

    def blow(self) -> Blow | None:
        """Decide what it suffers."""
        ...


NEVER = 1 << 60
# Rare, since it breaks a premise that no client can do without.
_LANDS_AFTER_LEASE_EVERY = 20


class Quiet:
    """Nothing goes wrong."""

    def on_request(self) -> NetworkFault | None:
        """Let it pass."""
        return None

    def on_store(self, *, writes: bool) -> StoreFault | None:  # noqa: ARG002 - the protocol's
        """Let it pass."""
        return None

    def at_point(self, point: Point) -> Blow | StoreFault | None:  # noqa: ARG002 - the protocol's
        """Let it pass."""
        return None

    def steps_to_blow(self) -> int:
        """Let it pass."""
        return NEVER

    def blow(self) -> Blow | None:
        """Let it pass."""
        return None


class Chaos:
    """Everything goes wrong at rates of its own, drawn for each run.

    Each run leaves out about half of the faults: the interesting paths need some things to go
    well.
    """

    def __init__(self, random: Random) -> None:
        self._random = random
        self._network = [fault for fault in NetworkFault if random.random() < 1 / 2]
        late = NetworkFault.LANDS_AFTER_LEASE
        if late in self._network and random.randrange(_LANDS_AFTER_LEASE_EVERY):
            self._network.remove(late)
        self._store = [fault for fault in StoreFault if random.random() < 1 / 2]
        self._blows = [fault for fault in Blow if random.random() < 1 / 2]
        self._network_rate = random.choice([0.1, 0.3, 0.6]) if self._network else 0
        self._store_rate = random.choice([0.01, 0.05, 0.2]) if self._store else 0
        self._point_rate = random.choice([0, 0.1, 0.3]) if self._blows else 0
        self._mean_steps = random.choice([50, 200, 1000])

    def on_request(self) -> NetworkFault | None:
        """Draw."""
        if self._random.random() < self._network_rate:
            return self._random.choice(self._network)
        return None

    def on_store(self, *, writes: bool) -> StoreFault | None:
        """Draw; what is written is more interesting than what is read."""
        if self._random.random() < self._store_rate * (2 if writes else 1):
            return self._random.choice(self._store)
        return None

    def at_point(self, point: Point) -> Blow | StoreFault | None:  # noqa: ARG002 - the protocol's
        """Draw."""
        if self._random.random() < self._point_rate:
            return self._random.choice(self._blows)
        return None

    def steps_to_blow(self) -> int:
        """Draw."""
        if not self._blows:
            return NEVER
        return 1 + int(self._random.expovariate(1 / self._mean_steps))

    def blow(self) -> Blow | None:
        """Draw."""
        return self._random.choice(self._blows)


@dataclass(kw_only=True)
class OneFault(Quiet):
    """One fault, once: at the `skip`-th opportunity; a blow or an outage strikes at a point."""

    fault: Fault
    point: Point | None = None
    skip: int = 0

    def _is_due(self) -> bool:
        self.skip -= 1
        return self.skip == -1

    def on_request(self) -> NetworkFault | None:
        """Strike where a token request is to suffer."""
        if isinstance(self.fault, NetworkFault) and self._is_due():
            return self.fault
        return None

    def on_store(self, *, writes: bool) -> StoreFault | None:
        """Strike where a write is to suffer."""
        if isinstance(self.fault, StoreFault) and not self.point and writes and self._is_due():
            return self.fault
        return None

    def at_point(self, point: Point) -> Blow | StoreFault | None:
        """Strike where an instance or the store is to suffer."""
        if point is self.point and not isinstance(self.fault, NetworkFault) and self._is_due():
            return self.fault
        return None
