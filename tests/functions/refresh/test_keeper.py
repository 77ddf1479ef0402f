"""The keeper's loop: what is stored before what, and what is shared between callers."""

import asyncio
from collections.abc import Awaitable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from adapters.store_memory import MemoryStore
from domain.commands import Answer, AskForAuthorization, NothingDue, Serve, TryLater, Wait
from domain.grant import Authorized, Cause, Failure, Grant, Refreshing
from domain.policy import Policy
from domain.provider import Rotation, RotationKind
from domain.token_endpoint import (
    Delivery,
    NoAnswer,
    Outcome,
    RefreshTokenRequest,
    TokenErrorResponse,
)
from functions.refresh import keeper as keeper_module
from functions.refresh import recorder as recorder_module
from functions.refresh.keeper import Keeper
from ports.authorization_server import AuthorizationServer
from ports.store import Record, StoreUnavailableError
from tests.domain.examples import POLICY, RESPONSE, SECOND
from tests.functions.keeper_rig import (
    EXPIRED,
    FRESH,
    NEAR_ITS_END,
    CountingStore,
    KeeperRig,
    answered,
)
from tests.records import record_of

pytestmark = pytest.mark.anyio


def ask(keeper: Keeper) -> Awaitable[Answer]:
    return keeper.token("c", min_ttl=timedelta(seconds=60))


def served(answer: Answer) -> str:
    assert isinstance(answer, Serve), answer
    return answer.tokens.access_token


async def bench_with(left: timedelta, *, by: Policy = POLICY) -> KeeperRig:
    """A rig whose connection `c` has an access token with so much time left."""
    rig = KeeperRig(by=by)
    await rig.keep(left)
    return rig


async def kept_refresh_token(rig: KeeperRig) -> str | None:
    grant = await rig.grant()
    assert isinstance(grant, Authorized)
    return grant.tokens.refresh_token


async def test_a_fresh_token_costs_one_round_trip_and_no_request() -> None:
    rig = await bench_with(FRESH)
    assert served(await ask(rig.instance())) == "access-7"
    assert (rig.store.loads, rig.store.etags, rig.server.requests) == (1, [], [])


async def test_a_refresh_costs_three_round_trips_and_one_request_for_any_number_of_callers() -> (
    None
):
    rig = await bench_with(EXPIRED)
    keeper = rig.instance()
    answers = await asyncio.gather(*(ask(keeper) for _ in range(200)))
    assert {served(answer) for answer in answers} == {"access-8"}
    assert (rig.store.loads, len(rig.store.etags)) == (1, 2)
    assert rig.server.requests == [RefreshTokenRequest(refresh_token="refresh-7")]


async def test_checklist_47_the_intent_is_stored_before_anything_is_sent() -> None:
    rig = await bench_with(EXPIRED)
    seen: list[Grant] = []

    async def reply() -> Outcome:
        seen.append(await rig.grant())
        return RESPONSE

    rig.server.reply = reply
    await ask(rig.instance())
    assert isinstance(seen[0], Refreshing)


async def test_checklist_47_the_answer_is_stored_before_it_is_served() -> None:
    rig = await bench_with(EXPIRED)
    answer = await ask(rig.instance())
    grant = await rig.grant()
    assert isinstance(grant, Authorized)
    assert grant.tokens.access_token == served(answer) == "access-8"


async def test_near_its_end_a_token_is_served_to_all_while_one_attempt_replaces_it() -> None:
    rig = await bench_with(NEAR_ITS_END)
    _, may_answer = rig.server.hold()
    keeper = rig.instance()
    answers = await asyncio.gather(*(ask(keeper) for _ in range(50)))
    assert {served(answer) for answer in answers} == {"access-7"}
    may_answer.set()
    await keeper.finish()
    assert served(await ask(keeper)) == "access-8"
    assert len(rig.server.requests) == 1


async def test_caller_that_read_the_record_before_an_attempt_began_does_not_wait_for_it() -> None:
    rig = await bench_with(NEAR_ITS_END)
    load, swap = rig.store.load, rig.store.swap
    swaps, may_swap = asyncio.Event(), asyncio.Event()
    has_read, may_return = asyncio.Event(), asyncio.Event()

    async def slow_swap(*args: Any, **change: Any) -> None:
        swaps.set()
        await may_swap.wait()
        await swap(*args, **change)

    async def slow_load(connection: str) -> Record:
        record = await load(connection)
        has_read.set()
        await may_return.wait()
        return record

    _, may_answer = rig.server.hold()
    rig.store.swap = slow_swap  # type: ignore[method-assign]
    keeper = rig.instance()
    first = asyncio.ensure_future(ask(keeper))
    await swaps.wait()
    rig.store.load = slow_load  # type: ignore[method-assign]
    second = asyncio.ensure_future(ask(keeper))
    await has_read.wait()
    may_swap.set()
    assert served(await first) == "access-7"
    may_return.set()
    assert served(await second) == "access-7"
    assert not may_answer.is_set()
    may_answer.set()
    await keeper.finish()
    assert len(rig.server.requests) == 1


