"""`python -m functions.admin reseal`: encrypts the records of older keys with the first key."""

import asyncio
from base64 import b64encode
from dataclasses import replace
from pathlib import Path

import pytest

from domain.grant import Authorized, Grant, Refreshing, Revoked, Unauthorized
from domain.token_endpoint import RevocationResult
from functions.admin.reseal import Resealing, reseal
from functions.settings.settings import Settings
from functions.wiring import Wiring
from ports.store import ConflictError, Record
from tests.domain.examples import ACCESS_LIFE, T0, TOKENS, begin
from tests.functions.admin.test_admin_move import OF_LEDGER, Place
from tests.functions.commands import environ_in
from tests.functions.stores import rows_of

OLD, NEW, OTHER = (b64encode(bytes([number]) * 32).decode() for number in (1, 2, 3))
GRANT = Authorized(tokens=replace(TOKENS, account="a@a.example", extra=(("realmId", "1"),)))
REFRESHING, _ = begin(GRANT, T0 + ACCESS_LIFE)
REVOKED = Revoked(at=T0, result=RevocationResult.REVOKED)
GRANTS: dict[str, Grant] = {"a": GRANT, "b": REFRESHING, "c": REVOKED}


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return environ_in(tmp_path)


def with_keys(environ: dict[str, str], *keys: str) -> Place:
    """The deployment, with this ring of keys."""
    return Place({**environ, "ENCRYPTION_KEYS": ",".join(keys)} if keys else environ)


def counted(lines: list[str]) -> list[int]:
    """How many records were encrypted again, were up to date, and cannot be read."""
    return [int(line.rpartition(": ")[2]) for line in lines]


def key_ids(place: Place) -> set[str]:
    """The names of the keys that records are sealed with."""
    texts = {str(column) for row in rows_of(place.environ) for column in row}
    return {text.split(".")[1] for text in texts if text.startswith("v1.")}


def test_records_of_an_older_key_are_sealed_with_the_first_and_stay_the_same(
    environ: dict[str, str],
) -> None:
    with_keys(environ, OLD).keep(**GRANTS)
    both = with_keys(environ, NEW, OLD)
    both.keep(new=GRANT)
    assert len(key_ids(both)) == 2
    assert both.run("reseal")[:2] == (0, both_lines(resealed=3, already=1))
    only = with_keys(environ, NEW)
    assert only.kept(*GRANTS, "new") == [*GRANTS.values(), GRANT]
    assert {tuple(only.events(name)) for name in GRANTS} == {tuple(OF_LEDGER)}
    assert len(key_ids(only)) == 1


def both_lines(*, resealed: int, already: int, unreadable: int = 0) -> list[str]:
    counts = (resealed, already, unreadable)
    said = [what for what in Resealing if what is not Resealing.MISSING]
    return [f"{what.value}: {count}" for what, count in zip(said, counts, strict=True)]


def test_the_key_made_of_the_client_secret_is_an_older_one(environ: dict[str, str]) -> None:
    with_keys(environ).keep(**GRANTS)
    status, lines, _ = with_keys(environ, NEW).run("reseal")
    assert (status, counted(lines)) == (0, [3, 0, 0])
    elsewhere = Place({**environ, "CLIENT_SECRET": "another", "ENCRYPTION_KEYS": NEW})
    assert elsewhere.kept(*GRANTS) == [*GRANTS.values()]


def test_an_unreadable_record_stays_and_is_reported(environ: dict[str, str]) -> None:
    with_keys(environ, OLD).keep(a=GRANT)
    with_keys(environ, OTHER).keep(lost=GRANT)
    status, lines, error = with_keys(environ, NEW, OLD).run("reseal")
    assert (status, counted(lines)) == (1, [1, 0, 1])
    assert "'lost' cannot be read" in error
    assert "1 of 2 records cannot be read" in error
    assert with_keys(environ, OTHER).kept("lost") == [GRANT]


def test_only_some_can_be_named(environ: dict[str, str]) -> None:
    with_keys(environ, OLD).keep(**GRANTS)
    both = with_keys(environ, NEW, OLD)
    assert counted(both.run("reseal", "a", "b")[1]) == [2, 0, 0]
    assert counted(both.run("reseal")[1]) == [1, 2, 0]
    # Once more, it writes nothing.
    rows = rows_of(both.environ)
    status, lines, _ = both.run("reseal")
    assert (status, counted(lines)) == (0, [0, 3, 0])
    assert rows_of(both.environ) == rows


def test_a_connection_that_is_not_there_is_not_taken_for_one_that_is_done(
    environ: dict[str, str],
) -> None:
    with_keys(environ, OLD).keep(default=GRANT)
    status, lines, error = with_keys(environ, NEW, OLD).run("reseal", "defualt", "default")
    assert (status, lines[-1], counted(lines)) == (1, "not stored here: 1", [1, 0, 0, 1])
    assert error.splitlines() == [
        "defualt: no such connection is stored here",
        f"1 of 2 connections are not stored in {environ['SQLITE_PATH']} (SQLITE_PATH).",
    ]


def test_a_store_in_which_nothing_is_is_not_taken_for_one_that_is_done(
    environ: dict[str, str],
) -> None:
    place = with_keys(environ, NEW)
    assert place.kept("a") == [Unauthorized()]
    status, lines, error = place.run("reseal")
    assert (status, lines) == (1, [])
    assert error.startswith(f"No connection is stored in {environ['SQLITE_PATH']} (SQLITE_PATH). ")


@pytest.mark.parametrize(
    "arguments",
    [["reseal"], ["recover"], ["take-back"], ["export", "grants.export"]],
    ids=lambda arguments: arguments[0],
)
def test_no_command_makes_a_database_where_it_looks_for_one(
    environ: dict[str, str], arguments: list[str]
) -> None:
    status, lines, error = Place(environ).run(*arguments)
    assert (status, lines) == (1, [])
    assert error.startswith(f"{environ['SQLITE_PATH']} (SQLITE_PATH) does not exist")
    assert not Path(environ["SQLITE_PATH"]).exists()


def test_a_concurrent_write_is_not_lost(environ: dict[str, str]) -> None:
    with_keys(environ, OLD).keep(a=GRANT)
    both = with_keys(environ, NEW, OLD)

    async def run() -> None:
        wiring = Wiring(Settings.from_environ(both.environ))
        swap, raced = wiring.store.swap, list[str]()

        async def swap_after_another(
            connection: str, record: Record, *, expected_etag: str | None
        ) -> None:
            if not raced:
                raced.append(connection)
                # By an instance that seals with the old key still.
                await asyncio.to_thread(with_keys(environ, OLD).keep, a=REFRESHING)
                with pytest.raises(ConflictError) as caught:
                    await swap(connection, record, expected_etag=expected_etag)
                raise caught.value
            await swap(connection, record, expected_etag=expected_etag)

        wiring.store.swap = swap_after_another  # type: ignore[method-assign]
        assert await reseal(wiring, "a") is Resealing.RESEALED
        assert raced
        await wiring.store.close()

    asyncio.run(run())
    only = with_keys(environ, NEW)
    assert only.kept("a") == [REFRESHING]
    assert only.events("a") == OF_LEDGER
    assert isinstance(only.kept("a")[0], Refreshing)


def test_a_record_is_sealed_with_the_first_key_when_it_is_next_written(
    environ: dict[str, str],
) -> None:
    with_keys(environ, OLD).keep(a=GRANT)
    with_keys(environ, NEW, OLD).keep(a=REFRESHING)
    assert with_keys(environ, NEW).kept("a") == [REFRESHING]
