"""An older record in the place of a newer one is detected by each instance that saw the newer.

The older one is encrypted as it should be: it was there before, with its etag.
"""

from dataclasses import replace
from typing import Any

import pytest

from adapters.store_memory import MemoryStore
from domain.commands import AskForAuthorization, Serve
from domain.grant import Authorized, Cause, Grant, Refreshing, Unauthorized
from domain.token_endpoint import Outcome, RefreshTokenRequest
from functions.refresh import memory
from functions.refresh.memory import Memory, next_etag
from ports.store import Record
from tests.domain.examples import LEDGER, RESPONSE, SECOND, TOKENS
from tests.functions.keeper_rig import EXPIRED, FRESH, KeeperRig
from tests.records import record_of

pytestmark = pytest.mark.anyio

LOG_LINE = "record-rolled-back"
REVOKED = AskForAuthorization(cause=Cause.REVOKED)
SENT_ONCE = [RefreshTokenRequest(refresh_token="refresh-7")]


def grant_of(generation: int) -> Authorized:
    return Authorized(
        tokens=replace(TOKENS, generation=generation, refresh_token=f"refresh-{generation}")
    )


class RolledBack(KeeperRig):
    """A rig whose store an attacker can write to."""

    async def stored(self) -> Record:
        return await MemoryStore.load(self.store, "c")

    async def write_on(self, grant: Grant) -> Record:
        """Write as another instance does, with one history entry more at each write."""
        there = await self.stored()
        return await self.write(grant, ledger=LEDGER[: len(there.ledger) + 1])

    def put(self, record: Record) -> None:
        """Write as the attacker, without a check."""
        self.store._records["c"] = record


@pytest.fixture
async def rig() -> RolledBack:
    """A rig with a fresh token."""
    rig = RolledBack()
    await rig.keep(FRESH)
    return rig


@pytest.fixture
async def expired() -> RolledBack:
    """A rig with an expired access token."""
    rig = RolledBack()
    await rig.keep(EXPIRED)
    return rig


async def test_older_record_is_detected_and_the_newer_one_put_back(
    rig: RolledBack, caplog: pytest.LogCaptureFixture
) -> None:
    keeper = rig.instance()
    before = await rig.write_on(grant_of(7))
    await keeper.load("c")
    await rig.write_on(grant_of(8))
    newer = await keeper.load("c")
    rig.put(before)
    found = await keeper.load("c")
    assert found.grant == newer.grant == await rig.grant()
    assert found.ledger == newer.ledger == (await rig.stored()).ledger == LEDGER
    assert found.etag not in {before.etag, newer.etag}
    # Once: the next read finds nothing wrong.
    await keeper.load("c")
    assert caplog.text.count(LOG_LINE) == 1


async def test_spent_refresh_token_is_not_sent_where_the_newer_one_is_known(
    expired: RolledBack,
) -> None:
    before = await expired.write_on(await expired.grant())
    keeper = expired.instance()
    await keeper.token("c", min_ttl=SECOND)
    expired.put(before)
    answer = await keeper.token("c", min_ttl=SECOND)
    assert isinstance(answer, Serve)
    assert answer.tokens.access_token == "access-8"
    assert expired.server.requests == SENT_ONCE