async def test_a_caller_that_goes_away_does_not_take_the_attempt_with_it() -> None:
    rig = await bench_with(EXPIRED)
    is_sent, may_answer = rig.server.hold()
    keeper = rig.instance()
    caller = asyncio.ensure_future(ask(keeper))
    await is_sent.wait()
    caller.cancel()
    may_answer.set()
    await keeper.finish()
    assert await kept_refresh_token(rig) == "refresh-8"


async def test_checklist_46_instances_that_meet_at_the_same_record_make_one_request() -> None:
    rig = await bench_with(EXPIRED)

    async def reply() -> Outcome:
        await asyncio.sleep(0.01)
        return RESPONSE

    rig.server.reply = reply
    keepers = [rig.instance() for _ in range(10)]
    answers = await asyncio.gather(*(ask(keeper) for keeper in keepers for _ in range(5)))
    assert {served(answer) for answer in answers} == {"access-8"}
    assert len(rig.server.requests) == 1


async def test_wait_for_another_instance_survives_one_failure_of_the_store() -> None:
    class FailingOnce(CountingStore):
        async def load(self, connection: str) -> Record:
            found = await super().load(connection)
            # Each instance has read the record by then; this is the first look.
            if self.loads == 3:
                raise StoreUnavailableError("planned")
            return found

    rig = KeeperRig()
    rig.store = FailingOnce()
    await rig.keep(EXPIRED)
    _, may_answer = rig.server.hold()
    one = asyncio.ensure_future(ask(rig.instance()))
    while not rig.server.requests:  # noqa: ASYNC110 - the keeper has no event for it
        await asyncio.sleep(0)
    other = asyncio.ensure_future(ask(rig.instance()))
    while rig.store.loads < 4 and not other.done():  # noqa: ASYNC110 - the same
        await asyncio.sleep(0.01)
    may_answer.set()
    assert served(await one) == served(await other) == "access-8"


async def test_caller_that_waits_too_long_is_answered_and_the_attempt_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(keeper_module, "PATIENCE", timedelta(seconds=0.05))

    rig = await bench_with(EXPIRED)
    _, may_answer = rig.server.hold()
    mine, other = rig.instance(), rig.instance()
    assert isinstance(await ask(mine), Wait)
    assert isinstance(await ask(other), Wait)
    may_answer.set()
    await mine.finish()
    assert served(await ask(other)) == "access-8"
    assert len(rig.server.requests) == 1


async def test_unsent_request_is_sent_again_within_the_same_call() -> None:
    rig = await bench_with(EXPIRED)
    rig.server.answer(NoAnswer(delivery=Delivery.NOT_SENT, reason="planned"), RESPONSE)
    assert served(await ask(rig.instance())) == "access-8"


async def test_a_provider_that_stays_away_is_asked_twice_and_then_left_alone() -> None:
    rig = await bench_with(EXPIRED)
    rig.server.answer(NoAnswer(delivery=Delivery.NOT_SENT, reason="planned"))
    keeper = rig.instance()
    answers = [await ask(keeper) for _ in range(20)]
    assert {type(answer) for answer in answers} == {TryLater}
    assert len(rig.server.requests) == 2


async def test_an_instance_that_stalled_before_sending_does_not_send() -> None:
    rig = KeeperRig(by=replace(POLICY, send_within=timedelta(seconds=-1)))
    await rig.keep(EXPIRED)
    answer = await ask(rig.instance())
    assert isinstance(answer, TryLater)
    assert answer.failure is Failure.NOT_SENT
    assert rig.server.requests == []


class MovedClock:
    """A clock that a slow store moves on."""

    def __init__(self) -> None:
        self.ahead = timedelta(0)

    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead


