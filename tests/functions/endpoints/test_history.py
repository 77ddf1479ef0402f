"""GET /api/verify?history=1: the recent events of a connection."""

import asyncio
import json
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
from tests.functions.conftest import Deploy
from tests.functions.deployment import Deployment, at
from tests.functions.expect import expect_json, expect_problem, expect_token
from tests.functions.grants import DAY, OVER, fresh
from tests.functions.keeper_rig import EXPIRED, FRESH, NEAR_ITS_END, KeeperRig, tokens_with
from tests.functions.token_endpoint import Answer, TokenEndpoint
from tests.records import record_of

pytestmark = pytest.mark.anyio
NO_TIME = timedelta(0)

Shown = tuple[object, ...]


def history(deployment: Deployment, connection: str) -> list[Shown]:
    """Return the history, each entry without its time."""
    answer = deployment.get(at("/api/verify", connection=connection, history="1"))
    members = ["at", "event", "generation", "key", "outcome"]
    assert all(list(entry)[:5] == members for entry in answer.json()["history"])
    return [tuple(entry.values())[1:5] for entry in answer.json()["history"]]


def log_in(deployment: Deployment, connection: str) -> None:
    state = deployment.begin(connection)
    assert deployment.callback(code="a-code", state=state).status_code == 200


def test_history_is_shown_newest_first_and_on_request(
    scripted: Deployment, endpoint: TokenEndpoint, connection: str
) -> None:
    assert history(scripted, connection) == []
    log_in(scripted, connection)
    login = ("login", 0, None, "tokens")
    assert history(scripted, connection) == [login]
    # A fresh token is only read, and a new one is not refreshed: no entry is written.
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
        answer = scripted.get(at("/api/verify", connection=connection) + text)
        assert "history" not in expect_json(answer)


def test_every_entry_is_shown(deployment: Deployment, connection: str) -> None:
    entries = [
        Entry(T0 + number * MINUTE, event, number, f"key-{number}", "tokens")
        for number, event in enumerate([HistoryEvent.REFRESH] * 24 + [HistoryEvent.LOGIN] * 8)
    ]
    deployment.put(connection, fresh(), tuple(entries))
    assert history(deployment, connection) == [
        (entry.event.value, entry.generation, entry.key_name, "tokens")
        for entry in reversed(entries)
    ]


def test_entries_have_the_times_of_their_events(scripted: Deployment, connection: str) -> None:
    before = datetime.now(UTC).replace(microsecond=0)
    log_in(scripted, connection)
    answer = scripted.get(at("/api/verify", connection=connection, history="1"))
    [entry] = expect_json(answer)["history"]
    assert before <= datetime.fromisoformat(entry["at"]) <= datetime.now(UTC)
    assert entry["at"].endswith("Z")


def test_anything_but_1_and_0_is_refused(deployment: Deployment, connection: str) -> None:
    for text in ("", "2", "true", "-1", "01", "1 "):
        answer = deployment.get(at("/api/verify", connection=connection, history=text))
        expect_problem(answer, 400, "invalid-request")


def test_without_a_key_no_history_is_shown(deployment: Deployment, connection: str) -> None:
    target = at("/api/verify", connection=connection, history="1")
    assert "history" not in expect_problem(deployment.call("GET", target), 401, "api-key-missing")


def test_history_of_a_connection_that_needs_a_login_is_shown(
    scripted: Deployment, endpoint: TokenEndpoint, connection: str
) -> None:
    log_in(scripted, connection)
    scripted.age(connection, by=OVER)
    endpoint.plan(Answer.json({"error": "invalid_grant"}, status=400))
    expect_problem(scripted.token(connection), 401, "authorization-required")
    assert history(scripted, connection)[0] == ("verdict", 0, "API_KEY", "refresh-token-rejected")


