"""docs/grant-states.svg: it shows the transitions of the domain, and no others."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from domain.events import Event, TokensAdopted
from domain.grant import Authorized, Grant
from domain.policy import Policy
from domain.question import Question
from tests import strategies
from tests.docs.diagram import ANY, DIAGRAM, FRAME, FRAMED, STATES, drawn, svg
from tests.docs.transitions import POLICIES, events_for, members, taken, transitions
from tests.domain.examples import TOKENS

FOUND = transitions()
NOW = datetime(2026, 6, 1, tzinfo=UTC)


def test_the_diagram_is_what_the_code_does() -> None:
    assert DIAGRAM.read_text() == svg(), "run: python -m tests.docs.diagram > docs/grant-states.svg"


def test_every_event_is_applied_and_every_state_is_reached() -> None:
    applied = {type(event) for _, event in events_for(Authorized(tokens=TOKENS), NOW)}
    assert applied == set(members(Question | Event)) - {TokensAdopted}
    assert {state for states in FOUND for state in states} == set(STATES)


@given(
    grant=strategies.proven,
    later=st.sampled_from([0, 1, 30, 61, 1800, 86_400 * 91]),
    policy=st.sampled_from(POLICIES),
)
def test_every_grant_takes_a_way_of_the_diagram(grant: Grant, later: int, policy: Policy) -> None:
    now = NOW + timedelta(seconds=later)
    for said, event in events_for(grant, now):
        after = taken(grant, event, policy, now)
        states = type(grant).__name__, type(after).__name__
        assert states[0] == states[1] or said in FOUND[states], (said, *states)


def test_a_shared_arrow_is_true_of_each_state() -> None:
    for (source, target), said in drawn(FOUND).items():
        sources = {ANY: STATES, FRAME: FRAMED}.get(source, (source,))
        assert all(said <= FOUND[each, target] for each in sources if each != target)