class SlowDisk(CountingStore):
    """A store that writes one after the other, and takes a second for each."""

    def __init__(self, clock: MovedClock) -> None:
        super().__init__()
        self._clock = clock
        self._disk = asyncio.Lock()

    async def swap(self, connection: str, record: Record, *, expected_etag: str | None) -> None:
        async with self._disk:
            self._clock.ahead += timedelta(seconds=1)
            await asyncio.sleep(0)
            await super().swap(connection, record, expected_etag=expected_etag)


async def test_many_intents_are_stored_in_time_for_their_requests(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(keeper_module, "MAX_CONCURRENT_INTENTS", 2)

    clock, rig = MovedClock(), KeeperRig()
    rig.store = SlowDisk(clock)
    names = [f"c{number}" for number in range(8)]
    for name in names:
        await rig.keep(EXPIRED, name)
    keeper = rig.instance(clock=clock)
    answers = await asyncio.gather(
        *(keeper.token(name, min_ttl=timedelta(seconds=60)) for name in names)
    )
    assert {served(answer) for answer in answers} == {"access-8"}
    # An intent and an answer each: none was stored and not sent.
    assert len(rig.store.etags) == 2 * len(names)


async def test_caller_with_a_late_turn_is_asked_to_wait_and_still_refreshed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(keeper_module, "MAX_CONCURRENT_INTENTS", 1)
    monkeypatch.setattr(keeper_module, "PATIENCE", timedelta(seconds=0.05))

    rig = KeeperRig()
    await rig.keep(EXPIRED, "first")
    await rig.keep(EXPIRED)
    await rig.keep(NEAR_ITS_END, "near")
    swap, may_swap = rig.store.swap, asyncio.Event()

    async def held(*args: Any, **change: Any) -> None:
        await may_swap.wait()
        await swap(*args, **change)

    monkeypatch.setattr(rig.store, "swap", held)
    keeper = rig.instance()
    first = asyncio.ensure_future(keeper.token("first", min_ttl=timedelta(0)))
    assert isinstance(await asyncio.wait_for(ask(keeper), 60), Wait)
    # A valid token does not wait at all.
    near = keeper.token("near", min_ttl=timedelta(0))
    assert served(await asyncio.wait_for(near, 60)) == "access-7"
    may_swap.set()
    await first
    await keeper.finish()
    assert served(await ask(keeper)) == "access-8"
    assert served(await keeper.token("near", min_ttl=timedelta(0))) == "access-8"
    assert len(rig.server.requests) == 3


async def test_an_instance_that_has_nothing_to_send_with_did_not_send(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def without_authorities() -> AuthorizationServer:
        raise FileNotFoundError("no certificate authorities")

    rig = await bench_with(EXPIRED)
    answer = await ask(rig.instance(without_authorities))
    assert isinstance(answer, TryLater)
    assert answer.failure is Failure.NOT_SENT
    assert "no certificate authorities" in caplog.text


async def test_that_a_person_has_to_log_in_is_logged_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    rig = await bench_with(EXPIRED)
    rig.server.answer(TokenErrorResponse(status=400, error="invalid_grant"))
    keeper = rig.instance()
    answers = await asyncio.gather(*(ask(keeper) for _ in range(3)))
    answers.append(await ask(keeper))
    rejected = AskForAuthorization(cause=Cause.REFRESH_TOKEN_REJECTED, quote="invalid_grant")
    assert answers == [rejected] * 4
    warnings = [record.message for record in caplog.records if record.levelname == "WARNING"]
    assert warnings == [
        "connection c: a person has to log in: refresh-token-rejected",
        (
            "connection c: refresh failed: api.digikey.com answered 400 (invalid_grant); "
            "login required"
        ),
    ]


@pytest.mark.parametrize("applies", [True, False])
async def test_a_store_that_fails_once_is_asked_again_with_the_same_etag(
    monkeypatch: pytest.MonkeyPatch, *, applies: bool
) -> None:
    monkeypatch.setattr(recorder_module, "SWAP_RETRIES", (timedelta(0),))

    rig = await bench_with(EXPIRED)
    rig.store.failing_swaps = {1, 3}
    rig.store.applies_failing_swaps = applies
    assert served(await ask(rig.instance())) == "access-8"
    intent, intent_again, answer, answer_again = rig.store.etags
    assert intent == intent_again != answer == answer_again
    assert len(rig.server.requests) == 1


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        pytest.param(StoreUnavailableError("planned"), "planned", id="store"),
        pytest.param(RuntimeError("a fault of our own"), "RuntimeError", id="other"),
    ],
)
async def test_tokens_that_the_store_does_not_take_are_served_and_rescued(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    fault: Exception,
    reason: str,
) -> None:
    monkeypatch.setattr(recorder_module, "SWAP_RETRIES", (timedelta(0),))
    monkeypatch.setattr(recorder_module, "LATE_RETRIES", ())

    rig = await bench_with(EXPIRED)
    rig.store.failing_swaps = {2, 3}
    rig.store.fault = fault
    assert served(await ask(rig.instance())) == "access-8"
    assert isinstance(await rig.grant(), Refreshing)
    (rescued,) = rig.rescue.emitted
    assert rescued.connection == "c"
    assert rescued.expected_etag == rig.store.etags[0]
    assert rescued.record.etag == rig.store.etags[-1]
    assert isinstance(rescued.record.grant, Authorized)
    assert rescued.record.grant.tokens.refresh_token == "refresh-8"
    assert "could not be stored" in caplog.text
    assert f"the write is retried ({reason})" in caplog.text
    assert ("a fault of our own" in caplog.text) is isinstance(fault, RuntimeError)
    assert "access-8" not in caplog.text
    assert "refresh-8" not in caplog.text