def test_history_and_verify_show_a_refusal_that_is_not_final(
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


def test_revoked_record_and_the_login_after_it_keep_the_history(
    scripted: Deployment, endpoint: TokenEndpoint, connection: str
) -> None:
    log_in(scripted, connection)
    endpoint.plan_revocations(Answer.json({"error": "invalid_client"}, status=401))
    assert expect_json(scripted.revoke(connection))["revoked"] == "failed"
    shown = [
        ("provider-told", None, "API_KEY", "client-refused"),
        ("revoked", 0, "API_KEY", "done"),
        ("login", 0, None, "tokens"),
    ]
    assert history(scripted, connection) == shown
    assert expect_json(scripted.revoke(connection))["revoked"] == "failed"
    assert history(scripted, connection) == shown
    log_in(scripted, connection)
    assert history(scripted, connection) == [("login", 0, None, "tokens"), *shown]


def test_moved_connection_has_its_history(deployment: Deployment, connection: str) -> None:
    deployment.log_in(connection)
    grant = deployment.grant(connection)
    assert isinstance(grant, Authorized)
    deployment.put(connection, Moved(grant=grant, since=T0))
    assert history(deployment, connection) == [("login", 0, None, "tokens")]


def test_sweep_has_no_key_name(deploy: Deploy) -> None:
    deployment = deploy()
    deployment.log_in("idle")
    deployment.age("idle", by=89 * DAY)
    assert expect_json(deployment.sweep())["refreshed"] == 1
    assert history(deployment, "idle")[0] == ("refresh", 1, None, "tokens")


def test_of_several_keys_the_one_that_was_used_is_named(deploy: Deploy) -> None:
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


# When entries are written


async def ledger_of(rig: KeeperRig) -> Ledger:
    return (await MemoryStore.load(rig.store, "c")).ledger


async def bench_with(left: timedelta, ledger: Ledger = ()) -> KeeperRig:
    """A rig whose connection `c` has so much time left, and this ledger."""
    rig = KeeperRig()
    await rig.keep(left)
    there = await MemoryStore.load(rig.store, "c")
    record = record_of(there.grant, "seeded", ledger)
    await MemoryStore.swap(rig.store, "c", record, expected_etag=there.etag)
    return rig


async def test_refresh_is_recorded_without_a_further_swap() -> None:
    rig = await bench_with(EXPIRED, LEDGER)
    with trace_request("an-id"):
        mark_authenticated("ci")
        await rig.instance().token("c", min_ttl=NO_TIME)
    assert (rig.store.loads, len(rig.store.etags)) == (1, 2)
    *before, entry = await ledger_of(rig)
    assert tuple(before) == LEDGER
    assert (entry.event, entry.key_name) == (HistoryEvent.REFRESH, "ci")


async def test_intent_that_is_stored_keeps_the_ledger_as_it_was() -> None:
    rig = await bench_with(EXPIRED, LEDGER)

    async def reply() -> Outcome:
        assert isinstance(await rig.grant(), Refreshing)
        assert await ledger_of(rig) == LEDGER
        return RESPONSE

    rig.server.reply = reply
    await rig.instance().token("c", min_ttl=NO_TIME)
    assert len(await ledger_of(rig)) == len(LEDGER) + 1


async def test_attempt_is_recorded_once_with_the_key_that_began_it() -> None:
    rig = await bench_with(EXPIRED)
    keeper = rig.instance()

    async def ask(name: str) -> None:
        with trace_request(f"request of {name}"):
            mark_authenticated(name)
            await keeper.token("c", min_ttl=NO_TIME)

    await asyncio.gather(*map(ask, ("first", "second", "third")))
    [entry] = await ledger_of(rig)
    assert entry.key_name == "first"


async def test_refresh_near_the_end_of_a_token_is_recorded_with_the_key_of_its_caller() -> None:
    rig = await bench_with(NEAR_ITS_END)
    keeper = rig.instance()
    with trace_request("an-id"):
        mark_authenticated("ci")
        await keeper.token("c", min_ttl=NO_TIME)
    await keeper.finish()
    [entry] = await ledger_of(rig)
    assert (entry.event, entry.key_name) == (HistoryEvent.REFRESH, "ci")


@pytest.mark.parametrize("applies", [False, True], ids=["not written", "written without an answer"])
async def test_repeated_write_is_recorded_once(*, applies: bool) -> None:
    rig = await bench_with(EXPIRED)
    rig.store.failing_swaps = {1, 3}
    rig.store.applies_failing_swaps = applies
    await rig.instance().token("c", min_ttl=NO_TIME)
    [entry] = await ledger_of(rig)
    assert entry.event is HistoryEvent.REFRESH


@pytest.mark.parametrize("applies", [False, True], ids=["not written", "written without an answer"])
async def test_late_tokens_are_recorded_once_with_the_same_key(
    monkeypatch: pytest.MonkeyPatch, *, applies: bool
) -> None:
    monkeypatch.setattr("functions.refresh.recorder.SWAP_RETRIES", ())
    monkeypatch.setattr("functions.refresh.recorder.LATE_RETRIES", (timedelta(seconds=0.01),))

    rig = await bench_with(EXPIRED)
    rig.store.failing_swaps = {2}
    rig.store.applies_failing_swaps = applies
    keeper = rig.instance()
    with trace_request("an-id"):
        mark_authenticated("ci")
        await keeper.token("c", min_ttl=NO_TIME)
    await keeper.finish()
    [entry] = await ledger_of(rig)
    assert (entry.event, entry.key_name) == (HistoryEvent.REFRESH, "ci")
    assert len(rig.rescue.emitted) == 1


async def test_revocation_is_recorded_with_its_two_swaps() -> None:
    rig = await bench_with(FRESH, LEDGER)
    with trace_request("an-id"):
        mark_authenticated("owner")
        await rig.revocations(rig.instance()).revoke("c")
    assert len(rig.store.etags) == 2
    noted = [(entry.event, entry.key_name) for entry in await ledger_of(rig)]
    assert noted[len(LEDGER) :] == [
        (HistoryEvent.REVOKED, "owner"),
        (HistoryEvent.REVOCATION_ENDED, "owner"),
    ]


async def test_writers_that_meet_lose_no_entry() -> None:
    rig = await bench_with(FRESH, LEDGER)
    seen = await rig.store.load("c")
    recorders = [rig.recorder_of(rig.instance()) for _ in range(5)]
    tokens = tokens_with(FRESH)
    for number, recorder in enumerate(recorders, start=1):
        newer = replace(tokens, generation=tokens.generation + number)
        # Each of them has read what was there before all the others.
        await recorder.keep("c", seen, TokensRescued(tokens=newer))
    await recorders[0].keep("c", seen, MoveRequested())
    ledger = (await ledger_of(rig))[len(LEDGER) :]
    kinds = [entry.event for entry in ledger]
    assert kinds == [HistoryEvent.RESCUED] * 5 + [HistoryEvent.MOVED]
    assert [entry.generation for entry in ledger[:5]] == [
        tokens.generation + number for number in range(1, 6)
    ]


async def test_decision_and_its_entry_have_the_same_time() -> None:
    rig = await bench_with(FRESH)
    recorder = rig.recorder_of(rig.instance())
    after = await recorder.keep("c", await rig.store.load("c"), MoveRequested())
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
