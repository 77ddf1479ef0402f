"""Whoever is at work while a connection is revoked: nothing of it comes back, and all is told."""

import asyncio
from unittest.mock import ANY

import pytest

from adapters.store_memory import MemoryStore
from domain.commands import AskForAuthorization
from domain.events import TokensRescued
from domain.grant import Cause, Revoked, Revoking
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
from functions.refresh.revocations import Revocations
from functions.refresh.sweep import SweepReport
from ports.store import Record, StoreUnavailableError
from tests.domain.examples import RESPONSE, SECOND
from tests.functions.bench import EXPIRED, FRESH, Bench, tokens_with
from tests.records import record_of

DONE = RevocationResult.REVOKED
NO_ANSWER = NoAnswer(delivery=Delivery.UNKNOWN, reason="planned")


def told(bench: Bench) -> list[str]:
    return [request.token for request in bench.server.revoked]


def test_it_costs_three_round_trips_and_one_request() -> None:
    async def run() -> None:
        bench = Bench()
        await bench.keep(FRESH)
        assert await bench.revocations(bench.instance()).revoke("c") == DONE
        assert (bench.store.loads, len(bench.store.etags), told(bench)) == (1, 2, ["refresh-7"])

    asyncio.run(run())


def test_it_is_fenced_off_before_the_provider_is_told() -> None:
    async def run() -> None:
        bench = Bench()
        await bench.keep(FRESH)
        seen = []

        class Watching(Revocations):
            async def _request(self, request: RevocationRequest) -> RevocationOutcome:
                seen.append(await bench.grant())
                return await super()._request(request)

        keeper = bench.instance()
        owner = Watching(keeper=keeper, recorder=keeper._recorder, server=lambda: bench.server)
        await owner.revoke("c")
        assert [type(grant) for grant in seen] == [Revoking]
        assert isinstance(await bench.grant(), Revoked)

    asyncio.run(run())


def test_what_a_refresh_in_flight_brings_is_ended_too_and_is_given_to_nobody() -> None:
    async def run() -> None:
        bench = Bench()
        await bench.keep(EXPIRED)
        is_asked, may_answer = asyncio.Event(), asyncio.Event()

        async def reply() -> Outcome:
            is_asked.set()
            await may_answer.wait()
            return RESPONSE

        bench.server.reply = reply
        asked, revoking = bench.instance(), bench.instance()
        asking = asyncio.create_task(asked.token("c", min_ttl=SECOND))
        await is_asked.wait()
        assert await bench.revocations(revoking).revoke("c") == DONE
        may_answer.set()
        assert await asking == AskForAuthorization(cause=Cause.REVOKED)
        await asked.finish()
        assert told(bench) == ["refresh-7", "refresh-8"]
        assert isinstance(await bench.grant(), Revoked)

    asyncio.run(run())


def test_a_rescue_line_of_before_brings_nothing_back_and_is_ended() -> None:
    async def run() -> None:
        bench = Bench()
        await bench.keep(FRESH)
        keeper = bench.instance()
        await bench.revocations(keeper).revoke("c")
        before = await keeper.load("c")
        rescued = TokensRescued(tokens=tokens_with(FRESH))
        assert await keeper._recorder.keep("c", before, rescued) == before
        await keeper.finish()
        assert told(bench) == ["refresh-7", "refresh-7"]

    asyncio.run(run())


def test_many_who_revoke_at_once_all_have_their_answer() -> None:
    async def run() -> None:
        bench = Bench()
        await bench.keep(FRESH)
        owners = [bench.revocations(bench.instance()) for _ in range(20)]
        assert set(await asyncio.gather(*(owner.revoke("c") for owner in owners))) == {DONE}
        assert set(told(bench)) == {"refresh-7"}

    asyncio.run(run())


