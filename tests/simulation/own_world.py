"""A world without logins: instances of a client with credentials of its own, store and provider.

It is smaller than `world.py`: there is one connection, and no refresh token to lose.
"""

import asyncio
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from random import Random
from typing import TYPE_CHECKING

from adapters.store_memory import MemoryStore
from domain.grant import Refreshing, Revoked, Revoking, tokens_of
from domain.policy import Policy
from domain.provider import GrantType
from domain.token_endpoint import (
    ClientCredentialsRequest,
    Delivery,
    NoAnswer,
    Outcome,
    RevocationOutcome,
    RevocationRequest,
    RevocationResult,
    TokenErrorResponse,
    TokenRequest,
    TokenResponse,
)
from functions.refresh.keeper import Keeper, intent_limit
from functions.refresh.poller import Poller
from functions.refresh.recorder import Recorder
from functions.refresh.revocations import Revocations
from functions.refresh.sweep import Sweep
from ports.rescue import RescuedRecord, UnreadableLine
from ports.store import Record, StoreUnavailableError
from tests.domain.examples import DIGIKEY, T0
from tests.simulation.instance import Instance
from tests.simulation.loop import SimulationLoop, current_process
from tests.simulation.promises import (
    FIRST_BACKOFF,
    LEASE,
    LONGEST_BACKOFF,
    MOST_REJECTIONS,
    REJECTIONS_COUNTED,
    SEND_WITHIN,
    SKEW,
    BrokenRuleError,
    Rule,
)
from tests.simulation.surroundings import SeededEntropy

if TYPE_CHECKING:
    from tests.simulation.loop import Process

CONNECTION = "own"
REQUEST_TIMEOUT = 30.0
STALLS = (1.0, 20.0, 61.0, 130.0)
# Of a run in which an API refuses all tokens: each replacement with its failures.
MOST_REQUESTS = 50
# The faults of a request, apart from a crash of its instance.
FAULTS = ("not sent", "lost", "answer lost", "late", "503", "429", "400", "401", "invalid_grant")
REFUSALS = {
    "503": TokenErrorResponse(status=503, error=None),
    "429": TokenErrorResponse(status=429, error=None, retry_after=timedelta(seconds=61)),
    "400": TokenErrorResponse(status=400, error=None),
    "401": TokenErrorResponse(status=401, error="invalid_client"),
    "invalid_grant": TokenErrorResponse(status=400, error="invalid_grant"),
}


@dataclass(frozen=True, kw_only=True)
class OwnKind:
    """A provider: whether a new token ends the old one, or the old one is returned again."""

    ends: bool = False
    repeats: bool = False


OWN_KINDS = {"own": OwnKind(), "own-ends": OwnKind(ends=True), "own-repeats": OwnKind(repeats=True)}


@dataclass(eq=False, kw_only=True)
class Request:
    """A token request on its way; `ended_at` is when its sender got an answer, or gave up.

    After a revocation its answer is not wanted any more. It may leave after that, too: its intent
    was stored before.
    """

    sender: "Process"
    sent_at: datetime
    ended_at: datetime | None = None
    is_revoked: bool = False


@dataclass(kw_only=True)
class OwnProvider:
    """The provider's tokens, by its own clock."""

    kind: OwnKind
    life: timedelta
    expires_at: dict[str, datetime] = field(default_factory=dict)
    issued_at: dict[str, datetime] = field(default_factory=dict)
    # When a token was revoked, or ended by a newer one.
    ended_at: dict[str, datetime] = field(default_factory=dict)

    def issue(self, now: datetime) -> TokenResponse:
        """Issue a token, or return the last one again."""
        last = next(reversed(self.expires_at), None)
        if not (self.kind.repeats and last and self.works(last, now + self.life / 4)):
            if self.kind.ends:
                self._end_all(now)
            last = f"own-{len(self.expires_at) + 1}"
            self.expires_at[last], self.issued_at[last] = now + self.life, now
        return TokenResponse(
            access_token=last,
            token_type="Bearer",
            expires_in=self.expires_at[last] - now,
            # It should send none (RFC 6749 §4.4.3).
            refresh_token=f"useless-{last}",
            refresh_token_expires_in=self.life / 2,
            scope=None,
        )

    def works(self, token: str, now: datetime) -> bool:
        """Whether a resource server accepts the token."""
        return now < self.expires_at[token] and token not in self.ended_at

    def _end_all(self, now: datetime) -> None:
        for token in self.expires_at:
            self.ended_at.setdefault(token, now)


