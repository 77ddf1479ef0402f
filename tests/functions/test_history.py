"""GET /api/verify?history=1: what has become of a connection lately."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import pytest

from adapters.store_memory import MemoryStore
from domain.events import MoveRequested, TokensRescued
from domain.grant import Authorized, Moved, Refreshing
from domain.ledger import Entry, HistoryEvent, Ledger
from domain.token_endpoint import Outcome
from functions.observability.tracing import mark_authenticated, trace_request
from tests.domain.examples import LEDGER, MINUTE, RESPONSE, T0
from tests.functions.bench import EXPIRED, FRESH, NEAR_ITS_END, Bench, tokens_with
from tests.functions.conftest import Deploy
from tests.functions.deployment import Deployment, at, query_of
from tests.functions.expect import expect_json, expect_problem, expect_token
from tests.functions.grants import DAY, OVER, fresh
from tests.functions.token_endpoint import Answer, TokenEndpoint
from tests.records import record_of

NO_TIME = timedelta(0)

Told = tuple[object, ...]


def history(deployment: Deployment, connection: str) -> list[Told]:
    """Ask for the history; each entry without its time."""
    answer = deployment.get(at("/api/verify", connection=connection, history="1"))
    members = ["at", "event", "generation", "key", "outcome"]
    assert all(list(entry)[:5] == members for entry in answer.json()["history"])
    return [tuple(entry.values())[1:5] for entry in answer.json()["history"]]


def log_in(deployment: Deployment, connection: str) -> None:
    state = query_of(deployment.begin_login(connection))["state"]
    assert deployment.callback(code="a-code", state=state).status_code == 200


def test_history_is_told_newest_first_and_where_it_is_asked_for(
    scripted: Deployment, endpoint: TokenEndpoint, connection: str
) -> None:
    assert history(scripted, connection) == []
    log_in(scripted, connection)
    login = ("login", 0, None, "tokens")
    assert history(scripted, connection) == [login]
    # What is fresh is read, and what has just come is not refreshed: nothing is written.
    expect_token(scripted.token(connection))
    assert scripted.refresh(connection).status_code == 200
    assert history(scripted, connection) == [login]
    scripted.age(connection, by=OVER)
    endpoint.plan(Answer(status=503))
    expect_problem(scripted.token(connection), 503, "provider-unavailable")
    failure = ("refresh-failed", 0, "API_KEY", "provider-unavailable")
    assert history(scripted, connection) == [failure, login]
    scripted.age(connection, by=OVER)
    expect_token(scripted.token(connection))
    refresh = ("refresh", 1, "API_KEY", "tokens")
    assert history(scripted, connection) == [refresh, failure, login]
    for text in ("", "&history=0"):
        told = scripted.get(at("/api/verify", connection=connection) + text)
        assert "history" not in expect_json(told)


def test_all_that_is_kept_is_told(deployment: Deployment, connection: str) -> None:
    entries = [
        Entry(T0 + number * MINUTE, event, number, f"key-{number}", "tokens")
        for number, event in enumerate([HistoryEvent.REFRESH] * 24 + [HistoryEvent.LOGIN] * 8)
    ]
    deployment.put(connection, fresh(), tuple(entries))
    assert history(deployment, connection) == [
        (entry.event.value, entry.generation, entry.key_name, "tokens")
        for entry in reversed(entries)
    ]


def test_instants_are_those_of_what_happened(scripted: Deployment, connection: str) -> None:
    before = datetime.now(UTC).replace(microsecond=0)
    log_in(scripted, connection)
    answer = scripted.get(at("/api/verify", connection=connection, history="1"))
    [entry] = expect_json(answer)["history"]
    assert before <= datetime.fromisoformat(entry["at"]) <= datetime.now(UTC)
    assert entry["at"].endswith("Z")


@pytest.mark.parametrize("text", ["", "2", "true", "-1", "01", "1 "])
def test_anything_but_1_and_0_is_refused(
    deployment: Deployment, connection: str, text: str
) -> None:
    answer = deployment.get(at("/api/verify", connection=connection, history=text))
    expect_problem(answer, 400, "invalid-request")


def test_who_has_no_key_is_told_nothing(deployment: Deployment, connection: str) -> None:
    target = at("/api/verify", connection=connection, history="1")
    assert "history" not in expect_problem(deployment.call("GET", target), 401, "api-key-missing")


def test_history_of_what_needs_a_login_is_told_as_well(
    scripted: Deployment, endpoint: TokenEndpoint, connection: str
) -> None:
    log_in(scripted, connection)
    scripted.age(connection, by=OVER)
    endpoint.plan(Answer.json({"error": "invalid_grant"}, status=400))
    expect_problem(scripted.token(connection), 401, "authorization-required")
    assert history(scripted, connection)[0] == ("verdict", 0, "API_KEY", "refresh-token-rejected")


def test_history_and_verify_tell_of_a_verdict_that_is_not_final(
    scripted: Deployment, endpoint: TokenEndpoint, connection: str
) -> None:
    log_in(scripted, connection)
    scripted.age(connection, by=timedelta(minutes=26))
    endpoint.plan(Answer.json({"error": "invalid_grant"}, status=400))
    expect_problem(scripted.refresh(connection), 503, "refused-for-now")
    expect_json(scripted.token(connection))
    assert history(scripted, connection)[0][::3] == ("refresh-failed", "refused-for-now")
    verified = expect_json(scripted.verify(connection))
    assert (verified["action_required"], verified["cause"]) == (True, "refresh-token-rejected")
    assert verified["next_try_at"] > verified["access_token_expires_at"]
    # At its end the provider takes it after all.
    scripted.age(connection, by=timedelta(minutes=5))
    expect_json(scripted.token(connection))
    assert expect_json(scripted.verify(connection))["action_required"] is False


def test_tombstone_and_the_login_over_it_keep_what_was_before(
    scripted: Deployment, endpoint: TokenEndpoint, connection: str
) -> None:
    log_in(scripted, connection)
    endpoint.plan_revocations(Answer.json({"error": "invalid_client"}, status=401))
    assert expect_json(scripted.revoke(connection))["revoked"] == "failed"
    told = [
        ("provider-told", None, "API_KEY", "client-refused"),
        ("revoked", 0, "API_KEY", "done"),
        ("login", 0, None, "tokens"),
    ]
    assert history(scripted, connection) == told
    assert expect_json(scripted.revoke(connection))["revoked"] == "failed"
    assert history(scripted, connection) == told
    log_in(scripted, connection)
    assert history(scripted, connection) == [("login", 0, None, "tokens"), *told]


def test_what_has_moved_tells_its_history(deployment: Deployment, connection: str) -> None:
    deployment.log_in(connection)
    grant = deployment.grant(connection)
    assert isinstance(grant, Authorized)
    deployment.put(connection, Moved(grant=grant, since=T0))
    assert history(deployment, connection) == [("login", 0, None, "tokens")]


def test_sweep_is_nobodys_key(deploy: Deploy) -> None:
    deployment = deploy()
    deployment.log_in("idle")
    deployment.age("idle", by=89 * DAY)
    assert expect_json(deployment.sweep())["refreshed"] == 1
    assert history(deployment, "idle")[0] == ("refresh", 1, None, "tokens")


def test_of_several_keys_the_one_is_named_that_was_shown(deploy: Deploy) -> None:
    keys = {name: f"the-api-key-of-{name}-{'x' * 20}" for name in ("ci", "reports")}
    entries = [
        {"name": name, "sha256": sha256(key.encode()).hexdigest()} for name, key in keys.items()
    ]
    deployment = deploy(API_KEYS=json.dumps(entries))
    deployment.log_in("c")
    for name, key in keys.items():
        deployment.age("c", by=OVER)
        expect_token(deployment.call("GET", at("/api/token", connection="c"), ("x-api-key", key)))
        assert history(deployment, "c")[0][2] == name


# The rounds in which it is written


def run(work: Callable[[Bench], Awaitable[None]], bench: Bench | None = None) -> None:
    async def go() -> None:
        await work(bench or Bench())

    asyncio.run(go())


async def ledger_of(bench: Bench) -> Ledger:
    return (await MemoryStore.load(bench.store, "c")).ledger


async def put(bench: Bench, ledger: Ledger) -> None:
    """Let something have been told already."""
    there = await MemoryStore.load(bench.store, "c")
    record = record_of(there.grant, "told", ledger)
    await MemoryStore.swap(bench.store, "c", record, expected_etag=there.etag)


def test_refresh_notes_itself_with_the_swaps_that_there_are_anyway() -> None:
    async def work(bench: Bench) -> None:
        await bench.keep(EXPIRED)
        await put(bench, LEDGER)
        with trace_request("an-id"):
            mark_authenticated("ci")
            await bench.instance().token("c", min_ttl=NO_TIME)
        assert (bench.store.loads, len(bench.store.etags)) == (1, 2)
        *before, entry = await ledger_of(bench)
        assert tuple(before) == LEDGER
        assert (entry.event, entry.key_name) == (HistoryEvent.REFRESH, "ci")

    run(work)


def test_token_that_is_fresh_is_read_and_nothing_written() -> None:
    async def work(bench: Bench) -> None:
        await bench.keep(FRESH)
        await put(bench, LEDGER)
        await bench.instance().token("c", min_ttl=NO_TIME)
        assert (bench.store.loads, bench.store.etags) == (1, [])
        assert await ledger_of(bench) == LEDGER

    run(work)


def test_intent_that_is_stored_keeps_the_ledger_as_it_was() -> None:
    async def work(bench: Bench) -> None:
        await bench.keep(EXPIRED)
        await put(bench, LEDGER)

        async def reply() -> Outcome:
            assert isinstance(await bench.grant(), Refreshing)
            assert await ledger_of(bench) == LEDGER
            return RESPONSE

        bench.server.reply = reply
        await bench.instance().token("c", min_ttl=NO_TIME)
        assert len(await ledger_of(bench)) == len(LEDGER) + 1

    run(work)


def test_attempt_is_noted_once_and_for_who_began_it() -> None:
    async def work(bench: Bench) -> None:
        await bench.keep(EXPIRED)
        keeper = bench.instance()

        async def ask(name: str) -> None:
            with trace_request(f"request of {name}"):
                mark_authenticated(name)
                await keeper.token("c", min_ttl=NO_TIME)

        await asyncio.gather(*map(ask, ("first", "second", "third")))
        [entry] = await ledger_of(bench)
        assert entry.key_name == "first"

    run(work)


def test_refresh_near_the_end_of_a_token_is_noted_for_who_was_served_meanwhile() -> None:
    async def work(bench: Bench) -> None:
        await bench.keep(NEAR_ITS_END)
        keeper = bench.instance()
        with trace_request("an-id"):
            mark_authenticated("ci")
            await keeper.token("c", min_ttl=NO_TIME)
        await keeper.finish()
        [entry] = await ledger_of(bench)
        assert (entry.event, entry.key_name) == (HistoryEvent.REFRESH, "ci")

    run(work)


@pytest.mark.parametrize("applies", [False, True], ids=["not written", "written and not told"])
def test_write_that_is_tried_again_is_noted_once(*, applies: bool) -> None:
    async def work(bench: Bench) -> None:
        await bench.keep(EXPIRED)
        bench.store.failing_swaps = {1, 3}
        bench.store.applies_failing_swaps = applies
        await bench.instance().token("c", min_ttl=NO_TIME)
        [entry] = await ledger_of(bench)
        assert entry.event is HistoryEvent.REFRESH

    run(work)


@pytest.mark.parametrize("applies", [False, True], ids=["not written", "written and not told"])
def test_tokens_that_are_stored_late_are_noted_once_and_for_the_same_key(
    monkeypatch: pytest.MonkeyPatch, *, applies: bool
) -> None:
    monkeypatch.setattr("functions.refresh.recorder.SWAP_RETRIES", ())
    monkeypatch.setattr("functions.refresh.recorder.LATE_RETRIES", (timedelta(seconds=0.01),))

    async def work(bench: Bench) -> None:
        await bench.keep(EXPIRED)
        bench.store.failing_swaps = {2}
        bench.store.applies_failing_swaps = applies
        keeper = bench.instance()
        with trace_request("an-id"):
            mark_authenticated("ci")
            await keeper.token("c", min_ttl=NO_TIME)
        await keeper.finish()
        [entry] = await ledger_of(bench)
        assert (entry.event, entry.key_name) == (HistoryEvent.REFRESH, "ci")
        assert len(bench.rescue.emitted) == 1

    run(work)


def test_revocation_is_noted_with_its_two_swaps() -> None:
    async def work(bench: Bench) -> None:
        await bench.keep(FRESH)
        await put(bench, LEDGER)
        with trace_request("an-id"):
            mark_authenticated("owner")
            await bench.revocations(bench.instance()).revoke("c")
        assert len(bench.store.etags) == 2
        told = [(entry.event, entry.key_name) for entry in await ledger_of(bench)]
        assert told[len(LEDGER) :] == [
            (HistoryEvent.REVOKED, "owner"),
            (HistoryEvent.REVOCATION_ENDED, "owner"),
        ]

    run(work)


def test_writers_that_meet_lose_no_entry() -> None:
    async def work(bench: Bench) -> None:
        await bench.keep(FRESH)
        await put(bench, LEDGER)
        seen = await bench.store.load("c")
        recorders = [bench.instance()._recorder for _ in range(5)]
        tokens = tokens_with(FRESH)
        for number, recorder in enumerate(recorders, start=1):
            newer = replace(tokens, generation=tokens.generation + number)
            # Each of them has read what was there before all the others.
            await recorder.keep("c", seen, TokensRescued(tokens=newer))
        await recorders[0].keep("c", seen, MoveRequested())
        ledger = (await ledger_of(bench))[len(LEDGER) :]
        kinds = [entry.event for entry in ledger]
        assert kinds == [HistoryEvent.RESCUED] * 5 + [HistoryEvent.MOVED]
        assert [entry.generation for entry in ledger[:5]] == [
            tokens.generation + number for number in range(1, 6)
        ]

    run(work)


def test_what_was_decided_and_what_was_noted_are_of_one_instant() -> None:
    async def work(bench: Bench) -> None:
        await bench.keep(FRESH)
        recorder = bench.instance()._recorder
        after = await recorder.keep("c", await bench.store.load("c"), MoveRequested())
        assert isinstance(after.grant, Moved)
        assert after.ledger == (
            Entry(
                at=after.grant.since.replace(microsecond=0),
                event=HistoryEvent.MOVED,
                generation=after.grant.tokens.generation,
                key_name=None,
                outcome="done",
            ),
        )

    run(work)
