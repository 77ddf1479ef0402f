"""What must hold, checked at every event that could break it, by one who sees everything.

The oracle knows the provider's clock and every request in flight, and nothing of how the rules of
refresh are written: what it takes for granted is stated in the constants here.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum

from domain.commands import AskForAuthorization, Serve
from domain.grant import Attempt, AuthorizationRequired, Authorized, Grant, Refreshing, Unauthorized
from domain.policy import Policy
from domain.provider import RotationKind
from domain.token_endpoint import TokenErrorResponse, TokenResponse
from domain.tokens import Tokens
from tests.domain.examples import T0
from tests.simulation.loop import Process
from tests.simulation.provider import ProviderKind, SimulatedProvider

# Each clock is off by this much at most; what two of them say of a duration, by twice as much.
SKEW = timedelta(seconds=2)
LEASE = timedelta(seconds=60)
SEND_WITHIN = timedelta(seconds=5)
FIRST_BACKOFF = timedelta(seconds=1)
LONGEST_BACKOFF = timedelta(minutes=5)
LONGEST_RETRY_AFTER = timedelta(hours=1)
# A write whose store is slow may take this long.
TIME_TO_WRITE = timedelta(seconds=5)
# Whoever says that the store is away must have tried this often.
WRITES_BEFORE_GIVING_UP = 4


class Rule(Enum):
    """A promise, by the words in which its breach is reported."""

    ONE_ATTEMPT = "two attempts are in flight for one generation"
    OWN_ANSWER = "an instance repeats a request whose answer it has and has not stored yet"
    FIRST_MAY_LAND = "a request is repeated while the first one may still land"
    INTENT_FIRST = "a request is sent for which no intent is stored"
    SENT_IN_TIME = "a request is sent by an instance that had stalled"
    FORWARD = "the store goes back to an older generation"
    TOKENS_FORWARD = "the store goes back to an older refresh token"
    STORED_FIRST = "tokens are served that the store never had"
    EXPIRED = "a token is served that has expired or is about to"
    ENDED = "a token is served that a refresh may have ended"
    ENDED_WRONGLY = "a grant is ended whose refresh token the provider honours"
    LOST = "a login is asked for while the provider honours something we have"
    UNEXPLAINED_LOSS = "a grant is lost, and nothing that happened explains it"
    DROPPED = "the store holds a dead refresh token while we have a living one"
    GAVE_UP = "an answer is given up that the store has not refused often enough"
    BACKOFF = "the provider is asked again before its time"
    ANSWERED = "a program waits too long for its answer"
    RAISED = "a program gets an exception that the keeper does not promise"
    RECOVERS = "the faults are over, and there is no token"


class Loss(Enum):
    """Why a grant could not be kept."""

    ANSWER_LOST = "the network lost the answer that held the new refresh token"
    CAME_TOO_LATE = "the answer came after the request's timeout"
    CRASH_BEFORE_ANSWER = "the instance crashed before the answer came"
    CRASH_BEFORE_WRITE = "the instance crashed between the answer and the write"
    STALL = "the instance stalled past its lease, and its answer came too late"
    STORE_AWAY = "the store was away for longer than the write was retried"
    LANDED_AFTER_LEASE = "the request landed after its lease"


class BrokenRuleError(AssertionError):
    """A promise is broken."""

    def __init__(self, rule: Rule, detail: str) -> None:
        super().__init__(f"{rule.value}: {detail}")
        self.rule = rule


@dataclass(eq=False, kw_only=True)
class Exchange:
    """A token request and its answer, as the world sees them."""

    number: int
    sender: Process
    attempt: Attempt
    refresh_token: str
    lands_after_lease: bool = False
    may_land: bool = True
    is_ended: bool = False
    response: TokenResponse | None = None
    is_delivered: bool = False
    came_too_late: bool = False
    stalled: bool = False
    failed_writes: int = 0
    is_rescued: bool = False
    is_superseded: bool = False

    @property
    def new_refresh_token(self) -> str | None:
        """What the answer holds that nothing else does."""
        return self.response.refresh_token if self.response else None

    @property
    def is_held(self) -> bool:
        """Whether a living instance has the answer, or a rescue line does."""
        is_somewhere = self.is_delivered and (self.sender.is_alive or self.is_rescued)
        return is_somewhere and not self.is_superseded

    def loss(self) -> Loss | None:
        """Say why the answer could not be kept; None if nothing prevented it."""
        if self.lands_after_lease:
            return Loss.LANDED_AFTER_LEASE
        if self.is_delivered:
            return self._loss_after_delivery()
        if not self.sender.is_alive:
            return Loss.CRASH_BEFORE_ANSWER
        if self.stalled:
            return Loss.STALL
        return Loss.CAME_TOO_LATE if self.came_too_late else Loss.ANSWER_LOST

    def _loss_after_delivery(self) -> Loss | None:
        if self.is_rescued:
            return Loss.STORE_AWAY
        if not self.sender.is_alive:
            return Loss.CRASH_BEFORE_WRITE
        if self.stalled:
            return Loss.STALL
        return Loss.STORE_AWAY if self.failed_writes else None


@dataclass(frozen=True, kw_only=True)
class Call:
    """A program's request; what it is answered from was read at `read_from` or later."""

    number: int
    process: Process
    min_ttl: timedelta
    began_at: datetime
    read_from: datetime


