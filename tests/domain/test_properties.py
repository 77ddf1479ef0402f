"""The promises of the rules of refresh, kept on every path through them.

A machine plays any number of instances that share one grant, the network between them and the
provider, and the provider. Requests are lost, land late, and have their answers lost or delayed;
instances stall and die. Time moves to the boundaries that matter, and to either side of them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import ClassVar, TypeAlias

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from domain.commands import (
    AskForAuthorization,
    Command,
    Effect,
    NothingDue,
    RejectedAgain,
    ReportMoved,
    SendTokenRequest,
    Serve,
    TryLater,
    Wait,
)
from domain.decide import apply, decide
from domain.events import AttemptEnded, Event, LoginCompleted
from domain.grant import (
    AuthorizationRequired,
    Authorized,
    Cause,
    Failure,
    Grant,
    Inactive,
    Moved,
    Refreshing,
    Revoked,
    Revoking,
    Unauthorized,
)
from domain.policy import Policy
from domain.provider import RotationKind
from domain.question import Question, RefreshDue, RefreshRequested, TokenRequested
from domain.token_endpoint import (
    Delivery,
    NoAnswer,
    Outcome,
    RefreshTokenRequest,
    TokenErrorResponse,
    TokenResponse,
)
from tests.domain.examples import DIGIKEY, T0
from tests.domain.provider_model import INVALID_GRANT, Kind, ProviderModel
from tests.thorough import times

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
OFFSETS = [timedelta(seconds=seconds) for seconds in (-61, -60, -59, -1, 0, 1, 59, 60, 61)]

KINDS = {
    "does not rotate": Kind(rotation=RotationKind.NONE),
    "does not rotate, refuses to refresh early": Kind(
        rotation=RotationKind.NONE, refuses_early=MINUTE
    ),
    "does not rotate, refuses for minutes": Kind(
        rotation=RotationKind.NONE, refuses_for=3 * MINUTE
    ),
    "may rotate": Kind(rotation=RotationKind.OPTIONAL),
    "may rotate, revokes on reuse": Kind(rotation=RotationKind.OPTIONAL, revokes=True),
    "rotates": Kind(rotation=RotationKind.ALWAYS),
    "rotates, revokes on reuse": Kind(rotation=RotationKind.ALWAYS, revokes=True),
    "rotates, repeats within grace": Kind(
        rotation=RotationKind.ALWAYS, grace=10 * MINUTE, repeats=True
    ),
    "rotates, repeats within grace, else revokes": Kind(
        rotation=RotationKind.ALWAYS, grace=3 * MINUTE, repeats=True, revokes=True
    ),
    "rotates, repeats until used": Kind(
        rotation=RotationKind.ALWAYS,
        grace=60 * MINUTE,
        repeats=True,
        until_used=True,
        after_use=10 * SECOND,
    ),
    "rotates, overlaps until used, else revokes": Kind(
        rotation=RotationKind.ALWAYS, grace=timedelta(days=30), until_used=True, revokes=True
    ),
    "rotates, is known to refuse to refresh early": Kind(
        rotation=RotationKind.ALWAYS, refuses_early=30 * SECOND, is_early_declared=True
    ),
    "rotates, a login ends": Kind(rotation=RotationKind.ALWAYS, login_lives=1.2),
    "rotates, overlaps": Kind(rotation=RotationKind.ALWAYS, grace=3 * MINUTE),
    "rotates, overlaps, else revokes": Kind(
        rotation=RotationKind.ALWAYS, grace=3 * MINUTE, revokes=True
    ),
}

TRANSIENT: list[Outcome] = [
    TokenErrorResponse(status=503, error=None),
    TokenErrorResponse(status=503, error=None, retry_after=61 * SECOND),
    TokenErrorResponse(status=429, error=None, retry_after=timedelta(days=2)),
    TokenErrorResponse(status=500, error="invalid_grant"),
    TokenErrorResponse(status=400, error=None),
    TokenErrorResponse(status=401, error="invalid_client"),
    TokenErrorResponse(status=400, error="temporarily_unavailable"),
]


@dataclass
class Flight:
    """An attempt as the world sees it, which is more than any instance does."""

    command: SendTokenRequest
    # The deployment whose instance makes it.
    of: int
    sent: bool = False
    # The request may still act at the provider.
    travels: bool = False
    answer: Outcome | None = None
    # The instance still waits, or stalls.
    attended: bool = True


Step: TypeAlias = Callable[[st.DataObject], None]


class World(RuleBasedStateMachine):
    """Instances, network and provider around one grant, whose swaps are atomic.

    `grant` is what the deployment `here` has of it; there may be more of them.
    """

    kind: ClassVar[Kind]
    visited: ClassVar[set[type]]
    deployments: ClassVar[int] = 1

    @initialize(access_life=st.sampled_from([SECOND, 2 * MINUTE, 30 * MINUTE]))
    def start(self, access_life: timedelta) -> None:
        self.now = T0
        self.grants: list[Grant] = [Unauthorized()] * self.deployments
        self.here = 0
        self.provider = ProviderModel(
            kind=self.kind, access_life=access_life, refresh_life=timedelta(days=90)
        )
        provider = self.kind.declared(DIGIKEY, self.provider.refresh_life)
        self.policy = Policy(provider=provider, client="client-1")
        self.serial = 0
        self.oldest: list[tuple[datetime, int]] = [(T0, -1)] * self.deployments
        self.flights: list[Flight] = []
        self.delivered: set[str] = set()
        self.judged: set[datetime] = set()

    @property
    def grant(self) -> Grant:
        return self.grants[self.here]

    @rule(data=st.data())
    def something_happens(self, data: st.DataObject) -> None:
        """One of all the things that may happen now.

        Drawn here and not by the machine, which leaves out some of its rules in each run: the
        interesting paths need nearly all of them.
        """
        happens = data.draw(st.sampled_from(self.steps()))
        happens(data)

    def steps(self) -> list[Step]:
        if isinstance(self.grant, Inactive) or not self.grant.tokens.can_refresh(self.now):
            steps: list[Step] = [self.a_program_asks, self.the_sweep_comes_by]
            return [*steps, self.a_refresh_is_requested, self.a_person_logs_in]
        steps = [*[self.time_passes, self.a_program_asks] * 3, self.the_sweep_comes_by]
        if self.kind.refuses_for is not None:
            steps.append(self.the_provider_refuses_for_a_while)
        steps.append(self.a_refresh_is_requested)
        if isinstance(self.grant, Authorized):
            steps.append(self.a_long_time_passes)
        else:
            steps.append(self.a_person_logs_in)
        return steps + self.steps_of_attempts()

    def steps_of_attempts(self) -> list[Step]:
        steps: list[Step] = []
        for flight in self.flights:
            if flight.attended and not flight.sent:
                steps.append(partial(self.it_is_sent, flight))
            if flight.travels:
                # Both lead to a refusal, often enough that each kind of provider comes to one.
                steps += [partial(self.it_lands, flight), self.a_person_revokes_the_application] * 3
                steps += [partial(self.it_fails, flight)]
            if flight.attended and flight.answer is not None:
                steps += [partial(self.it_is_answered, flight)] * 3
            if flight.attended and flight.sent:
                steps.append(partial(self.it_goes_unanswered, flight))
            if flight.attended:
                steps.append(partial(self.its_instance_dies, flight))
        return steps

    # The programs, the sweep, the person.

    def a_program_asks(self, data: st.DataObject) -> None:
        min_ttl = data.draw(st.sampled_from([0, 59, 60, 61, 10_000])) * SECOND
        self.ask(TokenRequested(attempt_id=self.new_id(), min_ttl=min_ttl), data)

    def the_sweep_comes_by(self, data: st.DataObject) -> None:
        self.ask(RefreshDue(attempt_id=self.new_id()), data)

    def a_refresh_is_requested(self, data: st.DataObject) -> None:
        asked_at = self.now - data.draw(st.sampled_from([0, 1, 30])) * SECOND
        self.ask(RefreshRequested(attempt_id=self.new_id(), asked_at=asked_at), data)

    def a_person_logs_in(self, _data: st.DataObject) -> None:
        response = self.provider.log_in(self.now)
        self.deliver(response)
        self.apply(LoginCompleted(response=response, requested_at=self.now, read=self.grant))

    def the_provider_refuses_for_a_while(self, _data: st.DataObject) -> None:
        assert self.kind.refuses_for is not None
        self.provider.refuses_until = self.now + self.kind.refuses_for

    def a_person_revokes_the_application(self, _data: st.DataObject) -> None:
        self.provider.revoked = True

    # The instances, the network, the provider.

    def it_is_sent(self, flight: Flight, data: st.DataObject) -> None:
        if self.now <= flight.command.send_by and data.draw(st.booleans()):
            flight.sent = flight.travels = True
        else:
            self.conclude(flight, NoAnswer(delivery=Delivery.NOT_SENT, reason="refused"))

    def it_lands(self, flight: Flight, data: st.DataObject) -> None:
        flight.travels = False
        request = flight.command.request
        assert isinstance(request, RefreshTokenRequest)
        if self.now < self.policy.lease_end(flight.command.attempt):
            flight.answer = self.provider.refresh(
                request.refresh_token, self.now, rotates=data.draw(st.booleans())
            )

    def it_fails(self, flight: Flight, data: st.DataObject) -> None:
        flight.travels = False
        flight.answer = data.draw(st.sampled_from(TRANSIENT))

    def it_is_answered(self, flight: Flight, _data: st.DataObject) -> None:
        assert flight.answer is not None
        self.conclude(flight, flight.answer)

    def it_goes_unanswered(self, flight: Flight, _data: st.DataObject) -> None:
        self.conclude(flight, NoAnswer(delivery=Delivery.UNKNOWN, reason="timeout"))

    def its_instance_dies(self, flight: Flight, _data: st.DataObject) -> None:
        flight.attended = False

    # Time.

    def time_passes(self, data: st.DataObject) -> None:
        """Move to either side of the next instant that matters to the grant."""
        boundary = min((end for end in self.near_ends() if end > self.now), default=self.now)
        self.now = max(self.now, boundary + data.draw(st.sampled_from(OFFSETS)))

    def a_long_time_passes(self, data: st.DataObject) -> None:
        assert isinstance(self.grant, Authorized)
        tokens = self.grant.tokens
        end = data.draw(st.sampled_from([tokens.keep_alive_at(), tokens.refresh_token_expires_at]))
        assert end is not None
        self.now = max(self.now, end + data.draw(st.sampled_from(OFFSETS)))

    def near_ends(self) -> list[datetime]:
        ends: list[datetime | None] = []
        if not isinstance(self.grant, Inactive):
            ends.append(self.grant.tokens.expires_at)
        if isinstance(self.grant, Refreshing):
            attempt = self.grant.attempt
            ends += [self.policy.lease_end(attempt), attempt.started_at + self.policy.send_within]
        if isinstance(self.grant, Authorized) and self.grant.failure_state is not None:
            ends.append(self.grant.failure_state.retry_at)
        return [end for end in ends if end is not None]

    # The checks.

    def new_id(self) -> str:
        self.serial += 1
        return f"attempt-{self.serial}"

    def ask(self, event: Question, data: st.DataObject) -> None:
        before = self.grant
        match self.decide(event):
            case Serve(tokens=tokens):
                left = self.provider.access_expires_at[tokens.access_token] - self.now
                assert left > self.demanded_by(event)
                self.provider.use(tokens.access_token, self.now)
            case AskForAuthorization(cause=cause):
                self.check_cause(before, cause)
            case SendTokenRequest() as command:
                self.take_off(command, stalls=data.draw(st.booleans()))
            case Wait(until=until):
                assert self.now < until
            case TryLater(at=at):
                assert self.now < at <= self.now + self.policy.max_retry_after
            case RejectedAgain():
                raise AssertionError("no program names a refused token")
            case ReportMoved():
                assert isinstance(self.grant, Moved)
            case NothingDue():
                assert isinstance(event, RefreshDue)

    def demanded_by(self, question: Question) -> timedelta:
        match question:
            case TokenRequested(min_ttl=min_ttl) if min_ttl <= MINUTE and self.is_refused():
                return timedelta(0)
            case TokenRequested(min_ttl=min_ttl):
                demanded = min(min_ttl, self.provider.access_life / 2)
                within = self.policy.provider.refresh_only_within
                return demanded if within is None else min(demanded, within - 5 * SECOND)
            case RefreshRequested(asked_at=asked_at):
                assert not isinstance(self.grant, Inactive)
                assert self.grant.tokens.issued_at >= asked_at - 10 * SECOND
                return timedelta(0)
            case RefreshDue():
                pytest.fail("the sweep has no use for a token")

    def is_refused(self) -> bool:
        failure_state = getattr(self.grant, "failure_state", None)
        return failure_state is not None and failure_state.failure is Failure.REFUSED

    def decide(self, question: Question) -> Command:
        decision = decide(self.grant, question, self.policy, self.now)
        self.take(decision.grant)
        self.visited.add(type(decision.command))
        return decision.command

    def apply(self, event: Event) -> Effect:
        effect = apply(self.grant, event, self.policy, self.now)
        self.take(effect.grant)
        self.visited.add(type(effect.to_revoke))
        return effect

    def take(self, grant: Grant) -> None:
        self.grants[self.here] = grant
        self.visited.add(type(grant))

    def deliver(self, outcome: Outcome) -> None:
        if isinstance(outcome, TokenResponse) and outcome.refresh_token is not None:
            self.delivered.add(outcome.refresh_token)

    def conclude(self, flight: Flight, outcome: Outcome) -> None:
        flight.attended = False
        self.deliver(outcome)
        self.here = flight.of
        before = self.grant
        self.apply(AttemptEnded(attempt=flight.command.attempt, outcome=outcome))
        if isinstance(self.grant, AuthorizationRequired) and self.grant is not before:
            assert outcome == INVALID_GRANT, "a transient fault ended the grant"

    def take_off(self, command: SendTokenRequest, *, stalls: bool) -> None:
        self.check_window(command)
        for flight in self.flights:
            attempt = flight.command.attempt
            if attempt.age != command.attempt.age:
                continue
            lapsed = self.now >= self.policy.lease_end(attempt)
            assert lapsed or not flight.attended, "two attempts in flight"
            bears_it = self.kind.grace and not self.kind.until_used
            if not (self.policy.provider.replay_is_harmless or bears_it):
                assert lapsed or not flight.travels, "the first request may still land"
        self.flights.append(Flight(command, of=self.here, sent=not stalls, travels=not stalls))

    def check_window(self, command: SendTokenRequest) -> None:
        assert not isinstance(self.grant, Inactive)
        assert isinstance(command.request, RefreshTokenRequest)
        issued = self.provider.issued.get(command.request.refresh_token)
        is_spent = issued is not None and issued.used_at is not None
        assert not (self.kind.until_used and is_spent), "its replacement was used"
        within, expires_at = self.policy.provider.refresh_only_within, self.grant.tokens.expires_at
        if within is not None and expires_at is not None:
            assert expires_at - self.now <= within, "it is too early"

    def check_cause(self, grant: Grant, cause: Cause) -> None:
        match cause:
            case Cause.NEVER_AUTHORIZED:
                assert isinstance(grant, Unauthorized)
            case Cause.REFRESH_TOKEN_MISSING:
                pytest.fail("this provider always issues one")
            case Cause.REFRESH_TOKEN_EXPIRED:
                assert not isinstance(grant, Inactive)
                assert grant.tokens.refresh_token_expires_at is not None
                assert grant.tokens.refresh_token_expires_at <= self.now
            case Cause.REVOKED:
                assert isinstance(grant, Revoking | Revoked)
            case Cause.REFRESH_TOKEN_REJECTED | Cause.REFRESH_ANSWER_LOST:
                assert isinstance(grant, AuthorizationRequired)

    @invariant()
    def tokens_never_go_back_to_older_ones(self) -> None:
        for number, grant in enumerate(self.grants):
            if not isinstance(grant, Inactive):
                assert grant.tokens.age >= self.oldest[number]
                self.oldest[number] = grant.tokens.age

    @invariant()
    def a_grant_is_ended_only_if_the_provider_would_not_honour_it(self) -> None:
        for grant in self.grants:
            if isinstance(grant, AuthorizationRequired):
                refresh_token = grant.tokens.refresh_token
                assert refresh_token is not None
                may_pass = self.kind.refuses_what_lives and self.is_excused()
                assert may_pass or not self.provider.honours(refresh_token, self.now)

    def is_excused(self) -> bool:
        """Whether a temporary refusal looks final.

        It came after the access token expired. A provider that refuses early counts from the newest
        access token, even if the deployments lost it.
        """
        newest = f"{self.provider.name}access-{self.provider.serial}"
        tokens = [grant.tokens for grant in self.grants if not isinstance(grant, Inactive)]
        has_newest = any(each.access_token == newest for each in tokens)
        return self.kind.refuses_for is not None or not has_newest

    @invariant()
    def a_verdict_is_final_after_the_end_of_the_access_token_or_a_lost_answer_only(self) -> None:
        for grant in self.grants:
            if isinstance(grant, AuthorizationRequired) and grant.since not in self.judged:
                self.judged.add(grant.since)
                is_over = grant.tokens.expires_at is None or grant.tokens.expires_at <= grant.since
                assert is_over or grant.cause is Cause.REFRESH_ANSWER_LOST

    @invariant()
    def an_attempt_in_flight_is_for_the_generation_that_is_there(self) -> None:
        for grant in self.grants:
            if isinstance(grant, Refreshing):
                assert grant.attempt.age == grant.tokens.age

    @invariant()
    def no_refresh_token_that_reached_an_instance_is_dropped_while_it_works(self) -> None:
        kept = {
            str(grant.tokens.refresh_token)
            for grant in self.grants
            if not isinstance(grant, Inactive)
        }
        living = {token for token in self.delivered if self.provider.honours(token, self.now)}
        assert not kept or not living or kept & living


def visited_by(machine: type[World], kind: Kind, *, examples: int) -> set[type]:
    """Play so many stories with a kind of provider; return the states and commands they came by."""
    visited: set[type] = set()
    world = type(machine.__name__, (machine,), {"kind": kind, "visited": visited})
    run_state_machine_as_test(
        world,
        settings=settings(
            max_examples=examples,
            stateful_step_count=50,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
    return visited


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_every_promise_is_kept_on_every_path_and_every_state_is_reached(kind: Kind) -> None:
    visited = visited_by(World, kind, examples=times(300, usually=80))
    states = {Unauthorized, Authorized, Refreshing, AuthorizationRequired}
    answers = {Serve, Wait, TryLater, AskForAuthorization, NothingDue, SendTokenRequest}
    if kind.rotation is RotationKind.NONE:
        # Nothing ever makes such a provider refuse its refresh token, but its end.
        states -= {AuthorizationRequired}
    assert visited >= states | answers
