"""The faults, and what decides on each of them: chaos, or one planned fault."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from random import Random
from typing import Protocol, TypeAlias, TypeVar


class NetworkFault(Enum):
    """The fault of a token request."""

    NOT_SENT = "request not sent"
    REQUEST_LOST = "request lost"
    ANSWER_LOST = "answer lost"
    CUT = "connection breaks, answer lost"
    LANDS_LATE = "request lands late, its sender no longer listens"
    LANDS_AFTER_LEASE = "request lands after its lease"
    ANSWER_DELAYED = "answer delayed"
    UNAVAILABLE = "503"
    TOO_MANY = "429 with Retry-After"
    SERVER_ERROR = "500"
    UNEXPLAINED = "400 with an empty body"
    AWAY = "provider away for hours"


class StoreFault(Enum):
    """The fault of a store operation."""

    UNAVAILABLE = "store unavailable"
    ANSWER_LOST = "store writes, its answer is lost"
    COMMITS_LATE = "store writes late, after saying that it cannot"
    SLOW = "store slow"
    OUTAGE = "store away for a minute"
    UNREADABLE = "record cannot be read for a while"
    DAMAGED = "record damaged for good"
    GONE = "record gone"


class InstanceFault(Enum):
    """The fault of an instance."""

    CRASH = "instance crashes"
    STALL = "instance stalls past its lease"
    CLOCK_STEP = "clock steps by up to 4 s"


class Point(Enum):
    """Where in an attempt something happens."""

    INTENT_STORED = "the intent is stored"
    SENT = "the request is on its way"
    ANSWERED = "the answer has come"
    WRITTEN = "the answer is stored"


Fault: TypeAlias = NetworkFault | StoreFault | InstanceFault
_Fault = TypeVar("_Fault", NetworkFault, StoreFault, InstanceFault)


class Faults(Protocol):
    """Decide what goes wrong. None means that nothing does."""

    def on_request(self) -> NetworkFault | None:
        """Decide on a token request."""
        ...

    def on_store(self, *, writes: bool) -> StoreFault | None:
        """Decide on an operation of the store."""
        ...

    def at_point(self, point: Point) -> InstanceFault | StoreFault | None:
        """Decide on an instance that has come to a point; a fault of the store begins there."""
        ...

    def steps_to_instance_fault(self) -> int:
        """Decide after how many steps of instances the next one suffers something."""
        ...

    def instance_fault(self) -> InstanceFault | None:
        """Decide what it suffers."""
        ...


NEVER = 1 << 60
# Faults that few runs have, one in so many: they break a premise that no client can do without, or
# leave little else to happen.
_RARE: Mapping[Fault, int] = {
    NetworkFault.LANDS_AFTER_LEASE: 20,
    NetworkFault.AWAY: 10,
    StoreFault.UNREADABLE: 3,
    StoreFault.DAMAGED: 12,
    StoreFault.GONE: 12,
}


class Quiet:
    """Nothing goes wrong."""

    def on_request(self) -> NetworkFault | None:
        """Let it pass."""
        return None

    def on_store(self, *, writes: bool) -> StoreFault | None:  # noqa: ARG002 - the protocol's
        """Let it pass."""
        return None

    def at_point(self, point: Point) -> InstanceFault | StoreFault | None:  # noqa: ARG002 - the protocol's
        """Let it pass."""
        return None

    def steps_to_instance_fault(self) -> int:
        """Let it pass."""
        return NEVER

    def instance_fault(self) -> InstanceFault | None:
        """Let it pass."""
        return None


class Chaos:
    """Some things go wrong at rates of their own, drawn for each run.

    Each run has only a few of the faults, and one instance fault strikes most often at one point.
    The interesting paths need the same fault again, and few others.
    """

    def __init__(self, random: Random) -> None:
        self._random = random
        self._network = self._draw(NetworkFault)
        self._store = self._draw(StoreFault)
        self._instance_faults = self._draw(InstanceFault)
        self._network_rate = random.choice([0.1, 0.3, 0.6]) if self._network else 0
        self._store_rate = random.choice([0.01, 0.05, 0.2]) if self._store else 0
        self._point_rate = random.choice([0, 0.1, 0.3]) if self._instance_faults else 0
        self._point = random.choice([*Point, None, None])
        self._fault_at_point: InstanceFault | StoreFault = random.choice(
            [*InstanceFault, StoreFault.OUTAGE]
        )
        self._mean_steps = random.choice([50, 200, 1000])

    def _draw(self, kind: type[_Fault]) -> list[_Fault]:
        usual = [fault for fault in kind if fault not in _RARE]
        drawn = self._random.sample(usual, self._random.choice((0, 1, 2, len(usual) // 2)))
        rare = [fault for fault in kind if fault in _RARE]
        return drawn + [fault for fault in rare if not self._random.randrange(_RARE[fault])]

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

    def at_point(self, point: Point) -> InstanceFault | StoreFault | None:
        """Draw."""
        if point is self._point and self._random.random() < 1 / 2:
            return self._fault_at_point
        if self._random.random() < self._point_rate:
            return self._random.choice(self._instance_faults)
        return None

    def steps_to_instance_fault(self) -> int:
        """Draw."""
        if not self._instance_faults:
            return NEVER
        return 1 + int(self._random.expovariate(1 / self._mean_steps))

    def instance_fault(self) -> InstanceFault | None:
        """Draw."""
        return self._random.choice(self._instance_faults)


class Doubts(Quiet):
    """Half of all requests come to an end that says little, and their senders freeze or die."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._network = (
            NetworkFault.ANSWER_DELAYED,
            NetworkFault.UNAVAILABLE,
            random.choice(_UNCLEAR),
        )
        self._point = random.choice((Point.INTENT_STORED, Point.SENT, Point.ANSWERED))
        self._instance_fault: InstanceFault = random.choice(
            (InstanceFault.STALL, InstanceFault.STALL, InstanceFault.CRASH)
        )
        self._instance_fault_rate = random.choice((0, 0.3, 0.6))

    def on_request(self) -> NetworkFault | None:
        """Draw."""
        return self._random.choice(self._network) if self._random.random() < 1 / 2 else None

    def at_point(self, point: Point) -> InstanceFault | StoreFault | None:
        """Draw."""
        if point is self._point and self._random.random() < self._instance_fault_rate:
            return self._instance_fault
        return None


_UNCLEAR = (
    NetworkFault.REQUEST_LOST,
    NetworkFault.ANSWER_LOST,
    NetworkFault.CUT,
    NetworkFault.LANDS_LATE,
)


@dataclass(kw_only=True)
class OneFault(Quiet):
    """One fault, once, at the `skip`-th opportunity. A fault of an instance strikes at a point."""

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

    def at_point(self, point: Point) -> InstanceFault | StoreFault | None:
        """Strike where an instance or the store is to suffer."""
        if point is self.point and not isinstance(self.fault, NetworkFault) and self._is_due():
            return self.fault
        return None
