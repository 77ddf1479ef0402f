"""Adoptions on several instances, and over a store that fails."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from adapters.clock_system import SystemClock
from domain.commands import Serve
from domain.events import TokensRescued
from domain.grant import Adopting, Authorized, Cause, Failure, Refreshing
from domain.ledger import DONE, TOKENS, Entry, HistoryEvent, Ledger
from domain.provider import Rotation, RotationKind
from functions.http.problems import ProblemError
from functions.login.adopted_body import AdoptedBody
from functions.login.adoptions import Adoptions, _refusal
from functions.refresh.keeper import Keeper
from ports.store import StoreUnavailableError
from tests.domain.examples import POLICY, RESPONSE, T0
from tests.functions.keeper_rig import FRESH, KeeperRig

pytestmark = pytest.mark.anyio
BODY = AdoptedBody(refresh_token="from-elsewhere")
CALLERS = 20


def adoptions(rig: KeeperRig, keeper: Keeper | None = None) -> Adoptions:
    keeper = keeper or rig.instance()
    return Adoptions(
        keeper=keeper,
        recorder=rig.recorder_of(keeper),
        clock=SystemClock(),
        policy=rig.policy,
        subject_of=lambda _: None,
    )


async def test_callers_of_several_instances_share_one_adoption() -> None:
    rig = KeeperRig()
    await rig.keep(FRESH)
    instances = [adoptions(rig) for _ in range(3)]
    results = await asyncio.gather(
        *(instances[n % 3].adopt("c", BODY, replaces=True) for n in range(CALLERS))
    )
    assert {type(result.answer) for result in results} == {Serve}
    assert len(rig.server.requests) == 1
    assert (await rig.tokens("c")).access_token == RESPONSE.access_token


async def test_two_tokens_at_once_leave_one_of_them_and_use_no_other() -> None:
    rig = KeeperRig()
    is_sent, may_answer = rig.server.hold()
    first = asyncio.create_task(adoptions(rig).adopt("c", BODY, replaces=True))
    await is_sent.wait()
    other = AdoptedBody(refresh_token="another")
    with pytest.raises(ProblemError) as refused:
        await adoptions(rig).adopt("c", other, replaces=True)
    assert refused.value.problem.name == "refresh-in-progress"
    with pytest.raises(ProblemError) as refused:
        await adoptions(rig).adopt("c", other, replaces=False)
    assert refused.value.problem.name == "connection-in-use"
    may_answer.set()
    assert isinstance((await first).answer, Serve)
    assert len(rig.server.requests) == 1


async def test_nothing_is_sent_if_the_token_cannot_be_stored() -> None:
    rig = KeeperRig()
    await rig.keep(FRESH)
    before = await rig.grant()
    rig.store.failing_swaps = set(range(1, 10))
    with pytest.raises(StoreUnavailableError):
        await adoptions(rig).adopt("c", BODY, replaces=True)
    assert (rig.server.requests, await rig.grant()) == ([], before)
    # The caller has the token.
    assert rig.rescue.emitted == []


async def test_tokens_that_the_store_does_not_take_are_rescued_and_prove_the_adoption() -> None:
    rig = KeeperRig()
    await rig.keep(FRESH)
    earlier = await rig.grant()
    # The token and the intent are stored.
    rig.store.failing_swaps = set(range(3, 20))
    keeper = rig.instance()
    result = await adoptions(rig, keeper).adopt("c", BODY, replaces=True)
    assert isinstance(result.answer, Serve)
    left = await rig.grant()
    assert isinstance(left, Adopting)
    assert left.earlier == earlier
    rig.store.failing_swaps = set()
    (rescued,) = rig.rescue.emitted
    assert isinstance(rescued.record.grant, Authorized)
    another = rig.instance()
    event = TokensRescued(tokens=rescued.record.grant.tokens)
    await rig.recorder_of(another).keep("c", await another.load("c"), event)
    assert await rig.grant() == rescued.record.grant


async def test_tokens_whose_use_ends_the_window_are_not_served_unstored() -> None:
    rig = KeeperRig()
    await rig.keep(FRESH)
    rotation = Rotation(kind=RotationKind.ALWAYS, grace=timedelta(hours=1), until_used=True)
    earlier = await rig.grant()
    rig.policy = replace(POLICY, provider=replace(POLICY.provider, rotation=rotation))
    rig.store.failing_swaps = set(range(3, 20))
    with pytest.raises(StoreUnavailableError):
        await adoptions(rig, rig.instance()).adopt("c", BODY, replaces=True)
    (rescued,) = rig.rescue.emitted
    assert isinstance(rescued.record.grant, Authorized)
    left = await rig.grant()
    assert isinstance(left, Adopting)
    assert left.earlier == earlier


async def test_a_frozen_instance_finds_its_token_proven_by_another() -> None:
    rig = KeeperRig()
    is_sent, may_answer = rig.server.hold()
    frozen = asyncio.create_task(adoptions(rig).adopt("c", BODY, replaces=False))
    await is_sent.wait()
    grant = await rig.grant()
    assert isinstance(grant, Adopting)
    proof = grant.grant
    assert isinstance(proof, Refreshing)
    started_at = proof.attempt.started_at - timedelta(minutes=2)
    proof = replace(proof, attempt=replace(proof.attempt, started_at=started_at))
    lapsed = replace(grant, grant=proof)
    record = await rig.store.load("c")
    await rig.store.swap(
        "c", replace(record, grant=lapsed, etag="later"), expected_etag=record.etag
    )
    rig.server.answer(RESPONSE)
    result = await adoptions(rig).adopt("c", BODY, replaces=False)
    assert isinstance(result.answer, Serve)
    may_answer.set()
    assert isinstance((await frozen).answer, Serve)
    assert (await rig.tokens("c")).generation == 1


def event(event: HistoryEvent, outcome: str = DONE) -> Entry:
    return Entry(at=T0, event=event, generation=1, key_name=None, outcome=outcome)


ADOPTED, LOGIN = event(HistoryEvent.ADOPTED), event(HistoryEvent.LOGIN, TOKENS)
REFUSED = event(HistoryEvent.ADOPTION_REFUSED, Cause.REFRESH_TOKEN_REJECTED.value)
FAILED = event(HistoryEvent.REFRESH_FAILED, Failure.UNAVAILABLE.value)


@pytest.mark.parametrize(
    ("before", "later", "expected"),
    [
        pytest.param((ADOPTED,), (REFUSED,), "adoption-refused", id="refused"),
        pytest.param((ADOPTED,), (FAILED, REFUSED), "adoption-refused", id="after a failure"),
        pytest.param((ADOPTED,), (REFUSED, LOGIN), "adoption-refused", id="then a login"),
        pytest.param((ADOPTED,), (LOGIN,), "connection-in-use", id="a login"),
        pytest.param((ADOPTED,), (ADOPTED, REFUSED), "connection-in-use", id="another is refused"),
        pytest.param((ADOPTED, ADOPTED), (REFUSED,), "adoption-refused", id="over another"),
    ],
)
def test_a_refusal_is_not_that_of_another_adoption(
    before: Ledger, later: Ledger, expected: str
) -> None:
    assert _refusal((*before, *later), before).problem.name == expected


def test_of_a_forgotten_adoption_the_newest_event_counts() -> None:
    assert _refusal((LOGIN, REFUSED), (ADOPTED,)).problem.name == "adoption-refused"


def test_tokens_that_were_proven_before_were_not_refused() -> None:
    assert _refusal((ADOPTED, REFUSED), None).problem.name == "connection-in-use"
