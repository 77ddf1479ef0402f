"""A grant moves between deployments, on every path: never two of them use it, and it is not lost.

Files are carried to and fro, late, twice, and to where they came from, while all else happens
that may happen to a grant.
"""

from functools import partial
from typing import ClassVar

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import invariant

from domain.commands import ReportMoved, SendTokenRequest, Serve
from domain.decide import decide
from domain.events import GrantArrived, MoveRequested, ReturnRequested
from domain.grant import Authorized, Inactive, Moved, Refreshing, Unauthorized
from domain.question import TokenRequested
from tests.domain.provider_model import Kind
from tests.domain.test_properties import KINDS, Step, World, visited_by
from tests.thorough import times

# So many files are about at a time: the older ones have been lost.
FILES = 4


class TwoDeployments(World):
    """The machine, with a second deployment and an owner who moves the grant."""

    deployments: ClassVar[int] = 2

    def __init__(self) -> None:
        super().__init__()
        self.files: list[Moved] = []

    def steps(self) -> list[Step]:
        del self.files[:-FILES]
        return [*super().steps(), *self.owners_steps(), *self.steps_of_attempts() * 3]

    def owners_steps(self) -> list[Step]:
        steps: list[Step] = [self.one_turns_to_the_other_deployment]
        steps += [partial(self.it_arrives, file) for file in self.files]
        if not isinstance(self.grant, Inactive):
            steps += [self.it_is_handed_over] * 2
        if isinstance(self.grant, Authorized):
            steps += [self.an_instance_stalls_with_an_answer]
        if self.may_be_taken_back():
            steps += [self.it_is_taken_back]
        return steps

    def a_person_logs_in(self, data: st.DataObject) -> None:
        # Two logins at the same instant are one.
        if self.now > max(age for age, _ in self.oldest) or self.grants == [Unauthorized()] * 2:
            super().a_person_logs_in(data)

    def one_turns_to_the_other_deployment(self, _data: st.DataObject) -> None:
        self.here = 1 - self.here

    def an_instance_stalls_with_an_answer(self, data: st.DataObject) -> None:
        """Make a rare case frequent: the one that late answers come from."""
        assert isinstance(self.grant, Authorized)
        ends = [self.grant.tokens.expires_at]
        ends += [self.grant.failure_state.retry_at] if self.grant.failure_state else []
        self.now = max(self.now, *(end for end in ends if end is not None))
        begun = decide(self.grant, TokenRequested(attempt_id=self.new_id()), self.policy, self.now)
        if isinstance(begun.command, SendTokenRequest):
            self.grants[self.here] = begun.grant
            self.take_off(begun.command, stalls=False)
            self.it_lands(self.flights[-1], data)
            if data.draw(st.booleans()):
                self.it_is_handed_over(data)

    def it_is_handed_over(self, data: st.DataObject) -> None:
        if isinstance(self.grant, Refreshing) and data.draw(st.booleans()):
            # The owner waits until the attempt cannot be in flight any more.
            self.now = max(self.now, self.policy.lease_end(self.grant.attempt))
        self.apply(MoveRequested())
        if isinstance(self.grant, Moved):
            self.files.append(self.grant)
        else:
            assert isinstance(self.grant, Refreshing)

    def it_arrives(self, file: Moved, _data: st.DataObject) -> None:
        self.apply(GrantArrived(moved=file, ledger=()))

    def may_be_taken_back(self) -> bool:
        """Whether the owner may say that nobody has taken it."""
        there = self.grants[1 - self.here]
        if not isinstance(self.grant, Moved) or not isinstance(there, Inactive | Moved):
            return False
        return isinstance(there, Inactive) or there.since < self.grant.since

    def it_is_taken_back(self, _data: st.DataObject) -> None:
        self.files.clear()
        self.apply(ReturnRequested())

    @invariant()
    def of_each_login_one_deployment_has_the_use(self) -> None:
        users = [
            grant.tokens.authorized_at
            for grant in self.grants
            if not isinstance(grant, Inactive | Moved)
        ]
        assert len(set(users)) == len(users)


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_every_promise_is_kept_while_a_grant_moves(kind: Kind) -> None:
    visited = visited_by(TwoDeployments, kind, examples=times(times(100)))
    assert visited >= {Moved, Authorized, Refreshing, ReportMoved, Serve, SendTokenRequest}