@pytest.mark.parametrize(
    ("outcome", "is_answered"),
    [
        pytest.param(RESPONSE, False, id="new tokens"),
        pytest.param(TokenErrorResponse(status=503, error=None), True, id="a failure"),
    ],
)
async def test_unstored_tokens_are_not_served_if_their_use_ends_the_old_refresh_token(
    monkeypatch: pytest.MonkeyPatch, outcome: Outcome, *, is_answered: bool
) -> None:
    monkeypatch.setattr(recorder_module, "SWAP_RETRIES", ())
    monkeypatch.setattr(recorder_module, "LATE_RETRIES", (timedelta(0),) * 5)
    rotation = Rotation(kind=RotationKind.ALWAYS, grace=timedelta(hours=1), until_used=True)
    rig = await bench_with(
        EXPIRED, by=replace(POLICY, provider=replace(POLICY.provider, rotation=rotation))
    )
    rig.server.answer(outcome)
    rig.store.failing_swaps = {2, 3, 4}
    keeper = rig.instance()
    if is_answered:
        assert isinstance(await ask(keeper), TryLater)
        return
    with pytest.raises(StoreUnavailableError):
        await ask(keeper)
    # The store gets them later, and callers from there.
    await keeper.finish()
    assert len(rig.rescue.emitted) == 1
    assert served(await ask(keeper)) == "access-8"
    assert len(rig.server.requests) == 1


async def test_tokens_that_the_store_did_not_take_are_brought_to_it_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(recorder_module, "SWAP_RETRIES", ())
    monkeypatch.setattr(recorder_module, "LATE_RETRIES", (timedelta(0),) * 5)

    rig = await bench_with(EXPIRED)
    rig.store.failing_swaps = {2, 3, 4}
    keeper = rig.instance()
    assert served(await ask(keeper)) == "access-8"
    await keeper.finish()
    assert await kept_refresh_token(rig) == "refresh-8"
    assert len(rig.rescue.emitted) == 1


async def test_an_instance_that_was_frozen_waits_for_its_own_attempt_before_it_makes_another() -> (
    None
):
    rig = await bench_with(EXPIRED)
    unknown = NoAnswer(delivery=Delivery.UNKNOWN, reason="planned")
    first_is_sent, first_may_answer = rig.server.hold(unknown)
    keeper = rig.instance()
    one = asyncio.ensure_future(ask(keeper))
    await first_is_sent.wait()
    await age_the_attempt(rig, timedelta(seconds=61))
    rig.server.reply = answered
    two = asyncio.ensure_future(ask(keeper))
    await asyncio.sleep(0.05)
    assert len(rig.server.requests) == 1
    first_may_answer.set()
    assert served(await one) == served(await two) == "access-8"
    assert len(rig.server.requests) == 2


