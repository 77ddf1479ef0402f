"""Records that are gone or damaged: an instance puts back what it remembers."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

import pytest

from adapters.store_memory import MemoryStore
from domain.commands import AskForAuthorization, Serve
from domain.grant import Cause, Refreshing, Unauthorized, tokens_of
from domain.provider import Rotation, RotationKind
from domain.token_endpoint import Outcome, RefreshTokenRequest, TokenErrorResponse
from ports.store import Record, StoreDamagedError, StoreUnavailableError, UnreadableRecordError
from tests.domain.examples import POLICY, RESPONSE, SECOND
from tests.functions.conftest import Deploy
from tests.functions.expect import expect_token
from tests.functions.keeper_rig import EXPIRED, FRESH, CountingStore, KeeperRig
from tests.functions.stores import NO_STORE
from tests.records import record_of

pytestmark = pytest.mark.anyio
GONE, DAMAGED = "record-gone", "record-damaged"


@dataclass
class Spoilt:
    """Records that cannot be read, by their etags; and whether a key is merely missing."""

    etags: set[str | None] = field(default_factory=set)
    is_damaged: bool = True


class SpoilableStore(CountingStore):
    """A store in which records get damaged, and that may be damaged as a whole."""

    def __init__(self) -> None:
        super().__init__()
        self.spoilt = Spoilt()
        self.is_damaged = False

    async def load(self, connection: str) -> Record:
        record = await super().load(connection)
        if self.is_damaged:
            raise StoreDamagedError("planned")
        if record.etag in self.spoilt.etags:
            raise UnreadableRecordError(
                "planned", etag=str(record.etag), is_damaged=self.spoilt.is_damaged
            )
        return record

    async def swap(self, connection: str, record: Record, *, expected_etag: str | None) -> None:
        there = await MemoryStore.load(self, connection)
        if there.etag in self.spoilt.etags and there.etag != expected_etag:
            raise UnreadableRecordError("planned", etag=str(there.etag), is_damaged=True)
        if self.is_damaged:
            raise StoreDamagedError("planned")
        await super().swap(connection, record, expected_etag=expected_etag)


class SpoilableBench(KeeperRig):
    """A rig with such a store."""

    store: SpoilableStore

    def __init__(self) -> None:
        super().__init__()
        self.store = SpoilableStore()

    async def numbered(self, connection: str = "c") -> None:
        """Let there be a record with an etag that counts, as every one has that is written."""
        await self.write(await self.grant(connection), connection)

    @classmethod
    async def with_record(cls, left: timedelta, *connections: str) -> "SpoilableBench":
        """Make a rig with a record of each connection, or of `c`."""
        rig = cls()
        for connection in connections or ("c",):
            await rig.keep(left, connection)
            await rig.numbered(connection)
        return rig

    def lose(self, connection: str = "c") -> None:
        del self.store._records[connection]

    def damage(self, connection: str = "c") -> None:
        self.store.spoilt.etags.add(self.store._records[connection].etag)

    def overwrite(self, connection: str = "c") -> None:
        """Put something in the place of the record that was never one."""
        self.store._records[connection] = record_of(Unauthorized(), "rubbish")
        self.damage(connection)


LOSSES = [SpoilableBench.lose, SpoilableBench.damage, SpoilableBench.overwrite]
Lose = Callable[[SpoilableBench], None]


@pytest.mark.parametrize("lose", LOSSES)
async def test_remembered_record_is_served_and_put_back(
    lose: Lose, caplog: pytest.LogCaptureFixture
) -> None:
    rig = await SpoilableBench.with_record(FRESH)
    keeper = rig.instance()
    before = await keeper.load("c")
    lose(rig)
    assert isinstance(await keeper.token("c", min_ttl=SECOND), Serve)
    await keeper.finish()
    there = await MemoryStore.load(rig.store, "c")
    assert (there.grant, there.ledger) == (before.grant, before.ledger)
    assert isinstance(await rig.instance().token("c", min_ttl=SECOND), Serve)
    said = [each for each in caplog.records if GONE in each.message or DAMAGED in each.message]
    assert [each.levelname for each in said] == ["CRITICAL"]
    assert rig.server.requests == []


@pytest.mark.parametrize("lose", LOSSES)
async def test_the_answer_to_a_refresh_is_kept_though_the_record_was_lost_meanwhile(
    lose: Lose,
) -> None:
    rig = await SpoilableBench.with_record(EXPIRED)

    async def reply() -> Outcome:
        assert isinstance(await rig.grant(), Refreshing)
        lose(rig)
        return RESPONSE

    rig.server.reply = reply
    keeper = rig.instance()
    assert isinstance(await keeper.token("c", min_ttl=SECOND), Serve)
    await keeper.finish()
    kept = await rig.tokens("c")
    assert (kept.generation, kept.refresh_token) == (8, "refresh-8")
    assert rig.server.requests == [RefreshTokenRequest(refresh_token="refresh-7")]


async def test_all_that_is_remembered_is_put_back_though_one_is_asked_for() -> None:
    rig = SpoilableBench()
    keeper = rig.instance()
    for name in ("a", "b", "c"):
        await rig.keep(FRESH, name)
        await rig.numbered(name)
        await keeper.load(name)
    rig.store._records.clear()
    await keeper.load("b")
    await keeper.finish()
    assert sorted(rig.store._records) == ["a", "b", "c"]


async def test_record_of_a_missing_key_is_not_overwritten() -> None:
    rig = await SpoilableBench.with_record(FRESH)
    keeper = rig.instance()
    await keeper.load("c")
    rig.store.spoilt.is_damaged = False
    rig.overwrite()
    with pytest.raises(UnreadableRecordError):
        await keeper.token("c", min_ttl=SECOND)
    assert rig.store._records["c"].etag == "rubbish"


async def test_new_tokens_are_rescued_where_the_record_of_before_cannot_be_put_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("functions.refresh.recorder.SWAP_RETRIES", ())

    rig = await SpoilableBench.with_record(EXPIRED)

    async def reply() -> Outcome:
        rig.lose()
        rig.store.failing_swaps = {len(rig.store.etags) + 2}
        return RESPONSE

    rig.server.reply = reply
    keeper = rig.instance()
    assert isinstance(await keeper.token("c", min_ttl=SECOND), Serve)
    tokens = [tokens_of(rescued.record.grant) for rescued in rig.rescue.emitted]
    assert "refresh-8" in {each.refresh_token for each in tokens if each is not None}
    await keeper.finish()
    assert (await rig.tokens("c")).refresh_token == "refresh-8"


@pytest.mark.parametrize("lose", LOSSES)
async def test_newer_record_of_another_instance_replaces_the_one_that_was_put_back(
    lose: Lose,
) -> None:
    rig = await SpoilableBench.with_record(EXPIRED)
    behind, ahead = rig.instance(), rig.instance()
    await behind.load("c")
    assert isinstance(await ahead.token("c", min_ttl=SECOND), Serve)
    lose(rig)
    await behind.load("c")
    assert (await rig.tokens("c")).generation == 7
    answer = await ahead.token("c", min_ttl=SECOND)
    assert isinstance(answer, Serve)
    assert answer.tokens.generation == (await rig.tokens("c")).generation == 8


@pytest.mark.parametrize("asked", ["ahead", "ahead behind ahead"])
async def test_newer_record_replaces_the_successors_of_an_older_one(asked: str) -> None:
    rig = await SpoilableBench.with_record(EXPIRED)
    keepers = {name: rig.instance() for name in ("behind", "ahead")}
    behind, ahead = keepers.values()
    await behind.load("c")
    assert isinstance(await ahead.token("c", min_ttl=SECOND), Serve)
    rig.lose()

    async def refuse() -> Outcome:
        return TokenErrorResponse(status=400, error="invalid_grant")

    # Of what it puts back the refresh token is spent, and its writes count on.
    rig.server.reply = refuse
    assert isinstance(await behind.token("c", min_ttl=SECOND), AskForAuthorization)
    for _ in range(5):
        await rig.write((await behind.load("c")).grant)
    await behind.load("c")
    for name in asked.split():
        answer = await keepers[name].token("c", min_ttl=SECOND)
        assert isinstance(answer, Serve)
        assert answer.tokens.generation == (await rig.tokens("c")).generation == 8
    await rig.revocations(ahead).revoke("c")
    for keeper in (behind, ahead):
        answer = await keeper.token("c", min_ttl=SECOND)
        assert answer == AskForAuthorization(cause=Cause.REVOKED)


@pytest.mark.parametrize("lose", LOSSES)
async def test_repeated_tokens_keep_their_end_where_an_older_record_was_put_back(
    lose: Lose,
) -> None:
    grace = timedelta(minutes=10)
    rotation = Rotation(kind=RotationKind.ALWAYS, grace=grace)

    rig = SpoilableBench()
    rig.policy = replace(POLICY, provider=replace(POLICY.provider, rotation=rotation))
    await rig.keep(EXPIRED)
    await rig.numbered()
    behind, ahead = rig.instance(), rig.instance()
    await behind.load("c")
    assert isinstance(await ahead.token("c", min_ttl=SECOND), Serve)
    first = await rig.tokens("c")
    lose(rig)
    # The provider repeats its tokens with the lifetime of new ones.
    assert isinstance(await behind.token("c", min_ttl=SECOND), Serve)
    again = await rig.tokens("c")
    assert len(rig.server.requests) == 2
    assert again.refresh_token == first.refresh_token
    assert again.expires_at is not None
    assert first.expires_at is not None
    assert again.expires_at <= first.expires_at


async def test_a_revoked_connection_stays_revoked_though_its_record_is_gone() -> None:
    rig = SpoilableBench()
    await rig.keep(FRESH)
    keeper = rig.instance()
    await rig.revocations(keeper).revoke("c")
    rig.lose()
    answer = await keeper.token("c", min_ttl=SECOND)
    assert answer == AskForAuthorization(cause=Cause.REVOKED)


async def test_remembered_records_are_rescued_once_where_the_store_is_damaged() -> None:
    rig = SpoilableBench()
    keeper = rig.instance()
    for name in ("a", "b"):
        await rig.keep(FRESH, name)
        await rig.numbered(name)
        await keeper.load(name)
    rig.store.is_damaged = True
    for name in ("a", "b", "a", "other"):
        with pytest.raises(StoreUnavailableError):
            await keeper.token(name, min_ttl=SECOND)
    assert [rescued.connection for rescued in rig.rescue.emitted] == ["a", "b"]


async def test_record_that_cannot_be_put_back_is_rescued(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("functions.refresh.recorder.SWAP_RETRIES", ())

    rig = await SpoilableBench.with_record(FRESH)
    keeper = rig.instance()
    await keeper.load("c")
    rig.lose()
    rig.store.failing_swaps = {len(rig.store.etags) + 1}
    with pytest.raises(StoreUnavailableError):
        await keeper.token("c", min_ttl=SECOND)
    assert [rescued.connection for rescued in rig.rescue.emitted] == ["c"]
    assert isinstance(await keeper.token("c", min_ttl=SECOND), Serve)


# With a file


def test_a_file_removed_under_a_deployment_costs_nothing_that_it_remembers(
    deploy: Deploy, tmp_path: Path
) -> None:
    path = tmp_path / "grants.sqlite"
    deployment = deploy(**{**NO_STORE, "SQLITE_PATH": str(path)})
    for connection in ("mine", "theirs"):
        deployment.log_in(connection)
    path.unlink()
    expect_token(deployment.token("mine"))
    expect_token(deployment.token("theirs"))
    with closing(sqlite3.connect(path)) as database:
        found = database.execute("SELECT connection FROM grants ORDER BY connection").fetchall()
    assert found == [("mine",), ("theirs",)]


@pytest.mark.parametrize("damage", ["etag = x'00ff'", "sealed = x'00ff'", "sealed = ''"])
def test_a_row_damaged_under_a_deployment_costs_no_login(
    deploy: Deploy, tmp_path: Path, damage: str
) -> None:
    path = tmp_path / "grants.sqlite"
    deployment = deploy(**{**NO_STORE, "SQLITE_PATH": str(path)})
    deployment.log_in("mine")
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute(f"UPDATE grants SET {damage}")  # noqa: S608 - the test's own
    expect_token(deployment.token("mine"))
    assert deployment.refresh("mine").status_code == 200