async def test_spent_refresh_token_is_not_sent_where_it_comes_between_a_read_and_its_write(
    expired: RolledBack, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens = await expired.tokens("c")
    spent = replace(tokens, generation=6, refresh_token="refresh-6")
    older = await expired.write_on(Authorized(tokens=spent))
    await expired.write_on(Authorized(tokens=tokens))
    keeper = expired.instance()
    await keeper.load("c")
    swap = expired.store.swap

    async def swap_after_a_rollback(*args: Any, **kwargs: Any) -> None:
        monkeypatch.undo()
        expired.put(older)
        await swap(*args, **kwargs)

    monkeypatch.setattr(expired.store, "swap", swap_after_a_rollback)
    assert isinstance(await keeper.token("c", min_ttl=SECOND), Serve)
    assert expired.server.requests == SENT_ONCE


async def test_answer_to_a_refresh_is_kept_though_the_record_was_rolled_back_meanwhile(
    expired: RolledBack, caplog: pytest.LogCaptureFixture
) -> None:
    tokens = await expired.tokens("c")
    older = await expired.write_on(Authorized(tokens=replace(tokens, generation=6)))
    await expired.write_on(Authorized(tokens=tokens))

    async def reply() -> Outcome:
        assert isinstance(await expired.grant(), Refreshing)
        expired.put(older)
        return RESPONSE

    expired.server.reply = reply
    keeper = expired.instance()
    assert isinstance(await keeper.token("c", min_ttl=SECOND), Serve)
    await keeper.finish()
    kept = await expired.tokens("c")
    assert (kept.generation, kept.refresh_token) == (8, "refresh-8")
    assert LOG_LINE in caplog.text


@pytest.mark.parametrize(
    "meanwhile",
    [
        [],
        [record_of(Unauthorized(), None)],
        [record_of(Unauthorized(), "unnumbered")],
    ],
    ids=["older", "missing, then older", "unnumbered, then older"],
)
async def test_revoked_connection_does_not_come_back_by_an_older_record(
    rig: RolledBack, meanwhile: list[Record]
) -> None:
    before = await rig.write_on(await rig.grant())
    keeper = rig.instance()
    await rig.revocations(keeper).revoke("c")
    for record in meanwhile:
        rig.put(record)
        assert await keeper.load("c") == await rig.stored()
    rig.put(before)
    assert await keeper.token("c", min_ttl=SECOND) == REVOKED


async def test_read_that_others_have_overtaken_is_not_a_rollback(
    rig: RolledBack, caplog: pytest.LogCaptureFixture
) -> None:
    await rig.write_on(grant_of(7))
    keeper = rig.instance()
    overtaken = await keeper.load("c")
    await rig.write_on(grant_of(8))
    newer = await keeper.load("c")
    assert await rig.recorder_of(keeper).newest("c", overtaken) == newer
    assert LOG_LINE not in caplog.text


async def test_instance_that_saw_nothing_newer_cannot_detect_it(rig: RolledBack) -> None:
    before = await rig.write_on(grant_of(7))
    await rig.write_on(grant_of(8))
    rig.put(before)
    assert await rig.instance().load("c") == before


# Etags


@pytest.mark.parametrize(
    ("etag", "after"),
    [
        *((etag, "abcdefgh.1.") for etag in (None, "first", "x" * 43)),
        *((etag, "abcdefgh.1.") for etag in ("lineage1.x.rest", "short.1.rest")),
        ("abcdefgh.1.x", "abcdefgh.2."),
        ("otherone.9.x", "otherone.10."),
    ],
)
def test_lineage_starts_where_there_is_none_and_is_counted_on(etag: str | None, after: str) -> None:
    assert next_etag(etag, "abcdefghij") == f"{after}abcdefghij"


def test_lineage_counts_on_from_the_higher_number() -> None:
    assert next_etag("lineage1.5.x", "random", over="lineage1.9.x") == "lineage1.10.random"


@pytest.mark.parametrize(
    ("generation", "etag", "is_older"),
    [
        (7, "lineage1.4.x", True),
        (7, "lineage1.5.x", False),
        (7, "lineage1.6.x", False),
        (7, "otherone.1.x", False),
        (7, "unnumbered", False),
        # Tokens of an earlier generation are older, however often they were written.
        (6, "lineage1.6.x", True),
        (8, "lineage1.4.x", False),
    ],
)
def test_record_is_older_by_its_generation_and_then_by_its_number_in_the_lineage(
    generation: int, etag: str, *, is_older: bool
) -> None:
    seen = Memory()
    seen.remember("c", record_of(grant_of(7), "lineage1.5.x"))
    other = record_of(grant_of(generation), etag)
    assert (seen.newer_than("c", other) is not None) is is_older
    assert seen.newer_than("other", other) is None


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "MAX_CONNECTIONS", 2)
    seen = Memory()
    for name in ("a", "b", "a", "c"):
        seen.remember(name, record_of(grant_of(7), "lineage1.5.x"))
    # Connections without a record do not fill it.
    for number in range(3):
        seen.remember(f"nobody's-{number}", record_of(Unauthorized(), None))
    older = record_of(grant_of(7), "lineage1.4.x")
    assert [name for name in "abc" if seen.newer_than(name, older)] == ["a", "c"]
