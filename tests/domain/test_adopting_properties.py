"""An adoption amid crashes, lost answers and repeated requests: no working token is lost.

Two logins at one provider: the earlier one of the connection, and that of another program. Each
step is what an instance does. A crash may happen before and after each write and request.
"""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import Enum

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.adopting import has_adopted
from domain.commands import Serve
from domain.decide import apply, decide
from domain.events import AttemptEnded, LoginCompleted, TokensAdopted
from domain.grant import Adopting, AuthorizationRequired, Cause, Grant, Unauthorized, tokens_of
from domain.provider import RotationKind
from domain.question import Question, RefreshDue, RefreshRequested, TokenRequested
from domain.token_endpoint import Outcome, TokenResponse
from tests.domain.examples import MINUTE, POLICY, SECOND, T0, UNAVAILABLE, UNKNOWN
from tests.domain.provider_model import Kind, ProviderModel
from tests.thorough import times

GRACE = 10 * MINUTE
REFRESH_LIFE = timedelta(days=90)
KINDS = {
    "no rotation": Kind(rotation=RotationKind.NONE),
    "no grace": Kind(rotation=RotationKind.ALWAYS),
    "reuse revokes": Kind(rotation=RotationKind.ALWAYS, revokes=True),
    "grace": Kind(rotation=RotationKind.ALWAYS, grace=GRACE, repeats=True),
    "grace until used": Kind(rotation=RotationKind.ALWAYS, grace=GRACE, until_used=True),
}
# Here the other program's access token is still valid, and the provider may refuse to replace it.
EARLY_KIND = Kind(
    rotation=RotationKind.ALWAYS, revokes=True, refuses_early=MINUTE, is_early_declared=True
)
PAUSES = (timedelta(0), SECOND, 59 * SECOND, 61 * SECOND, 5 * MINUTE, 31 * MINUTE)


class Fate(Enum):
    """The fate of an attempt whose intent is stored."""

    ANSWERED = "answered"
    UNAVAILABLE = "unavailable"
    CRASH_BEFORE_SENDING = "crash before sending"
    # The provider acts, and nobody hears of it.
    CRASH_BEFORE_STORING = "crash before storing"
    ANSWER_LOST = "answer lost"
    ANSWER_LATE = "answer late"


class Step(Enum):
    """A step of somebody."""

    ADOPT = "adopt"
    PROVE = "prove"
    ASK = "ask"
    REFRESH = "refresh"
    SWEEP = "sweep"
    DELIVER = "deliver"


class Earlier(Enum):
    """The connection before."""

    WORKS = "works"
    NONE = "none"
    REFUSED = "refused"