def test_a_store_that_is_away_leaves_it_to_be_asked_for_again() -> None:
    async def run() -> None:
        bench = Bench()
        await bench.keep(FRESH)
        # The fence is stored, and that the provider was told is not.
        bench.store.failing_swaps = {2, 3, 4, 5}
        keeper = bench.instance()
        with pytest.raises(StoreUnavailableError):
            await bench.revocations(keeper).revoke("c")
        assert isinstance(await bench.grant(), Revoking)
        answer = await keeper.token("c", min_ttl=SECOND)
        assert answer == AskForAuthorization(cause=Cause.REVOKED)
        assert await bench.revocations(keeper).revoke("c") == DONE
        assert isinstance(await bench.grant(), Revoked)

    asyncio.run(run())


def test_a_revocation_that_has_not_ended_is_gone_on_with_by_the_sweep() -> None:
    async def run() -> None:
        bench = Bench()
        await bench.keep(FRESH)
        bench.store.failing_swaps = {2, 3, 4, 5}
        with pytest.raises(StoreUnavailableError):
            await bench.revocations(bench.instance()).revoke("c")
        assert isinstance(await bench.grant(), Revoking)
        report = await bench.sweep().run()
        assert (report.skipped, report.failed, report.refreshed) == (1, 0, 0)
        assert await bench.grant() == Revoked(at=ANY, result=RevocationResult.REVOKED)
        assert await bench.sweep().run() == SweepReport(
            refreshed=0, skipped=0, failed=0, is_complete=True
        )

    asyncio.run(run())


def test_a_login_meanwhile_stays_and_the_answer_is_about_what_was_revoked() -> None:
    async def run() -> None:
        bench = Bench()
        await bench.keep(FRESH)
        login = await bench.grant()

        class Slow(Revocations):
            async def _request(self, request: RevocationRequest) -> RevocationOutcome:
                record: Record = await MemoryStore.load(bench.store, "c")
                await MemoryStore.swap(
                    bench.store,
                    "c",
                    record_of(login, "login"),
                    expected_etag=record.etag,
                )
                return await super()._request(request)

        keeper = bench.instance()
        owner = Slow(keeper=keeper, recorder=keeper._recorder, server=lambda: bench.server)
        assert await owner.revoke("c") == DONE
        assert await bench.grant() == login

    asyncio.run(run())


@pytest.mark.parametrize(
    "outcome",
    [
        NO_ANSWER,
        NoAnswer(delivery=Delivery.NOT_SENT, reason="planned"),
        TokenErrorResponse(status=503, error=None),
        TokenErrorResponse(status=503, error=None, retry_after=SECOND / 100),
    ],
)
def test_the_provider_is_asked_again_while_the_budget_lasts(
    outcome: RevocationOutcome, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(revocations_module, "FIRST_PAUSE", SECOND / 100)
    monkeypatch.setattr(revocations_module, "BUDGET", SECOND / 5)

    async def run() -> None:
        bench = Bench()
        await bench.keep(FRESH)
        bench.server.revocation = outcome
        done = await bench.revocations(bench.instance()).revoke("c")
        assert done is RevocationResult.FAILED
        assert len(told(bench)) > 1
        assert isinstance(await bench.grant(), Revoked)

    asyncio.run(run())


def test_a_wish_to_wait_for_longer_than_the_budget_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(revocations_module, "BUDGET", 3600 * SECOND)

    async def run() -> None:
        bench = Bench()
        await bench.keep(FRESH)
        bench.server.revocation = TokenErrorResponse(
            status=503, error=None, retry_after=3601 * SECOND
        )
        # Who waits is found out long before.
        async with asyncio.timeout(20):
            done = await bench.revocations(bench.instance()).revoke("c")
        assert done is RevocationResult.FAILED
        assert len(told(bench)) == 1

    asyncio.run(run())


def test_a_provider_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(revocations_module, "BUDGET", SECOND / 50)

    async def run() -> None:
        bench = Bench()
        await bench.keep(FRESH)
        bench.server.revocation = None
        done = await bench.revocations(bench.instance()).revoke("c")
        assert done is RevocationResult.FAILED
        assert isinstance(await bench.grant(), Revoked)

    asyncio.run(run())
