"""`python -m functions.admin export`, `import`, `take-back`: no grant is lost on the move."""

import asyncio
import errno
import os
import signal
import stat
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest

from domain.grant import (
    Attempt,
    AuthorizationRequired,
    Authorized,
    Cause,
    Failure,
    FailureState,
    Grant,
    Moved,
    Refreshing,
    Unauthorized,
)
from domain.tokens import Tokens
from functions.admin.command import MAX_CONCURRENCY
from functions.admin.new_file import new_file
from functions.admin.take_over import Import, take_over
from functions.settings.settings import Settings
from functions.wiring import Wiring
from ports.export import ExportedGrant
from ports.store import Record
from tests.domain.examples import LEDGER, POLICY, T0, TOKENS
from tests.functions.commands import admin_process, environ_in, run_admin
from tests.records import record_of

NOW = datetime.now(UTC)
GRANT = Authorized(tokens=replace(TOKENS, account="a@a.example", extra=(("realmId", "1"),)))
NEWER = Authorized(tokens=replace(TOKENS, generation=8, refresh_token="refresh-8"))
REQUIRED = AuthorizationRequired(
    tokens=TOKENS, cause=Cause.REFRESH_TOKEN_REJECTED, client=POLICY.client, since=T0
)
DOUBT = FailureState(failures=1, failure=Failure.UNKNOWN, at=T0, retry_at=NOW, in_doubt_since=T0)
LEASE = timedelta(seconds=60)

_Result = TypeVar("_Result")


def refreshing(started_at: datetime) -> Refreshing:
    attempt = Attempt(
        id="attempt", authorized_at=T0, generation=7, client="client", started_at=started_at
    )
    return Refreshing(tokens=TOKENS, attempt=attempt, failure_state=None)


OF_LEDGER = [entry.event.value for entry in LEDGER]


@dataclass(frozen=True, slots=True)
class Place:
    """A deployment by its environment: its commands, and what is in its store."""

    environ: dict[str, str] = field(repr=False)

    def run(self, *arguments: str) -> tuple[int, list[str], str]:
        """Run a command; return its status, the lines that it printed, and its errors."""
        status, output, error = run_admin(self.environ, *arguments)
        assert "Traceback" not in error, error
        return status, output.splitlines(), error

    def keep(self, **grants: Grant) -> None:
        """Replace stored grants; each keeps its ledger."""

        async def swap(wiring: Wiring) -> None:
            for name, grant in grants.items():
                there = await wiring.store.load(name)
                record = record_of(grant, f"{there.etag}+", there.ledger or LEDGER)
                await wiring.store.swap(name, record, expected_etag=there.etag)

        self._use(swap)

    def kept(self, *names: str) -> list[Grant]:
        """Return stored grants."""

        async def load(wiring: Wiring) -> list[Grant]:
            return [(await wiring.store.load(name)).grant for name in names]

        return self._use(load)

    def events(self, name: str) -> list[str]:
        """Return the events in the ledger of a connection."""
        ledger = self._use(lambda wiring: wiring.store.load(name)).ledger
        return [entry.event.value for entry in ledger]

    def _use(self, work: Callable[[Wiring], Awaitable[_Result]]) -> _Result:
        async def use() -> _Result:
            wiring = Wiring(Settings.from_environ(self.environ))
            try:
                return await work(wiring)
            finally:
                await wiring.store.close()

        return asyncio.run(use())

    def import_it(self, moved: Moved, spoil: Callable[[Wiring], None]) -> Import:
        """Take a grant over as connection `c`, where the store is spoiled."""

        async def work(wiring: Wiring) -> Import:
            spoil(wiring)
            return await take_over(wiring, "c", ExportedGrant(moved=moved, ledger=()))

        return self._use(work)


@pytest.fixture
def place(tmp_path: Path) -> Callable[[str], Place]:
    def make(name: str, **changes: str) -> Place:
        return Place(environ_in(tmp_path, name, **changes))

    return make


@pytest.fixture
def source(place: Callable[[str], Place]) -> Place:
    return place("source")


@pytest.fixture
def target(place: Callable[[str], Place]) -> Place:
    return place("target")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "grants.export"


def exported(source: Place, file: Path, *names: str) -> None:
    status, _, error = source.run("export", str(file), *names)
    assert status == 0, error


# There