class OwnStore(MemoryStore):
    """A store behind a network that is slow, and fails."""

    def __init__(self, world: "OwnWorld") -> None:
        super().__init__()
        self._world = world
        # The tokens that it has had.
        self.had: set[str] = set()

    async def load(self, connection: str) -> Record:
        """Return the record, if the network lets it."""
        await self._travel()
        record = await super().load(connection)
        await asyncio.sleep(self._world.latency())
        return record

    async def swap(self, connection: str, record: Record, *, expected_etag: str | None) -> None:
        """Write the record, if the network lets it; its answer may be lost."""
        await self._travel()
        await super().swap(connection, record, expected_etag=expected_etag)
        if (tokens := tokens_of(record.grant)) is not None:
            self.had.add(tokens.access_token)
        if isinstance(record.grant, Refreshing) and self._world.is_refusing:
            self._world.judge_rejection(record.grant.tokens.public_generation)
        if isinstance(record.grant, Revoking):
            for request in self._world.requests:
                request.is_revoked = True
        if self._world.is_hit():
            raise StoreUnavailableError("its answer is lost")
        await asyncio.sleep(self._world.latency())

    async def _travel(self) -> None:
        await asyncio.sleep(self._world.latency())
        if self._world.is_hit():
            raise StoreUnavailableError("simulated")


