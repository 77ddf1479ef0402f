"""Whoever puts an older record in the place of a newer one is found out by who has seen the newer.

The older one is sealed as it should be: it was there before, with its etag.
"""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from adapters.store_memory import MemoryStore
from domain.commands import AskForAuthorization, Serve
from domain.grant import Authorized, Cause, Grant, Refreshing, Unauthorized, tokens_of
from domain.token_endpoint import Outcome, RefreshTokenRequest
from functions.refresh import memory
from functions.refresh.memory import Memory, next_etag
from ports.store import Record
from tests.domain.examples import LEDGER, RESPONSE, SECOND, TOKENS
from tests.functions.bench import EXPIRED, FRESH, Bench
from tests.records import record_of

SAID = "record-rolled-back"


async def stored(bench: Bench) -> Record:
    return await MemoryStore.load(bench.store, "c")


def put(bench: Bench, record: Record) -> None:
    """Write as somebody does who can write to the store, and asks nobody."""
    bench.store._records["c"] = record


def test_an_older_record_is_found_out_and_the_newer_one_put_back(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def run() -> None:
        bench = Bench()
        await bench.keep(FRESH)
        keeper = bench.instance()
        before = await write(bench, keeper_grant(7))
        await keeper.load("c")
        await write(bench, keeper_grant(8))
        newer = await keeper.load("c")
        put(bench, before)
        found = await keeper.load("c")
        assert found.grant == newer.grant == await bench.grant()
        assert found.ledger == newer.ledger == (await stored(bench)).ledger == LEDGER
        assert found.etag not in {before.etag, newer.etag}
        assert caplog.text.count(SAID) == 1
        # And nothing is wrong any more.
        await keeper.load("c")
        assert caplog.text.count(SAID) == 1

    asyncio.run(run())


def keeper_grant(generation: int) -> Authorized:
    return Authorized(
        tokens=replace(TOKENS, generation=generation, refresh_token=f"refresh-{generation}")
    )


async def write(bench: Bench, grant: Grant) -> Record:
    """Write as another instance does."""
    recorder = bench.instance()._recorder
    there = await stored(bench)
    # Each write tells one thing more.
    ledger = LEDGER[: len(there.ledger) + 1]
    return await recorder.rewrite("c", replace(there, grant=grant, ledger=ledger))


def test_a_refresh_token_that_is_spent_is_not_sent_where_the_newer_one_is_known() -> None:
    async def run() -> None:
        bench = Bench()
        await bench.keep(EXPIRED)
        await write(bench, (await stored(bench)).grant)
        before = await stored(bench)
        keeper = bench.instance()
        await keeper.token("c", min_ttl=SECOND)
        put(bench, before)
        answer = await keeper.token("c", min_ttl=SECOND)
        assert isinstance(answer, Serve)
        assert answer.tokens.access_token == "access-8"
        assert bench.server.requests == [RefreshTokenRequest(refresh_token="refresh-7")]

    asyncio.run(run())


def test_a_refresh_token_that_is_spent_is_not_sent_where_it_comes_between_a_read_and_its_write(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def run() -> None:
        bench = Bench()
        await bench.keep(EXPIRED)
        newer = await bench.grant()
        assert isinstance(newer, Authorized)
        spent = replace(newer.tokens, generation=6, refresh_token="refresh-6")
        older = await write(bench, replace(newer, tokens=spent))
        await write(bench, newer)
        keeper = bench.instance()
        await keeper.load("c")
        swap = bench.store.swap

        async def swap_after_a_rollback(*args: Any, **kwargs: Any) -> None:
            monkeypatch.undo()
            put(bench, older)
            await swap(*args, **kwargs)

        monkeypatch.setattr(bench.store, "swap", swap_after_a_rollback)
        assert isinstance(await keeper.token("c", min_ttl=SECOND), Serve)
        assert bench.server.requests == [RefreshTokenRequest(refresh_token="refresh-7")]

    asyncio.run(run())


def test_the_answer_to_a_refresh_is_kept_though_the_record_was_rolled_back_meanwhile(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def run() -> None:
        bench = Bench()
        await bench.keep(EXPIRED)
        tokens = tokens_of(await bench.grant())
        assert tokens is not None
        older = await write(bench, Authorized(tokens=replace(tokens, generation=6)))
        await write(bench, Authorized(tokens=tokens))

        async def reply() -> Outcome:
            assert isinstance(await bench.grant(), Refreshing)
            put(bench, older)
            return RESPONSE

        bench.server.reply = reply
        keeper = bench.instance()
        assert isinstance(await keeper.token("c", min_ttl=SECOND), Serve)
        await keeper.finish()
        kept = await bench.tokens("c")
        assert (kept.generation, kept.refresh_token) == (8, "refresh-8")
        assert SAID in caplog.text

    asyncio.run(run())


def test_a_revoked_connection_does_not_come_back_by_an_older_record() -> None:
    async def run() -> None:
        bench = Bench()
        await bench.keep(FRESH)
        before = await write(bench, await bench.grant())
        keeper = bench.instance()
        await bench.revocations(keeper).revoke("c")
        put(bench, before)
        answer = await keeper.token("c", min_ttl=SECOND)
        assert answer == AskForAuthorization(cause=Cause.REVOKED)

    asyncio.run(run())


@pytest.mark.parametrize("meanwhile", [None, "unnumbered"])
def test_what_was_seen_is_not_forgotten_where_something_else_is_in_its_place_for_a_while(
    meanwhile: str | None,
) -> None:
    async def run() -> None:
        bench = Bench()
        await bench.keep(FRESH)
        before = await write(bench, await bench.grant())
        keeper = bench.instance()
        await bench.revocations(keeper).revoke("c")
        put(bench, record_of(Unauthorized(), meanwhile))
        assert await keeper.load("c") == await stored(bench)
        put(bench, before)
        answer = await keeper.token("c", min_ttl=SECOND)
        assert answer == AskForAuthorization(cause=Cause.REVOKED)

    asyncio.run(run())


def test_connections_without_a_record_do_not_fill_the_memory() -> None:
    seen = Memory()
    seen.remember("c", record_of(keeper_grant(7), "lineage1.5.x"))
    for number in range(memory.MAX_CONNECTIONS):
        seen.remember(f"nobody's-{number}", record_of(Unauthorized(), None))
    older = record_of(keeper_grant(7), "lineage1.4.x")
    assert seen.newer_than("c", older) is not None


def test_a_read_that_others_have_overtaken_is_no_rollback(caplog: pytest.LogCaptureFixture) -> None:
    async def run() -> None:
        bench = Bench()
        await bench.keep(FRESH)
        await write(bench, keeper_grant(7))
        keeper = bench.instance()
        overtaken = await keeper.load("c")
        await write(bench, keeper_grant(8))
        newer = await keeper.load("c")
        assert await keeper._recorder.newest("c", overtaken) == newer
        assert SAID not in caplog.text

    asyncio.run(run())


def test_who_has_seen_nothing_newer_cannot_tell() -> None:
    async def run() -> None:
        bench = Bench()
        await bench.keep(FRESH)
        before = await write(bench, keeper_grant(7))
        await write(bench, keeper_grant(8))
        put(bench, before)
        assert await bench.instance().load("c") == before

    asyncio.run(run())


# Etags


@pytest.mark.parametrize("etag", [None, "first", "x" * 43, "lineage1.x.rest", "short.1.rest"])
def test_a_lineage_begins_where_there_is_none(etag: str | None) -> None:
    assert next_etag(etag, "abcdefghij") == "abcdefgh.1.abcdefghij"


def test_a_lineage_is_counted_on() -> None:
    assert next_etag(next_etag(None, "abcdefghij"), "klm") == "abcdefgh.2.klm"
    assert next_etag("abcdefgh.9.x", "klm") == "abcdefgh.10.klm"


@pytest.mark.parametrize("etag", ["unnumbered", "otherone.1.x", "lineage1.5.x", "lineage1.6.x"])
def test_only_a_lower_number_of_the_same_lineage_is_older(etag: str | None) -> None:
    seen = Memory()
    seen.remember("c", record_of(keeper_grant(7), "lineage1.5.x"))
    other = record_of(keeper_grant(7), etag)
    assert seen.newer_than("c", other) is None
    assert seen.newer_than("other", record_of(other.grant, "lineage1.4.x")) is None
    assert seen.newer_than("c", record_of(other.grant, "lineage1.4.x")) is not None


@pytest.mark.parametrize("number", [4, 6])
def test_tokens_of_an_earlier_generation_are_older_however_often_they_were_written(
    number: int,
) -> None:
    seen = Memory()
    seen.remember("c", record_of(keeper_grant(8), "lineage1.5.x"))
    there = [record_of(keeper_grant(each), f"lineage1.{number}.x") for each in (7, 9)]
    assert [seen.newer_than("c", each) is not None for each in there] == [True, False]
    assert next_etag("lineage1.5.x", "random", over="lineage1.9.x") == "lineage1.10.random"


def test_the_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "MAX_CONNECTIONS", 2)
    seen = Memory()
    for name in ("a", "b", "a", "c"):
        seen.remember(name, record_of(keeper_grant(7), "lineage1.5.x"))
    older = record_of(keeper_grant(7), "lineage1.4.x")
    assert [name for name in "abc" if seen.newer_than(name, older)] == ["a", "c"]
