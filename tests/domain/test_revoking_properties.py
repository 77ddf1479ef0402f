"""A grant is revoked on every path: from then on nothing of it is used, kept, or left untold."""

from datetime import datetime

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import invariant

from domain.commands import Command, Effect, SendTokenRequest, Serve
from domain.events import Event, LoginCompleted, RevocationEnded, RevokeRequested, TokensRescued
from domain.grant import Authorized, Inactive, Refreshing, Revoked, Revoking
from domain.question import Question
from domain.token_endpoint import Outcome, RevocationRequest, RevocationResult, TokenResponse
from domain.tokens import Tokens
from tests.domain.provider_model import Kind
from tests.domain.test_properties import KINDS, Flight, Step, World, visited_by
from tests.thorough import times


class WithAnOwner(World):
    """The machine, with an owner who revokes, and rescue lines that are replayed at any time."""

    def __init__(self) -> None:
        super().__init__()
        self.rescued: list[Tokens] = []
        self.revoked_until: datetime | None = None
        self.told: set[str] = set()

    def steps(self) -> list[Step]:
        steps = [*super().steps(), *self.steps_of_attempts() * 3]
        if self.rescued:
            steps.append(self.a_rescue_line_is_replayed)
        if isinstance(self.grant, Revoking):
            steps += [self.the_provider_is_told] * 2
        if not isinstance(self.grant, Inactive):
            steps += [self.the_owner_revokes] * 2
        return steps

    def the_owner_revokes(self, _data: st.DataObject) -> None:
        assert not isinstance(self.grant, Inactive)
        self.rescued.append(self.grant.tokens)
        self.apply(RevokeRequested())
        self.revoked_until = self.revoking().at

    def the_provider_is_told(self, _data: st.DataObject) -> None:
        request = self.revoking().request
        self.tell(request.token)
        self.apply(RevocationEnded(request=request, outcome=RevocationResult.REVOKED))

    def revoking(self) -> Revoking:
        assert isinstance(self.grant, Revoking)
        return self.grant

    def a_rescue_line_is_replayed(self, data: st.DataObject) -> None:
        self.apply(TokensRescued(tokens=data.draw(st.sampled_from(self.rescued))))

    def tell(self, token: str) -> None:
        self.told.add(token)
        # One token and no other: what comes late has to be ended by itself.
        self.provider.issued.pop(token, None)

    def decide(self, question: Question) -> Command:
        was_over = isinstance(self.grant, Revoking | Revoked)
        command = super().decide(question)
        if was_over:
            assert not isinstance(command, Serve | SendTokenRequest)
        return command

    def apply(self, event: Event) -> Effect:
        was_over = isinstance(self.grant, Revoking | Revoked)
        effect = super().apply(event)
        if effect.to_revoke is not None:
            assert was_over
            self.tell(effect.to_revoke.token)
        return effect

    def conclude(self, flight: Flight, outcome: Outcome) -> None:
        is_late = isinstance(self.grants[flight.of], Revoking | Revoked)
        super().conclude(flight, outcome)
        if is_late and isinstance(outcome, TokenResponse):
            assert (outcome.refresh_token or outcome.access_token) in self.told

    def a_person_logs_in(self, _data: st.DataObject) -> None:
        response = self.provider.log_in(self.now)
        self.rescued.clear()
        self.apply(LoginCompleted(response=response, requested_at=self.now, read=self.grant))
        self.delivered = {str(response.refresh_token)} - self.told

    @invariant()
    def what_was_revoked_does_not_come_back(self) -> None:
        if self.revoked_until is not None and not isinstance(self.grant, Inactive):
            assert self.grant.tokens.authorized_at > self.revoked_until


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_no_token_of_a_revoked_grant_is_used_or_stored(kind: Kind) -> None:
    visited = visited_by(WithAnOwner, kind, examples=times(times(100)))
    assert visited >= {Authorized, Refreshing, Revoking, Revoked, RevocationRequest}