@dataclass(kw_only=True)
class OwnWorld:
    """Everything there is in one run. `rate` is how often something goes wrong."""

    kind: OwnKind
    random: Random
    life: timedelta
    rate: float = 0.0
    is_away: bool = False
    # Whether an API refuses all tokens, which have no other reason to be replaced.
    is_refusing: bool = False
    # When a refresh began because of that, by the token's generation.
    rejected_at: dict[int, datetime] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    answers: Counter[str] = field(default_factory=Counter)
    trace: list[str] = field(default_factory=list)
    rescued: set[str] = field(default_factory=set)
    # The failures in a row that an instance has heard of, and when the last one was.
    failures: int = 0

    def __post_init__(self) -> None:
        # AbstractEventLoop asks for sockets, signals and more; a loop without them is enough.
        self.loop = SimulationLoop(self.random)  # type: ignore[abstract]
        self.provider = OwnProvider(kind=self.kind, life=self.life)
        declared = replace(
            DIGIKEY,
            grant_type=GrantType.CLIENT_CREDENTIALS,
            refresh_ends_access_token=self.kind.ends,
            access_token_lifetime=self.life,
        )
        self.policy = Policy(provider=declared, client="client-1")
        self.store = OwnStore(self)
        self.instances: list[Instance] = []
        self.loop.before_step = self._before_step
        for slot in range(3):
            self.give_birth(slot)

    def now(self) -> datetime:
        """Return the instant by the provider's clock."""
        return T0 + timedelta(seconds=self.loop.time())

    def note(self, who: str, what: str) -> None:
        """Add a line to the trace."""
        self.trace.append(f"{self.loop.time():10.3f}  {who:6} {what}")

    def latency(self) -> float:
        """Draw how long something travels."""
        return self.random.choice((0.0, 0.001, 0.05 * self.random.random()))

    def is_hit(self) -> bool:
        """Whether something goes wrong now."""
        return self.random.random() < self.rate

    def give_birth(self, slot: int) -> None:
        """Start an instance, with a clock of its own."""
        skew = self.random.uniform(-1, 1) * SKEW.total_seconds()
        instance = Instance(name=f"i{slot}", slot=slot, skew=skew)
        clock, entropy = _Clock(self, instance), SeededEntropy(self.random)
        instance.recorder = Recorder(
            store=self.store,
            clock=clock,
            entropy=entropy,
            rescue=self,
            revoke_late_tokens=lambda *late: instance.revocations.revoke_late_tokens(*late),  # noqa: PLW0108 - made below
            policy=self.policy,
        )
        poller = Poller(self.store)
        instance.keeper = keeper = Keeper(
            recorder=instance.recorder,
            server=lambda: self,
            clock=clock,
            entropy=entropy,
            policy=self.policy,
            intents=intent_limit(),
            poller=lambda: poller,
        )
        instance.revocations = Revocations(
            keeper=keeper, recorder=instance.recorder, server=lambda: self
        )
        instance.sweep = Sweep(
            keeper_of=lambda _: keeper,
            revocations_of=lambda _: instance.revocations,
            store=self.store,
            clock=clock,
        )
        self.instances.append(instance)
        self.loop.add(instance)

    def _before_step(self, process: "Process") -> None:
        if not isinstance(process, Instance) or self.random.random() >= self.rate / 60:
            return
        if self.random.random() < 1 / 2:
            process.stalled_until = self.loop.time() + self.random.choice(STALLS)
            self.note(process.name, f"stalls until {process.stalled_until:.0f}")
            return
        self.note(process.name, "crashes")
        self.loop.kill(process)
        self.instances.remove(process)
        after = self.random.choice((0.1, 5.0, 90.0))
        self.loop.call_later(after, self.give_birth, process.slot, context=self.loop.world_context)

    async def some_instance(self) -> Instance:
        """Return one that takes requests."""
        while not self.instances:  # noqa: ASYNC110 - in simulated time that costs nothing
            await asyncio.sleep(1)
        return self.random.choice(self.instances)

    # The ports.

    async def request_tokens(self, request: TokenRequest) -> Outcome:
        """Carry a request there, and its answer back."""
        assert request == ClientCredentialsRequest(scope=None)
        self._judge_request()
        sent = Request(
            sender=current_process(),
            sent_at=self.now(),
            is_revoked=isinstance(self.store._current(CONNECTION).grant, Revoking | Revoked),
        )
        self.requests.append(sent)
        outcome = await self._carry()
        sent.ended_at = self.now()
        self.failures = 0 if isinstance(outcome, TokenResponse) else self.failures + 1
        said = outcome.access_token if isinstance(outcome, TokenResponse) else str(outcome)
        self.note(sent.sender.name, f"is answered {said}")
        return outcome

    async def _carry(self) -> Outcome:
        fault = self.random.choice(FAULTS) if self.is_hit() else None
        fault = "503" if self.is_away else fault
        self.note(current_process().name, f"requests: {fault or 'well'}")
        if fault == "not sent":
            return NoAnswer(delivery=Delivery.NOT_SENT, reason=fault)
        await asyncio.sleep(self.latency())
        if fault in REFUSALS:
            return REFUSALS[fault]
        response = None if fault == "lost" else self.provider.issue(self.now())
        if response is None or fault == "answer lost":
            await asyncio.sleep(REQUEST_TIMEOUT)
            return NoAnswer(delivery=Delivery.UNKNOWN, reason="timeout")
        await asyncio.sleep(self.random.uniform(1, 25) if fault == "late" else self.latency())
        return response

    def _judge_request(self) -> None:
        """Judge a request that is about to leave."""
        now = self.now()
        if self.is_refusing and len(self.requests) > MOST_REQUESTS:
            self.fail(Rule.REFUSED_OFTEN, f"{len(self.requests)} requests")
        for other in self.requests:
            may_land = other.sent_at + LEASE - SEND_WITHIN - 3 * SKEW
            if other.ended_at is None and not other.is_revoked and now < may_land:
                self.fail(Rule.ONE_ATTEMPT, f"also of {other.sender.name}")
        if self.failures > 1 and (last := self.requests[-1].ended_at) is not None:
            least = min(FIRST_BACKOFF * 2 ** min(self.failures - 2, 20), LONGEST_BACKOFF) / 2
            if now - last < least - 2 * SKEW:
                self.fail(Rule.BACKOFF, f"after {self.failures} failures and {now - last}")

    def judge_rejection(self, generation: int) -> None:
        """Judge the intent to replace a token that an API refuses."""
        now = self.now()
        # Another attempt for the same token: the last one brought none.
        self.rejected_at.setdefault(generation, now)
        recent = now - REJECTIONS_COUNTED + 2 * SKEW
        if (number := sum(at > recent for at in self.rejected_at.values())) > MOST_REJECTIONS:
            self.fail(Rule.REFUSED_OFTEN, f"{number} in {REJECTIONS_COUNTED}")

    async def revoke_token(self, request: RevocationRequest) -> RevocationOutcome:
        """End a token, if the network lets it."""
        await asyncio.sleep(self.latency() + 3 * self.is_hit())
        if self.is_hit():
            return NoAnswer(delivery=Delivery.UNKNOWN, reason="timeout")
        self.provider.ended_at.setdefault(request.token, self.now())
        self.note("owner", f"revokes {request.token}")
        return RevocationResult.REVOKED

    def emit(self, rescued: RescuedRecord) -> None:
        """Write a rescue line."""
        if (tokens := tokens_of(rescued.record.grant)) is not None:
            self.rescued.add(tokens.access_token)

    def read(self, line: str) -> list[RescuedRecord | UnreadableLine]:
        """Nobody reads here."""
        raise NotImplementedError(line)

    def fail(self, rule: Rule, detail: str) -> None:
        """Stop the run at a broken promise."""
        self.loop.fail(BrokenRuleError(rule, detail))


@dataclass(frozen=True)
class _Clock:
    """The clock of an instance."""

    world: OwnWorld
    instance: Instance

    def now(self) -> datetime:
        return self.world.now() + timedelta(seconds=self.instance.skew)
