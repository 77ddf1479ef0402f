"""The whole history of one connection, as the world knows it."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from domain.grant import Attempt, Grant, Inactive, Refreshing, Unauthorized
from domain.policy import Policy
from domain.provider import RotationKind
from domain.token_endpoint import Outcome, TokenErrorResponse, TokenResponse
from tests.domain.examples import T0
from tests.simulation.exchanges import Exchange, Loss
from tests.simulation.loop import Process
from tests.simulation.promises import (
    LEASE,
    LONGEST_RETRY_AFTER,
    SKEW,
    TIME_TO_WRITE,
    WRITES_BEFORE_GIVING_UP,
    BrokenRuleError,
    Rule,
)
from tests.simulation.provider import ProviderKind, SimulatedProvider


@dataclass(kw_only=True)
class History:
    """The facts that the judges go by."""

    kind: ProviderKind
    policy: Policy
    provider: SimulatedProvider
    exchanges: list[Exchange] = field(default_factory=list)
    intents: list[tuple[Process, Attempt, str]] = field(default_factory=list)
    # When the intent of an attempt was stored, by its id.
    intended_at: dict[str, datetime] = field(default_factory=dict)
    # The ids of attempts that are known to have brought nothing.
    fruitless: set[str] = field(default_factory=set)
    # When a refresh token was first in the store, and from when its life counts.
    stored_at: dict[str, datetime] = field(default_factory=dict)
    counted_from: dict[str, datetime] = field(default_factory=dict)
    # The access tokens that the store has had, in their order.
    served_from: list[tuple[datetime, str]] = field(default_factory=list)
    grant: Grant = field(default_factory=Unauthorized)
    written_at: datetime = T0
    in_flight_at: datetime = T0 - timedelta(days=1)
    losses: Counter[Loss] = field(default_factory=Counter)
    # When the last login was stored, and its refresh token until then.
    login_at: datetime = T0
    login_token: str | None = None
    revoker: Exchange | None = None
    # Access tokens to which a refresh was refused, and not for good yet.
    refused: set[str] = field(default_factory=set)
    # Whether its tokens were adopted, and its first one was issued at an unknown time.
    is_adopted: bool = False
    # Whether the program that they were adopted from has used its copy since, or the deployment
    # has used it for an adoption before.
    is_used_elsewhere: bool = False
    # When a refresh began because an API refused an access token, by that token.
    rejected_at: dict[str, datetime] = field(default_factory=dict)
    last_rejection_at: datetime | None = None
    # When its owner's wish to end the grant that is there was stored.
    revoked_at: datetime | None = None

    # The provider.

    def honours(self, token: str, now: datetime) -> bool:
        """Whether the provider honours a refresh token, as far as an instance can know.

        An instance counts a refresh token's life from before the request that brought it, the
        provider from later.
        """
        return self.provider.honours(token, now) and not self.may_be_expired(token, now)

    def may_be_expired(self, token: str, now: datetime) -> bool:
        """Whether an instance may take a refresh token for expired."""
        login_ends_at = self.provider.login_ends_at
        end = self.counted_from[token] + self.provider.refresh_life
        # A clock may be set between the start of an attempt and the write of its answer.
        return now >= min(end, login_ends_at or end) - 3 * SKEW

    def is_spent(self, refresh_token: str) -> bool:
        """Whether a caller has used what replaced a refresh token."""
        issued = self.provider.issued.get(refresh_token)
        return issued is not None and issued.used_at is not None

    def may_pass(self) -> bool:
        """Whether a valid refresh token is refused, and no instance can know that it is valid.

        It was refused for a while, after the access token expired. Or the provider refuses early,
        and goes by an access token whose answer was never stored.
        """
        rules = self.provider.kind
        is_unknown = self.is_used_elsewhere or any(
            exchange.response is not None and not self.had(exchange.response.access_token)
            for exchange in self.exchanges
        )
        refuses = rules.refuses_for is not None or (rules.refuses_early is not None and is_unknown)
        return refuses and self.provider.has_refused

    def may_have_worked(self, attempt: Attempt) -> bool:
        """Whether the provider has answered an attempt with tokens, or still may."""
        return any(
            exchange.attempt == attempt and (exchange.response is not None or exchange.may_land)
            for exchange in self.exchanges
        )

    def landed(self, exchange: Exchange, now: datetime, *, rotates: bool) -> None:
        """Let the provider act on a request, and remember what came of it."""
        was_revoked = self.provider.revoked
        answer = self.provider.refresh(exchange.refresh_token, now, rotates=rotates)
        exchange.may_land = False
        exchange.landed_at = now
        if isinstance(answer, TokenResponse):
            exchange.response = answer
            if answer.refresh_token is not None:
                self._count_life(answer.refresh_token, exchange)
        if self.provider.revoked and not was_revoked:
            self.revoker = exchange

    def _count_life(self, token: str, exchange: Exchange) -> None:
        """Count from the first attempt that may have brought it: a provider may repeat itself."""
        first = min(
            attempt.started_at
            for _, attempt, used in self.intents
            if used == exchange.refresh_token and attempt.id not in self.fruitless
        )
        oldest = exchange.attempt.started_at - self.kind.rules.grace
        self.counted_from.setdefault(token, max(first, oldest))

    # Instances.

    def delivered(self, exchange: Exchange, outcome: Outcome, now: datetime) -> None:
        """Note that an answer has come to its instance."""
        exchange.outcome = outcome
        exchange.is_delivered = isinstance(outcome, TokenResponse)
        exchange.is_refused = isinstance(outcome, TokenErrorResponse)
        if isinstance(outcome, TokenErrorResponse) and outcome.retry_after:
            exchange.left_alone_until = now + min(outcome.retry_after, LONGEST_RETRY_AFTER)

    def stalled(self, process: Process, until: datetime) -> None:
        """Note that an instance stalls; what it waits for or has may come after the lease."""
        for exchange in self._unstored_of(process):
            over = exchange.attempt.started_at + LEASE - 2 * SKEW - TIME_TO_WRITE
            exchange.stalled |= until > over

    def write_failed(self, process: Process, *, times: int = 1) -> None:
        """Note that the store fails an instance that writes."""
        for exchange in self._unstored_of(process):
            if exchange.is_delivered:
                exchange.failed_writes += times

    def rescued(self, process: Process, access_token: str) -> None:
        """Judge an instance that says it cannot store what it has, and note where it is now."""
        for exchange in self._unstored_of(process):
            # Within its grace window a provider repeats an answer, also one that never arrived.
            if not exchange.is_delivered or exchange.response is None:
                continue
            if exchange.response.access_token == access_token:
                # Where one record is lost, others may be: those that were stored are rescued, too.
                is_given_up = exchange.failed_writes >= WRITES_BEFORE_GIVING_UP
                if not (is_given_up or self.had(access_token)):
                    raise BrokenRuleError(Rule.GAVE_UP, f"request {exchange.number}")
                exchange.is_rescued = True

    def is_revoked_for(self, read_from: datetime) -> bool:
        """Whether the grant was revoked before the read of this call."""
        return self.revoked_at is not None and self.revoked_at < read_from

    def is_rescued(self, access_token: str) -> bool:
        """Whether a rescue line holds an access token."""
        return any(
            exchange.is_rescued
            and exchange.response is not None
            and exchange.response.access_token == access_token
            for exchange in self.exchanges
        )

    def _unstored_of(self, process: Process) -> Iterator[Exchange]:
        for exchange in self.exchanges:
            if exchange.sender is process and exchange.new_refresh_token not in self.stored_at:
                yield exchange

    # The store.

    def had(self, access_token: str) -> bool:
        """Whether the store has ever had an access token."""
        return any(token == access_token for _, token in self.served_from)

    def is_replaced(self, *, before: str, after: str, since: datetime) -> bool:
        """Whether `before` was in the store at `since` or later, and `after` came to its place."""
        order = [token for _, token in self.served_from]
        if before not in order or not (after in order or self.is_rescued(after)):
            return False
        place = order.index(before)
        was_there = place + 1 == len(order) or self.served_from[place + 1][0] >= since
        return was_there and (after not in order or order.index(after) > place)

    def is_in_flight(self) -> bool:
        """Whether the store has an attempt."""
        return isinstance(self.grant, Refreshing)

    # The remaining tokens.

    def held(self, now: datetime) -> Iterator[Exchange]:
        """Return the answers that only a running instance has, and that still work."""
        for exchange in self.exchanges:
            token = exchange.new_refresh_token
            if exchange.is_held and token is not None and self.honours(token, now):
                yield exchange

    def is_alive(self, now: datetime) -> bool:
        """Whether the provider honours anything that we have."""
        return any(self.honours(token, now) for token in self.stored_at) or any(self.held(now))

    def explain(self, now: datetime) -> Loss:
        """Return why the grant is lost. Raises BrokenRuleError where nothing explains it."""
        if self.is_used_elsewhere:
            return Loss.USED_ELSEWHERE
        assert not isinstance(self.grant, Inactive)
        token = self.grant.tokens.refresh_token
        assert token is not None
        issued = self.provider.issued.get(token)
        is_last = issued is not None and issued.replaced_at is None
        if is_last and not self.provider.revoked and self.may_be_expired(token, now):
            return Loss.EXPIRED
        if self.kind.rules.rotation is RotationKind.NONE:
            raise BrokenRuleError(Rule.UNEXPLAINED_LOSS, "this provider never replaces one")
        if is_last and self.revoker is not None:
            if self.revoker.lands_after_lease:
                return Loss.LANDED_AFTER_LEASE
            token = self.revoker.refresh_token
        fatal = [
            exchange
            for exchange in self.exchanges
            if exchange.refresh_token == token and exchange.new_refresh_token is not None
        ]
        if not fatal or (loss := fatal[-1].loss()) is None:
            raise BrokenRuleError(Rule.UNEXPLAINED_LOSS, f"{token} has expired")
        return loss

    def logged_in(self, refresh_token: str, now: datetime) -> None:
        """Forget what belonged to the grant that is over."""
        self.login_token = refresh_token
        self.counted_from[refresh_token] = now
        self.revoker = None