def test_name_that_a_terminal_would_obey_is_shown_without_that(source: Place, file: Path) -> None:
    kept: dict[str, Grant] = {"evil\x1b[2J\x9b1m\nall good": Unauthorized(), "good": GRANT}
    source.keep(**kept)
    _, _, error = source.run("export", str(file))
    assert error == "evil?[2J?1m?all good: nothing to hand over, because nobody has logged in\n"


def test_all_grants_move_unchanged_and_the_source_marks_them_as_moved(
    source: Place, target: Place, file: Path
) -> None:
    names = ["authorized", "required", "doubtful"]
    doubtful = Authorized(tokens=TOKENS, failure_state=DOUBT)
    source.keep(authorized=GRANT, required=REQUIRED, doubtful=doubtful)
    source.keep(forgotten=Unauthorized())
    status, said, error = source.run("export", str(file))
    assert (status, said) == (0, [f"connections handed over, and in {file}: 3"])
    assert error == "forgotten: nothing to hand over, because nobody has logged in\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in file.parent.iterdir() if "export" in path.name] == [file.name]
    assert all(isinstance(grant, Moved) for grant in source.kept(*names))
    status, said, error = target.run("import", str(file))
    assert (status, error) == (0, "")
    assert sorted(said) == sorted(f"{name}: imported" for name in names)
    assert target.kept(*names) == [GRANT, REQUIRED, doubtful]
    assert source.events("required") == [*OF_LEDGER, "moved"]
    assert target.events("required") == [*OF_LEDGER, "moved", "imported"]


def test_more_connections_than_go_at_once_go_in_one_file(
    source: Place, target: Place, file: Path
) -> None:
    names = [f"c{number:03}" for number in range(100 + MAX_CONCURRENCY)]
    source.keep(**dict.fromkeys(names, GRANT))
    _, _, error = source.run("export", str(file))
    assert error == "100 connections are handed over\n"
    status, said, error = target.run("import", str(file))
    assert (status, said) == (0, [f"{name}: imported" for name in names])
    assert error == f"100 of {len(names)}\n"
    assert target.kept(*names) == [GRANT] * len(names)


def test_some_may_go_alone(source: Place, file: Path) -> None:
    source.keep(a=GRANT, b=GRANT)
    exported(source, file, "b")
    assert source.kept("a") == [GRANT]
    assert isinstance(source.kept("b")[0], Moved)


def test_export_again_writes_the_same_grants_and_import_again_finds_them_there(
    source: Place, target: Place, file: Path
) -> None:
    source.keep(a=GRANT, b=GRANT)
    exported(source, file, "a")
    again = file.with_name("again.export")
    exported(source, again)
    assert target.run("import", str(file))[1] == ["a: imported"]
    assert target.run("import", str(again))[:2] == (0, ["a: already there", "b: imported"])
    assert target.run("import", str(again))[1] == ["a: already there", "b: already there"]


def a_file(path: Path) -> None:
    path.write_text("something else")


def a_link_to_nothing(path: Path) -> None:
    path.symlink_to(path.with_name("nothing"))


@pytest.mark.parametrize("put", [a_file, a_link_to_nothing])
def test_an_existing_file_is_not_overwritten_and_nothing_is_handed_over(
    source: Place, file: Path, put: Callable[[Path], None]
) -> None:
    source.keep(a=GRANT)
    put(file)
    before = file.lstat().st_ino
    status, _, error = source.run("export", str(file))
    assert (status, error) == (1, f"Nothing was written: {file} exists.\n")
    assert file.lstat().st_ino == before
    assert source.kept("a") == [GRANT]


def test_a_file_that_cannot_take_its_place_is_found_before_anything_is_done(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_names: object) -> None:
        """Answer as a file system does that has no hard links."""
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", refuse)
    entered = False
    with pytest.raises(PermissionError), new_file(file):
        entered = True
    assert not entered
    assert not list(file.parent.iterdir())


def test_a_file_that_cannot_take_its_place_at_the_end_is_reported_with_the_moved_connections(
    source: Place, target: Place, file: Path
) -> None:
    source.keep(a=GRANT, b=refreshing(datetime.now(UTC)))
    with admin_process(source.environ, "export", str(file)) as process:
        assert process.stderr is not None
        assert process.stderr.readline().startswith("b: waiting for a refresh in flight")
        file.write_text("something else")
        source.keep(b=NEWER)
        said = process.stderr.read()
    assert process.returncode == 1
    assert said.startswith("No file was written: [Errno 17] File exists")
    assert "Handed over already, and answered 410 from now on: 2." in said
    assert file.read_text() == "something else"
    assert list(file.parent.glob("*export*")) == [file]
    again = file.with_name("again.export")
    exported(source, again)
    assert target.run("import", str(again))[1] == ["a: imported", "b: imported"]