async def test_nothing_is_sent_while_the_intent_cannot_be_stored(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(recorder_module, "SWAP_RETRIES", (timedelta(0),))

    rig = await bench_with(EXPIRED)
    rig.store.failing_swaps = {1, 2}
    with pytest.raises(StoreUnavailableError):
        await ask(rig.instance())
    assert rig.server.requests == []


async def test_a_late_answer_is_kept_over_a_second_attempt_that_is_in_flight() -> None:
    rig = KeeperRig(by=replace(POLICY, lease=36 * SECOND))
    await rig.keep(EXPIRED)
    second_is_sent = asyncio.Event()

    async def second() -> Outcome:
        second_is_sent.set()
        await asyncio.wait({one})
        return NoAnswer(delivery=Delivery.UNKNOWN, reason="planned")

    first_is_sent, first_may_answer = rig.server.hold()
    stalled = rig.instance()
    one = asyncio.ensure_future(ask(stalled))
    await first_is_sent.wait()
    await age_the_attempt(rig, timedelta(seconds=37))
    rig.server.reply = second
    other = asyncio.ensure_future(ask(rig.instance()))
    await second_is_sent.wait()
    first_may_answer.set()
    assert served(await one) == served(await other) == "access-8"
    assert await kept_refresh_token(rig) == RESPONSE.refresh_token


async def age_the_attempt(rig: KeeperRig, by: timedelta) -> None:
    """Let a lease run out, as if its instance had stalled for that long."""
    record = await MemoryStore.load(rig.store, "c")
    assert isinstance(record.grant, Refreshing)
    attempt = record.grant.attempt
    older = replace(attempt, started_at=attempt.started_at - by)
    await MemoryStore.swap(
        rig.store,
        "c",
        record_of(replace(record.grant, attempt=older), "aged"),
        expected_etag=record.etag,
    )


async def test_a_requested_refresh_is_made_once_for_concurrent_callers() -> None:
    rig = await bench_with(FRESH)
    first, second = rig.instance(), rig.instance()
    answers = await asyncio.gather(*(keeper.refresh("c") for keeper in [first, second] * 20))
    assert {served(one.answer) for one in answers} == {"access-8"}
    assert all(one.is_refreshed for one in answers)
    assert len(rig.server.requests) == 1
    again = await first.refresh("c")
    assert (served(again.answer), again.is_refreshed) == ("access-8", False)
    assert len(rig.server.requests) == 1


async def test_connection_that_is_not_due_is_left_alone() -> None:
    rig = await bench_with(EXPIRED)
    found = await rig.instance().refresh_if_due("c")
    assert (found.answer, found.is_refreshed) == (NothingDue(), False)
    assert (rig.store.etags, rig.server.requests) == ([], [])


async def test_a_client_that_fails_unexpectedly_leaves_an_unknown_outcome_and_a_line_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def reply() -> Outcome:
        raise RuntimeError("a fault of our own")

    rig = KeeperRig(reply)
    await rig.keep(EXPIRED)
    answer = await ask(rig.instance())
    assert isinstance(answer, TryLater)
    assert answer.failure is Failure.UNKNOWN
    assert isinstance(await rig.grant(), Authorized)
    assert "a fault of our own" in caplog.text


class LeapingClock:
    """A clock that is set by so much while the provider answers."""

    def __init__(self) -> None:
        self.ahead = timedelta(0)

    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead


@pytest.mark.parametrize(
    ("outcome", "clock_leaps", "is_kept"),
    [
        pytest.param(RESPONSE, timedelta(0), True, id="tokens"),
        pytest.param(RESPONSE, timedelta(seconds=-9), False, id="clock-set-back"),
        pytest.param(RESPONSE, timedelta(seconds=39), False, id="clock-set-forward"),
        pytest.param(TokenErrorResponse(status=503, error=None), timedelta(0), False, id="error"),
        pytest.param(
            NoAnswer(delivery=Delivery.UNKNOWN, reason="planned"), timedelta(0), False, id="none"
        ),
    ],
)
async def test_time_of_a_refresh_that_brings_tokens_is_kept_with_the_grant(
    outcome: Outcome, clock_leaps: timedelta, *, is_kept: bool
) -> None:
    rig, clock = await bench_with(EXPIRED), LeapingClock()

    async def reply() -> Outcome:
        clock.ahead = clock_leaps
        return outcome

    rig.server.reply = reply
    await ask(rig.instance(clock=clock))
    times = (await MemoryStore.load(rig.store, "c")).refresh_times
    assert len(times) == is_kept
    assert all(timedelta(0) < each < POLICY.request_timeout for each in times)


async def test_time_until_the_store_is_back_is_not_that_of_a_refresh(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(recorder_module, "SWAP_RETRIES", ())
    monkeypatch.setattr(recorder_module, "LATE_RETRIES", (timedelta(0),) * 5)
    rig = await bench_with(EXPIRED)
    rig.store.failing_swaps = {2}
    keeper = rig.instance()
    await ask(keeper)
    await keeper.finish()
    record = await MemoryStore.load(rig.store, "c")
    assert isinstance(record.grant, Authorized)
    assert record.refresh_times == ()