@dataclass(kw_only=True)
class Deployment:
    """One connection, its provider, and what was lost."""

    kind: Kind
    earlier: Earlier
    now: datetime = T0
    grant: Grant = field(default_factory=Unauthorized)
    late: list[AttemptEnded] = field(default_factory=list)
    lost: set[str] = field(default_factory=set)
    is_proven: bool = False
    attempts: int = 0

    def __post_init__(self) -> None:
        provider = self.kind.declared(POLICY.provider, REFRESH_LIFE)
        self.policy = replace(POLICY, provider=provider)
        self.models = {
            name: ProviderModel(
                kind=self.kind, access_life=30 * MINUTE, refresh_life=REFRESH_LIFE, name=name
            )
            for name in ("here.", "there.")
        }
        first = self.models["there."].log_in(T0).refresh_token
        assert first is not None
        self.token = first
        if self.earlier is not Earlier.NONE:
            self._log_in()
        else:
            self.lost.add("here.")

    def _log_in(self) -> None:
        response = self.models["here."].log_in(T0)
        login = LoginCompleted(response=response, requested_at=T0)
        self.grant = apply(self.grant, login, self.policy, T0).grant
        if self.earlier is Earlier.REFUSED:
            self.lost.add("here.")
            self.models["here."].revoked = True
            tokens = tokens_of(self.grant)
            assert tokens is not None
            cause = Cause.REFRESH_TOKEN_REJECTED
            self.grant = AuthorizationRequired(
                tokens=tokens, cause=cause, client=POLICY.client, since=T0
            )

    def take(self, step: Step, fate: Fate, *, replaces: bool) -> None:
        """Take a step, and judge what it leaves."""
        match step:
            case Step.ADOPT:
                self._apply(self._adopted(replaces=replaces))
                self._ask(self._question(Step.PROVE), fate)
            case Step.DELIVER:
                for ended in self.late:
                    self._apply(ended)
                self.late.clear()
            case _:
                self._ask(self._question(step), fate)
        self.judge()

    def _adopted(self, *, replaces: bool) -> TokensAdopted:
        return TokensAdopted(
            refresh_token=self.token,
            fingerprint="print",
            scope=None,
            subject=None,
            replaces=replaces,
        )

    def _question(self, step: Step) -> Question:
        self.attempts += 1
        name = str(self.attempts)
        match step:
            case Step.ASK:
                return TokenRequested(attempt_id=name)
            case Step.SWEEP:
                return RefreshDue(attempt_id=name)
            case _:
                adopted = "print" if step is Step.PROVE else None
                return RefreshRequested(attempt_id=name, asked_at=self.now, adopted=adopted)

    def _ask(self, question: Question, fate: Fate) -> None:
        decision = decide(self.grant, question, self.policy, self.now)
        command = decision.command
        if isinstance(command, Serve):
            self._judge_served(command.tokens.access_token)
            return
        if decision.grant is self.grant:
            return
        self.grant = decision.grant
        assert not isinstance(command, Serve)
        if fate is Fate.CRASH_BEFORE_SENDING:
            return
        attempt, token = command.attempt, command.request.refresh_token  # type: ignore[union-attr]
        name = f"{token.partition('.')[0]}."
        # A token that is proven is never sent again.
        assert not (token == self.token and self.is_proven and self._replaces_tokens())
        outcome: Outcome = UNAVAILABLE
        if fate is not Fate.UNAVAILABLE:
            outcome = self.models[name].refresh(token, self.now, rotates=True)
        ended = AttemptEnded(attempt=attempt, outcome=outcome)
        is_loss = isinstance(outcome, TokenResponse) and outcome.refresh_token is not None
        match fate:
            case Fate.ANSWERED | Fate.UNAVAILABLE:
                self._apply(ended)
                return
            case Fate.ANSWER_LOST:
                self._apply(AttemptEnded(attempt=attempt, outcome=UNKNOWN))
            case Fate.ANSWER_LATE:
                self.late.append(ended)
            case _:
                pass
        if is_loss:
            self.lost.add(name)

    def _replaces_tokens(self) -> bool:
        return self.kind.rotation is RotationKind.ALWAYS

    def _apply(self, event: AttemptEnded | TokensAdopted) -> None:
        self.grant = apply(self.grant, event, self.policy, self.now).grant
        is_new = not isinstance(self.grant, Adopting)
        self.is_proven |= is_new and has_adopted(self.grant, self._adopted(replaces=False))

    def _judge_served(self, access_token: str) -> None:
        name = f"{access_token.partition('.')[0]}."
        assert access_token, "an unproven access token was served"
        assert self.models[name].access_expires_at[access_token] > self.now
        self.models[name].use(access_token, self.now)

    def judge(self) -> None:
        """Judge that what works is in the record, or with the other program."""
        in_use = tokens_of(self.grant)
        if in_use is not None and in_use.refresh_token is not None:
            name = f"{in_use.refresh_token.partition('.')[0]}."
            if name not in self.lost:
                assert self.models[name].honours(in_use.refresh_token, self.now), name
        if "there." not in self.lost and not self.is_proven:
            # Neither is it spent, nor does anybody else have it.
            assert self.models["there."].honours(self.token, self.now)
        if self.earlier is Earlier.WORKS and not self.is_proven:
            assert in_use is not None
            assert in_use.refresh_token is not None
            assert in_use.refresh_token.startswith("here.")


steps = st.lists(
    st.tuples(st.sampled_from(Step), st.sampled_from(Fate), st.booleans(), st.sampled_from(PAUSES)),
    min_size=1,
    max_size=12,
)


@pytest.mark.parametrize("kind", [*KINDS.values(), EARLY_KIND], ids=[*KINDS, "refuses early"])
@given(earlier=st.sampled_from(Earlier), steps=steps)
@settings(max_examples=times(2000, usually=150), suppress_health_check=[HealthCheck.too_slow])
def test_no_order_of_crashes_loses_a_token_that_works(
    kind: Kind, earlier: Earlier, steps: list[tuple[Step, Fate, bool, timedelta]]
) -> None:
    deployment = Deployment(kind=kind, earlier=earlier)
    for step, fate, replaces, pause in steps:
        deployment.now += pause
        deployment.take(step, fate, replaces=replaces)


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("earlier", Earlier, ids=lambda each: each.value)
def test_an_adoption_ends_well_after_a_crash_at_each_step(kind: Kind, earlier: Earlier) -> None:
    for crash in (Fate.CRASH_BEFORE_SENDING, Fate.UNAVAILABLE, Fate.ANSWER_LATE):
        deployment = Deployment(kind=kind, earlier=earlier)
        deployment.take(Step.ADOPT, crash, replaces=True)
        assert isinstance(deployment.grant, Adopting)
        deployment.take(Step.DELIVER, crash, replaces=True)
        deployment.now += 2 * MINUTE
        deployment.take(Step.SWEEP, Fate.ANSWERED, replaces=True)
        assert deployment.is_proven
        assert not isinstance(deployment.grant, Adopting)