def test_where_the_file_cannot_be_written_nothing_is_handed_over(
    source: Place, tmp_path: Path
) -> None:
    source.keep(a=GRANT)
    status, _, error = source.run("export", str(tmp_path / "no-such-folder" / "file"))
    assert (status, "Nothing was written" in error) == (1, True)
    assert source.kept("a") == [GRANT]


def test_an_export_of_nothing_writes_no_file(source: Place, file: Path) -> None:
    assert source.kept("a") == [Unauthorized()]
    status, _, error = source.run("export", str(file))
    assert (status, error) == (1, "Nothing was written: nobody has logged in here.\n")
    assert not list(file.parent.glob("*export*"))


def test_a_refresh_in_flight_is_waited_for_to_its_end_or_its_leases(
    source: Place, target: Place, file: Path
) -> None:
    began = datetime.now(UTC) - LEASE + timedelta(seconds=5)
    source.keep(ended=refreshing(began), before=GRANT)
    status, _, error = source.run("export", str(file))
    assert (status, error) == (
        0,
        "ended: waiting for a refresh in flight (a minute at most)\n",
    )
    assert target.run("import", str(file))[0] == 0
    [ended] = target.kept("ended")
    assert isinstance(ended, Authorized)
    assert ended.failure_state is not None
    assert ended.failure_state.in_doubt_since == began


@pytest.mark.usefixtures("interruptible")
def test_an_interrupted_export_leaves_no_file_and_can_restart(source: Place, file: Path) -> None:
    source.keep(a=GRANT, b=refreshing(datetime.now(UTC)))
    with admin_process(source.environ, "export", str(file)) as process:
        assert process.stderr is not None
        assert process.stderr.readline().startswith("b: waiting for a refresh in flight")
        process.send_signal(signal.SIGINT)
        said = process.stderr.read()
    assert (process.returncode, said) == (1, "Interrupted. No data was lost; run this again.\n")
    assert not list(file.parent.glob("*export*"))
    source.keep(b=NEWER)
    exported(source, file)
    assert source.run("take-back", "--not-imported")[1] == ["a: taken back", "b: taken back"]
    assert source.kept("a", "b") == [GRANT, NEWER]


def test_an_unreadable_record_is_named_and_left_and_the_others_go(
    source: Place, place: Callable[..., Place], file: Path
) -> None:
    place("source", CLIENT_SECRET="another").keep(b=GRANT)
    source.keep(a=GRANT)
    status, said, error = source.run("export", str(file))
    assert (status, said) == (1, [f"connections handed over, and in {file}: 1"])
    assert "Not handed over: the stored record of connection 'b' cannot be read" in error
    assert place("source", CLIENT_SECRET="another").kept("b") == [GRANT]


# Grants that the target has already


@pytest.mark.parametrize(
    ("tokens", "outcome"),
    [
        (NEWER.tokens, "kept what is here, which is newer"),
        (
            replace(TOKENS, generation=0, authorized_at=NOW),
            "kept what is here: somebody has logged in since",
        ),
        (replace(TOKENS, access_token="later"), "already there"),
    ],
)
@pytest.mark.parametrize("state", [GRANT, REQUIRED, refreshing(NOW)], ids=["a", "r", "in flight"])
def test_a_newer_grant_is_never_overwritten(
    place: Callable[[str], Place], file: Path, tokens: Tokens, outcome: str, state: Authorized
) -> None:
    source, target = place("source"), place("target")
    there = replace(state, tokens=tokens)
    target.keep(c=there)
    source.keep(c=GRANT)
    exported(source, file)
    assert target.run("import", str(file)) == (0, [f"c: {outcome}"], "")
    assert target.kept("c") == [there]


def test_an_older_grant_is_replaced(source: Place, target: Place, file: Path) -> None:
    target.keep(a=GRANT, b=Authorized(tokens=replace(TOKENS, authorized_at=T0 - LEASE)))
    source.keep(a=NEWER, b=GRANT)
    exported(source, file)
    assert target.run("import", str(file)) == (0, ["a: imported", "b: imported"], "")
    assert target.kept("a", "b") == [NEWER, GRANT]


