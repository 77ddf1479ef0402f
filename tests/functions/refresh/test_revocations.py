"""A revocation while others work on the same connection: nothing comes back, all tokens end."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from unittest.mock import ANY

import pytest

from adapters.store_memory import MemoryStore
from domain.commands import AskForAuthorization
from domain.events import TokensRescued
from domain.grant import Cause, Grant, Revoked, Revoking
from domain.token_endpoint import (
    Delivery,
    NoAnswer,
    Outcome,
    RevocationOutcome,
    RevocationRequest,
    RevocationResult,
    TokenErrorResponse,
)
from functions.refresh import revocations as revocations_module
from functions.refresh.sweep import SweepReport
from ports.store import StoreUnavailableError
from tests.domain.examples import MINUTE, RESPONSE, SECOND, UNAVAILABLE
from tests.functions.keeper_rig import (
    EXPIRED,
    FRESH,
    KeeperRig,
    ScriptedServer,
    answered,
    tokens_with,
)
from tests.records import record_of

pytestmark = pytest.mark.anyio

DONE = RevocationResult.REVOKED
FAILED = RevocationResult.FAILED
LOGIN_REQUIRED = AskForAuthorization(cause=Cause.REVOKED)


class RevocationServer(ScriptedServer):
    """A revocation endpoint with these outcomes; `before` runs before each of them."""

    def __init__(
        self, *outcomes: RevocationOutcome, before: Callable[[], Awaitable[None]] | None = None
    ) -> None:
        super().__init__(answered)
        self.outcomes = list(outcomes)
        self.before = before

    async def revoke_token(self, request: RevocationRequest) -> RevocationOutcome:
        if self.before is not None:
            await self.before()
        if self.outcomes:
            self.revocation = self.outcomes.pop(0)
        return await super().revoke_token(request)


def revoked_tokens(rig: KeeperRig) -> list[str]:
    return [request.token for request in rig.server.revoked]


async def revoke(rig: KeeperRig) -> object:
    return await rig.revocations(rig.instance()).revoke("c")


@pytest.fixture
async def rig() -> KeeperRig:
    """A rig with a fresh token."""
    rig = KeeperRig()
    await rig.keep(FRESH)
    return rig


async def test_revocation_costs_three_round_trips_and_one_request(rig: KeeperRig) -> None:
    assert await revoke(rig) == DONE
    assert (rig.store.loads, len(rig.store.etags)) == (1, 2)
    assert revoked_tokens(rig) == ["refresh-7"]


async def test_grant_is_fenced_off_before_the_request_to_the_provider(rig: KeeperRig) -> None:
    seen: list[Grant] = []

    async def look() -> None:
        seen.append(await rig.grant())

    rig.server = RevocationServer(before=look)
    await revoke(rig)
    assert [type(grant) for grant in seen] == [Revoking]
    assert isinstance(await rig.grant(), Revoked)


async def test_answer_to_a_refresh_in_flight_is_revoked_too_and_returned_to_nobody() -> None:
    rig = KeeperRig()
    await rig.keep(EXPIRED)
    is_asked, may_answer = asyncio.Event(), asyncio.Event()

    async def reply() -> Outcome:
        is_asked.set()
        await may_answer.wait()
        return RESPONSE

    rig.server.reply = reply
    keeper = rig.instance()
    asking = asyncio.create_task(keeper.token("c", min_ttl=SECOND))
    await is_asked.wait()
    assert await revoke(rig) == DONE
    may_answer.set()
    assert await asking == LOGIN_REQUIRED
    await keeper.finish()
    assert revoked_tokens(rig) == ["refresh-7", "refresh-8"]
    assert isinstance(await rig.grant(), Revoked)


async def test_earlier_rescue_line_restores_nothing_and_its_token_is_revoked(
    rig: KeeperRig,
) -> None:
    keeper = rig.instance()
    await rig.revocations(keeper).revoke("c")
    before = await keeper.load("c")
    rescued = TokensRescued(tokens=tokens_with(FRESH))
    assert await rig.recorder_of(keeper).keep("c", before, rescued) == before
    await keeper.finish()
    assert revoked_tokens(rig) == ["refresh-7", "refresh-7"]


async def test_concurrent_revocations_all_return_the_result(rig: KeeperRig) -> None:
    assert set(await asyncio.gather(*(revoke(rig) for _ in range(20)))) == {DONE}
    assert set(revoked_tokens(rig)) == {"refresh-7"}


async def interrupted(rig: KeeperRig) -> None:
    """Revoke; the fence is stored, and the answer of the provider is not."""
    rig.store.failing_swaps = {2, 3, 4, 5}
    with pytest.raises(StoreUnavailableError):
        await revoke(rig)
    assert isinstance(await rig.grant(), Revoking)


async def test_interrupted_revocation_is_continued_by_the_next_call(rig: KeeperRig) -> None:
    await interrupted(rig)
    assert await rig.instance().token("c", min_ttl=SECOND) == LOGIN_REQUIRED
    assert await revoke(rig) == DONE
    assert isinstance(await rig.grant(), Revoked)


async def test_interrupted_revocation_is_continued_by_the_sweep(rig: KeeperRig) -> None:
    await interrupted(rig)
    for skipped in (1, 0):
        assert await rig.sweep().run() == SweepReport(
            refreshed=0, skipped=skipped, failed=0, is_complete=True
        )
        assert await rig.grant() == Revoked(at=ANY, result=RevocationResult.REVOKED)


async def test_login_meanwhile_stays_and_the_result_is_that_of_the_revoked_grant(
    rig: KeeperRig,
) -> None:
    login = await rig.grant()

    async def log_in() -> None:
        there = await MemoryStore.load(rig.store, "c")
        record = record_of(login, "login")
        await MemoryStore.swap(rig.store, "c", record, expected_etag=there.etag)

    rig.server = RevocationServer(before=log_in)
    assert await revoke(rig) == DONE
    assert await rig.grant() == login


@pytest.mark.parametrize(
    "outcome",
    [
        NoAnswer(delivery=Delivery.UNKNOWN, reason="planned"),
        NoAnswer(delivery=Delivery.NOT_SENT, reason="planned"),
        UNAVAILABLE,
        TokenErrorResponse(status=503, error=None, retry_after=SECOND / 1000),
    ],
    ids=["unknown", "not-sent", "unavailable", "retry-after"],
)
async def test_provider_is_asked_again_within_the_budget(
    rig: KeeperRig, monkeypatch: pytest.MonkeyPatch, outcome: RevocationOutcome
) -> None:
    monkeypatch.setattr(revocations_module, "FIRST_PAUSE", SECOND / 1000)
    monkeypatch.setattr(revocations_module, "BUDGET", 10 * MINUTE)
    rig.server = RevocationServer(outcome, outcome, RevocationResult.REVOKED)
    assert await revoke(rig) == DONE
    assert len(revoked_tokens(rig)) == 3


@pytest.mark.parametrize(
    ("retry_after", "first_pause"),
    [(timedelta(hours=2), SECOND), (None, timedelta(hours=2))],
    ids=["the provider's", "ours"],
)
async def test_pause_beyond_the_budget_is_not_waited_for(
    rig: KeeperRig,
    monkeypatch: pytest.MonkeyPatch,
    retry_after: timedelta | None,
    first_pause: timedelta,
) -> None:
    monkeypatch.setattr(revocations_module, "FIRST_PAUSE", first_pause)
    monkeypatch.setattr(revocations_module, "BUDGET", timedelta(hours=1))
    rig.server.revocation = replace(UNAVAILABLE, retry_after=retry_after)
    # A test that waited would take an hour.
    async with asyncio.timeout(60):
        assert await revoke(rig) == FAILED
    assert len(revoked_tokens(rig)) == 1
    assert isinstance(await rig.grant(), Revoked)


async def test_provider_that_never_answers_is_given_up(
    rig: KeeperRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(revocations_module, "BUDGET", SECOND / 50)
    rig.server.revocation = None
    assert await revoke(rig) == FAILED
    assert isinstance(await rig.grant(), Revoked)