@dataclass(kw_only=True)
class Oracle:
    """The judge of one run."""

    kind: ProviderKind
    policy: Policy
    provider: SimulatedProvider
    exchanges: list[Exchange] = field(default_factory=list)
    intents: list[tuple[Process, Attempt, str]] = field(default_factory=list)
    stored_at: dict[str, datetime] = field(default_factory=dict)
    access_tokens_stored: set[str] = field(default_factory=set)
    grant: Grant = field(default_factory=Unauthorized)
    losses: Counter[Loss] = field(default_factory=Counter)
    false_alarms: int = 0
    login_at: datetime = T0
    is_lost: bool = False
    is_alarmed: bool = False
    probes: int = 0
    revoker: Exchange | None = None

    # The store.

    def stored(self, process: Process, grant: Grant, now: datetime) -> None:
        """Judge what replaces the record."""
        before, self.grant = self.grant, grant
        assert not isinstance(grant, Unauthorized)
        tokens = grant.tokens
        self.access_tokens_stored.add(tokens.access_token)
        assert tokens.refresh_token is not None
        self.stored_at.setdefault(tokens.refresh_token, now)
        if not isinstance(before, Unauthorized):
            old = before.tokens
            if tokens.generation < old.generation:
                raise BrokenRuleError(Rule.FORWARD, f"{old.generation} to {tokens.generation}")
            if _serial(tokens.refresh_token) < _serial(old.refresh_token):
                raise BrokenRuleError(
                    Rule.TOKENS_FORWARD, f"{old.refresh_token} to {tokens.refresh_token}"
                )
            if tokens.access_token != old.access_token:
                self.probes = 0
            if tokens.generation > old.generation and self.provider.honours(
                tokens.refresh_token, now
            ):
                self._supersede(tokens)
        if isinstance(grant, Refreshing) and not _is_same_attempt(before, grant):
            self._judge_intent(before, grant.attempt)
            self.intents.append((process, grant.attempt, tokens.refresh_token))
        if isinstance(grant, AuthorizationRequired) and self.provider.honours(
            tokens.refresh_token, now
        ):
            raise BrokenRuleError(Rule.ENDED_WRONGLY, tokens.refresh_token)

    def _supersede(self, tokens: Tokens) -> None:
        """Let go of other answers of older generations: of several living ones, one is kept."""
        for exchange in self.exchanges:
            if exchange.attempt.generation < tokens.generation:
                exchange.is_superseded = True

    def _judge_intent(self, before: Grant, attempt: Attempt) -> None:
        started_at = attempt.started_at
        if isinstance(before, AuthorizationRequired):
            raise BrokenRuleError(Rule.BACKOFF, "after a verdict that is final")
        if isinstance(before, Authorized) and before.setbacks is not None:
            retry_at = before.setbacks.retry_at
            if started_at < retry_at <= started_at + LONGEST_RETRY_AFTER:
                raise BrokenRuleError(Rule.BACKOFF, f"at {started_at}, not {retry_at}")
        if self.intents:
            # Half of a doubling step is the least that jitter leaves of it; the first repetition
            # may come at once.
            least = min(FIRST_BACKOFF * 2 ** min(self.probes - 2, 20), LONGEST_BACKOFF) / 2
            gap = started_at - self.intents[-1][1].started_at
            if self.probes > 1 and gap < least - 2 * SKEW:
                raise BrokenRuleError(
                    Rule.BACKOFF, f"probe {self.probes + 1} after {gap}, less than {least}"
                )
        self.probes += 1

    # Token requests.

    def sent(
        self, process: Process, refresh_token: str, now: datetime, clock: datetime
    ) -> Exchange:
        """Judge a request that is about to leave; `clock` is what its instance believes."""
        attempt = self._take_intent(process, refresh_token)
        if clock > attempt.started_at + SEND_WITHIN + 2 * SKEW:
            raise BrokenRuleError(Rule.SENT_IN_TIME, f"{clock - attempt.started_at} late")
        for other in self.exchanges:
            if other.refresh_token == refresh_token:
                self._judge_replay(process, other, now)
        exchange = Exchange(
            number=len(self.exchanges) + 1,
            sender=process,
            attempt=attempt,
            refresh_token=refresh_token,
        )
        self.exchanges.append(exchange)
        return exchange

    def _take_intent(self, process: Process, refresh_token: str) -> Attempt:
        for owner, attempt, token in reversed(self.intents):
            if owner is process and token == refresh_token and not self._was_sent(attempt):
                return attempt
        raise BrokenRuleError(Rule.INTENT_FIRST, f"{process.name} with {refresh_token}")

    def _was_sent(self, attempt: Attempt) -> bool:
        return any(exchange.attempt == attempt for exchange in self.exchanges)

    def _judge_replay(self, process: Process, other: Exchange, now: datetime) -> None:
        """Judge a request with the refresh token of another one."""
        if not other.is_ended and now < other.attempt.started_at + LEASE - SKEW:
            raise BrokenRuleError(Rule.ONE_ATTEMPT, f"request {other.number} is not over")
        if other.sender is process and not (other.is_ended and self._is_settled(other)):
            raise BrokenRuleError(Rule.OWN_ANSWER, f"request {other.number}")
        bears_it = self.policy.provider.replay_is_harmless or self.kind.rules.grace
        if other.may_land and not other.lands_after_lease and not bears_it:
            raise BrokenRuleError(Rule.FIRST_MAY_LAND, f"request {other.number}")

    def _is_settled(self, exchange: Exchange) -> bool:
        """Whether nothing of an answer is left that only its instance has."""
        token = exchange.new_refresh_token
        let_go = exchange.is_rescued or exchange.is_superseded or token in self.stored_at
        return token is None or not exchange.is_delivered or let_go

    def landed(self, exchange: Exchange, now: datetime, *, rotates: bool) -> None:
        """Let the provider act on a request, and remember what came of it."""
        was_revoked = self.provider.revoked
        answer = self.provider.refresh(exchange.refresh_token, now, rotates=rotates)
        exchange.may_land = False
        if isinstance(answer, TokenResponse):
            exchange.response = answer
        else:
            assert isinstance(answer, TokenErrorResponse)
        if self.provider.revoked and not was_revoked:
            self.revoker = exchange

    def delivered(self, exchange: Exchange) -> None:
        """Note that an answer has come to its instance."""
        exchange.is_delivered = exchange.response is not None

    # Instances.

    def stalled(self, process: Process, until: datetime) -> None:
        """Note that an instance stalls; what it waits for or has may come after the lease."""
        for exchange in self._unstored_of(process):
            over = exchange.attempt.started_at + LEASE - 2 * SKEW - TIME_TO_WRITE
            exchange.stalled |= until > over

    def write_failed(self, process: Process) -> None:
        """Note that the store fails an instance that writes."""
        for exchange in self._unstored_of(process):
            exchange.failed_writes += exchange.is_delivered

    def rescued(self, process: Process, access_token: str) -> None:
        """Judge an instance that says it cannot store what it has, and note where it is now."""
        for exchange in self._unstored_of(process):
            # Within its grace window a provider repeats an answer, also one that never arrived.
            if not exchange.is_delivered or exchange.response is None:
                continue
            if exchange.response.access_token == access_token:
                if exchange.failed_writes < WRITES_BEFORE_GIVING_UP:
                    raise BrokenRuleError(Rule.GAVE_UP, f"request {exchange.number}")
                exchange.is_rescued = True

    def _unstored_of(self, process: Process) -> Iterator[Exchange]:
        for exchange in self.exchanges:
            if exchange.sender is process and exchange.new_refresh_token not in self.stored_at:
                yield exchange

    # Answers.

    def served(self, call: Call, answer: Serve, now: datetime) -> None:
        """Judge a token that is handed out."""
        token = answer.tokens.access_token
        if token not in self.access_tokens_stored and not self._is_rescued(token):
            raise BrokenRuleError(Rule.STORED_FIRST, token)
        left = self.provider.access_expires_at[token] - now
        demanded = min(call.min_ttl, self.provider.access_life / 2)
        if left <= demanded - 2 * SKEW:
            raise BrokenRuleError(Rule.EXPIRED, f"{token} has {left}, not {demanded}")
        ended_at = self.provider.ended_at.get(token)
        if self.kind.ends_access_token and ended_at and ended_at < call.read_from:
            self._judge_ended(token)

    def _judge_ended(self, access_token: str) -> None:
        """Judge a token that a refresh has ended; nobody can know of one after its lease."""
        if not any(exchange.lands_after_lease for exchange in self.exchanges):
            raise BrokenRuleError(Rule.ENDED, access_token)

    def _is_rescued(self, access_token: str) -> bool:
        return any(
            exchange.is_rescued
            and exchange.response is not None
            and exchange.response.access_token == access_token
            for exchange in self.exchanges
        )

    def refused(self, call: Call, answer: AskForAuthorization, now: datetime) -> bool:
        """Judge a call for a login; return whether it takes a login indeed."""
        if call.read_from <= self.login_at:
            return False
        for token, stored_at in self.stored_at.items():
            if self.provider.honours(token, now):
                if stored_at < call.read_from:
                    raise BrokenRuleError(Rule.LOST, f"{token} ({answer.cause.value})")
                return False
        held = list(self.held(now))
        for exchange in held:
            if not exchange.stalled and not exchange.failed_writes:
                raise BrokenRuleError(Rule.LOST, f"{exchange.new_refresh_token} in memory")
        if held:
            self.false_alarms += not self.is_alarmed
            self.is_alarmed = True
            return False
        if not self.is_lost:
            self.is_lost = True
            self.losses[self._explain()] += 1
        return True

    def held(self, now: datetime) -> Iterator[Exchange]:
        """Name the answers that a living instance has, and only it, and that still work."""
        for exchange in self.exchanges:
            token = exchange.new_refresh_token
            if exchange.is_held and token is not None and self.provider.honours(token, now):
                yield exchange

    def _explain(self) -> Loss:
        assert not isinstance(self.grant, Unauthorized)
        token = self.grant.tokens.refresh_token
        assert token is not None
        if self.kind.rules.rotation is RotationKind.NONE:
            raise BrokenRuleError(Rule.UNEXPLAINED_LOSS, "this provider never replaces one")
        issued = self.provider.issued.get(token)
        if issued is not None and issued.replaced_at is None and self.revoker is not None:
            if self.revoker.lands_after_lease:
                return Loss.LANDED_AFTER_LEASE
            token = self.revoker.refresh_token
        losses = [
            exchange.loss()
            for exchange in self.exchanges
            if exchange.refresh_token == token and exchange.response is not None
        ]
        if not losses or (last := losses[-1]) is None:
            raise BrokenRuleError(Rule.UNEXPLAINED_LOSS, f"{token} is dead")
        return last

    def settled(self, now: datetime) -> None:
        """Judge the store when all instances are well and idle."""
        if isinstance(self.grant, Unauthorized):
            return
        token = self.grant.tokens.refresh_token
        assert token is not None
        if self.provider.honours(token, now):
            return
        living = [name for name in self.stored_at if self.provider.honours(name, now)]
        living += [str(exchange.new_refresh_token) for exchange in self.held(now)]
        if living:
            raise BrokenRuleError(Rule.DROPPED, f"{token} is dead, {living} are not")

    def logged_in(self, now: datetime) -> None:
        """Forget what belonged to the grant that is over."""
        self.login_at = now
        self.is_lost = self.is_alarmed = False
        self.probes = 0
        self.revoker = None


def _serial(token: str | None) -> int:
    assert token is not None
    return int(token.rpartition("-")[2])


def _is_same_attempt(before: Grant, after: Refreshing) -> bool:
    return isinstance(before, Refreshing) and before.attempt == after.attempt