def test_an_unreadable_record_is_not_overwritten(
    source: Place, place: Callable[..., Place], file: Path
) -> None:
    unreadable = place("target", CLIENT_SECRET="another")
    unreadable.keep(a=GRANT)
    source.keep(a=NEWER, b=GRANT)
    exported(source, file)
    status, said, error = place("target").run("import", str(file))
    assert (status, error) == (1, "1 of 2 were not imported.\n")
    assert said == ["a: not imported: what is here cannot be read", "b: imported"]
    assert unreadable.kept("a") == [GRANT]


def test_a_source_refuses_its_own_export(source: Place, file: Path) -> None:
    source.keep(a=GRANT)
    exported(source, file)
    status, said, _ = source.run("import", str(file))
    assert status == 1
    assert said == ["a: not imported: this deployment has itself handed it over; see take-back"]
    assert isinstance(source.kept("a")[0], Moved)


# Files that are of no use


def test_a_file_that_is_cut_off_is_refused_before_anything_is_written(
    source: Place, target: Place, file: Path
) -> None:
    source.keep(a=GRANT, b=GRANT)
    exported(source, file)
    file.write_text("".join(file.read_text().splitlines(keepends=True)[:-1]))
    status, said, error = target.run("import", str(file))
    assert (status, said) == (1, [])
    assert error.startswith(f"Nothing was imported from {file}: its last line is missing")
    assert target.kept("a", "b") == [Unauthorized()] * 2


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"CLIENT_SECRET": "another"}, "set the CLIENT_SECRET and the ENCRYPTION_KEYS"),
        (
            {"CLIENT_ID": "another"},
            "client client at https://api.digikey.com/v1/oauth2/token exported it",
        ),
        ({"PROVIDER": "digikey-sandbox"}, "cannot use its refresh tokens"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_file_for_another_key_ring_or_client_is_refused_before_anything_is_written(
    source: Place, place: Callable[..., Place], file: Path, changes: dict[str, str], said: str
) -> None:
    source.keep(a=GRANT)
    exported(source, file)
    target = place("target", **changes)
    status, _, error = target.run("import", str(file))
    assert (status, said in error) == (1, True)
    assert target.kept("a") == [Unauthorized()]


def test_keys_of_the_source_may_follow_the_targets_own(
    place: Callable[..., Place], file: Path
) -> None:
    one, other = (f"{letter * 43}=" for letter in "AE")
    source = place("source", ENCRYPTION_KEYS=one)
    source.keep(a=GRANT)
    exported(source, file)
    assert place("target", ENCRYPTION_KEYS=other).run("import", str(file))[0] == 1
    target = place("target", ENCRYPTION_KEYS=f"{other},{one}")
    assert target.run("import", str(file))[1] == ["a: imported"]
    assert place("target", ENCRYPTION_KEYS=other).kept("a") == [GRANT]


def test_a_missing_or_foreign_file_is_refused(target: Place, file: Path) -> None:
    assert "Nothing was imported" in target.run("import", str(file))[2]
    file.write_bytes(b"\xff\xfe")
    assert "Nothing was imported" in target.run("import", str(file))[2]


def test_blank_lines_in_a_file_are_ignored(source: Place, target: Place, file: Path) -> None:
    source.keep(a=GRANT)
    exported(source, file)
    file.write_text(f"\n{file.read_text()}\n \n")
    assert target.run("import", str(file)) == (0, ["a: imported"], "")


@pytest.mark.parametrize("command", [["export", "file"], ["reseal"], ["take-back"]], ids=str)
@pytest.mark.parametrize("name", ["\udcff", "", "a b", "-"], ids=ascii)
def test_an_invalid_name_is_refused(source: Place, command: list[str], name: str) -> None:
    status, said, error = source.run(*command, name)
    assert (status, said) == (2, [])
    assert f"{name!a} is not a valid connection name" in error


def test_file_with_a_name_that_is_not_utf8_is_written_and_read(
    source: Place, target: Place, tmp_path: Path
) -> None:
    source.keep(a=GRANT)
    file = tmp_path / "\udcff"
    assert source.run("export", str(file)) == (
        0,
        [f"connections handed over, and in {tmp_path}/?: 1"],
        "",
    )
    assert target.run("import", str(file)) == (0, ["a: imported"], "")


# And back


def test_a_grant_that_has_been_refreshed_there_comes_back_and_is_used_again(
    source: Place, target: Place, file: Path
) -> None:
    source.keep(a=GRANT, b=GRANT)
    exported(source, file)
    target.run("import", str(file))
    target.keep(a=NEWER)
    back = file.with_name("back.export")
    exported(target, back)
    assert source.run("import", str(back)) == (0, ["a: imported", "b: imported"], "")
    assert source.kept("a", "b") == [NEWER, GRANT]
    # The first file is of no use any more, wherever it is imported.
    assert target.run("import", str(file))[0] == 1
    assert source.run("import", str(file))[1] == [
        "a: kept what is here, which is newer",
        "b: already there",
    ]
    assert all(isinstance(grant, Moved) for grant in target.kept("a", "b"))
    assert target.events("a") == [*OF_LEDGER, "moved", "imported", "moved"]
    assert source.events("a") == [*OF_LEDGER, "moved", "imported", "moved", "imported"]


def test_connections_that_were_not_imported_are_taken_back_at_the_owners_word_only(
    source: Place, file: Path
) -> None:
    source.keep(a=GRANT, b=REQUIRED, c=GRANT)
    exported(source, file, "a", "b")
    status, said, error = source.run("take-back")
    assert (status, [line.split(":")[0] for line in said]) == (1, ["a", "b"])
    assert "run this again with --not-imported" in error
    assert all(isinstance(grant, Moved) for grant in source.kept("a", "b"))
    assert source.run("take-back", "--not-imported", "b") == (0, ["b: taken back"], "")
    assert source.run("take-back", "--not-imported") == (0, ["a: taken back"], "")
    assert source.kept("a", "b", "c") == [GRANT, REQUIRED, GRANT]
    assert source.events("a") == [*OF_LEDGER, "moved", "taken-back"]
    assert source.events("c") == OF_LEDGER
    assert source.run("take-back", "--not-imported") == (1, [], "Nothing is handed over.\n")


def test_to_take_back_an_unknown_connection_fails_by_its_name(source: Place, file: Path) -> None:
    source.keep(a=GRANT)
    exported(source, file)
    said = "b: no such connection is stored here\n"
    assert source.run("take-back", "b") == (1, [], f"{said}Nothing is handed over.\n")
    assert source.run("take-back", "--not-imported", "b", "a") == (
        1,
        ["a: taken back"],
        f"{said}1 of 2 were not taken back.\n",
    )


# Faults


def test_a_store_that_is_away_ends_it_and_nothing_is_left_undone_for_good(
    source: Place, place: Callable[..., Place], file: Path
) -> None:
    away = Place(
        {
            **{name: value for name, value in source.environ.items() if name != "SQLITE_PATH"},
            "KV_REST_API_URL": "http://127.0.0.1:9",
            "KV_REST_API_TOKEN": "not-a-real-token",
        }
    )
    for arguments in (("export", str(file)), ("export", str(file), "a"), ("take-back",)):
        status, _, error = away.run(*arguments)
        assert (status, error.startswith("The store is not available")) == (1, True), error
        assert not list(file.parent.glob("*export*"))
    source.keep(a=GRANT)
    exported(source, file)
    status, _, error = away.run("import", str(file))
    assert (status, error.startswith("The store is not available")) == (1, True), error
    assert place("target").run("import", str(file))[0] == 0


def test_a_damaged_store_is_reported_with_its_remedy(
    place: Callable[..., Place], file: Path, tmp_path: Path
) -> None:
    database = tmp_path / "damaged.sqlite"
    database.write_text("this is not a database " * 100)
    status, _, error = place("damaged", SQLITE_PATH=str(database)).run("export", str(file))
    assert status == 1
    assert "\nThe store's data is damaged: " in error
    assert error.strip().endswith("put a backup in its place (docs/sqlite.md).")


def test_a_write_that_the_store_has_lost_is_not_imported(
    target: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def forget(*_names: str, **_what: object) -> None:
        """Report success."""

    def spoil(wiring: Wiring) -> None:
        monkeypatch.setattr(wiring.store, "swap", forget)

    assert target.import_it(Moved(grant=GRANT, since=NOW), spoil) is Import.NOT_READ_BACK
    assert target.import_it(Moved(grant=GRANT, since=NOW), lambda _: None) is Import.IMPORTED


def test_a_grant_that_an_instance_refreshes_at_once_is_imported(
    target: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    def spoil(wiring: Wiring) -> None:
        swap = wiring.store.swap

        async def be_refreshed(connection: str, record: Record, **what: Any) -> None:
            await swap(connection, record, **what)
            await swap(connection, record_of(NEWER, "next"), expected_etag=record.etag)

        monkeypatch.setattr(wiring.store, "swap", be_refreshed)

    assert target.import_it(Moved(grant=GRANT, since=NOW), spoil) is Import.IMPORTED
    assert target.kept("c") == [NEWER]
