"""`python -m functions.admin recover`: stores tokens that the store had refused."""

import asyncio
import json
import os
import pty
import signal
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from domain.grant import Attempt, AuthorizationRequired, Authorized, Cause, Grant, Refreshing
from domain.ledger import HistoryEvent
from functions.admin.recover import find, recover
from functions.settings.settings import Settings
from functions.wiring import Wiring
from ports.rescue import RescuedRecord
from tests.domain.examples import LEDGER, POLICY, RESPONSE, T0, TOKENS
from tests.functions.commands import ROOT, admin_process, environ_in, run_admin
from tests.records import record_of

ATTEMPT = Attempt(id="attempt", authorized_at=T0, generation=7, client=POLICY.client, started_at=T0)
REFRESHING = Refreshing(tokens=TOKENS, attempt=ATTEMPT, failure_state=None)
DAMAGED = "a rescue line is cut off or damaged"
NEW = TOKENS.refreshed(RESPONSE, issued_at=T0, provider=POLICY.provider)


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return environ_in(tmp_path)


@dataclass(frozen=True, slots=True)
class Recovery:
    """Connection `c` of a deployment, and its rescue lines."""

    wiring: Wiring
    caplog: pytest.LogCaptureFixture
    capsys: pytest.CaptureFixture[str]

    def keep(self, grant: Grant) -> None:
        async def swap() -> None:
            before = await self.wiring.client(None).keeper.load("c")
            record = record_of(grant, "intent", LEDGER)
            await self.wiring.store.swap("c", record, expected_etag=before.etag)

        asyncio.run(swap())

    def kept(self) -> Grant:
        return asyncio.run(self.wiring.client(None).keeper.load("c")).grant

    def line(self, by: Wiring | None = None) -> str:
        """Return the rescue line of NEW, or that of another deployment."""
        record = record_of(Authorized(tokens=NEW), "rescued")
        rescued = RescuedRecord(connection="c", expected_etag="intent", record=record)
        (by or self.wiring).rescue.emit(rescued)
        return self.caplog.messages[-1]

    def replay(self, *lines: str) -> tuple[bool, list[str]]:
        """Return whether every rescue line could be replayed, and what was printed."""
        is_complete = asyncio.run(recover(self.wiring, find(self.wiring.rescue, lines)))
        return is_complete, self.capsys.readouterr().out.splitlines()


@pytest.fixture
def recovery(
    environ: dict[str, str], caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> Recovery:
    """A deployment whose connection is in the middle of a refresh."""
    recovery = Recovery(Wiring(Settings.from_environ(environ)), caplog, capsys)
    recovery.keep(REFRESHING)
    return recovery


def test_a_rescue_line_is_applied_once_and_then_already_there(recovery: Recovery) -> None:
    printed = ["c: applied", "c: already there"]
    assert recovery.replay("noise", recovery.line(), "{", recovery.line()) == (True, printed)
    assert recovery.kept() == Authorized(tokens=NEW)
    ledger = asyncio.run(recovery.wiring.client(None).keeper.load("c")).ledger
    assert ledger[:-1] == LEDGER
    assert (ledger[-1].event, ledger[-1].generation) == (HistoryEvent.RESCUED, NEW.generation)


def test_a_rescue_line_leaves_out_the_ledger_and_shows_no_token(
    recovery: Recovery, caplog: pytest.LogCaptureFixture
) -> None:
    # Platforms cut off long lines.
    record = record_of(Authorized(tokens=NEW), "rescued")
    rescue = recovery.wiring.rescue
    for ledger in ((), LEDGER * 10):
        longer = replace(record, ledger=ledger)
        rescue.emit(RescuedRecord(connection="c", expected_etag="intent", record=longer))
        read = rescue.read(caplog.messages[-1])
        assert read == [RescuedRecord(connection="c", expected_etag="intent", record=record)]
    assert len(caplog.messages[-1]) == len(caplog.messages[-2])
    assert "access-8" not in caplog.text
    assert "refresh-8" not in caplog.text


@pytest.mark.parametrize(
    "grant",
    [
        replace(REFRESHING, attempt=replace(ATTEMPT, id="second")),
        Authorized(tokens=TOKENS),
        AuthorizationRequired(
            tokens=TOKENS, cause=Cause.REFRESH_ANSWER_LOST, client="client", since=T0
        ),
    ],
    ids=lambda grant: type(grant).__name__,
)
def test_a_record_that_moved_on_without_new_tokens_is_replaced(
    recovery: Recovery, grant: Grant
) -> None:
    recovery.keep(grant)
    assert recovery.replay(recovery.line()) == (True, ["c: applied"])
    assert recovery.kept() == Authorized(tokens=NEW)


@pytest.mark.parametrize("generation", [8, 9])
def test_newer_tokens_are_never_overwritten(recovery: Recovery, generation: int) -> None:
    newer = Authorized(tokens=replace(NEW, generation=generation, refresh_token="newer"))
    recovery.keep(newer)
    assert recovery.replay(recovery.line()) == (True, ["c: superseded"])
    assert recovery.kept() == newer


def test_a_record_that_the_store_has_lost_is_brought_back(
    recovery: Recovery, environ: dict[str, str], tmp_path: Path
) -> None:
    empty = Settings.from_environ({**environ, "SQLITE_PATH": str(tmp_path / "empty.sqlite")})
    recovery = replace(recovery, wiring=Wiring(empty))
    assert recovery.replay(recovery.line())[0]
    assert recovery.kept() == Authorized(tokens=NEW)


def test_a_line_of_another_key_ring_is_named_and_the_others_are_applied(
    recovery: Recovery, environ: dict[str, str]
) -> None:
    other = Wiring(Settings.from_environ({**environ, "CLIENT_SECRET": "another"}))
    is_complete, (failed, applied) = recovery.replay(recovery.line(other), recovery.line())
    assert not is_complete
    assert failed.startswith("failed: ")
    assert "key" in failed
    assert applied == "c: applied"


@pytest.mark.parametrize(
    "members",
    [
        {"connection": 1, "etag": 2, "sealed": 3},
        {"connection": "c", "etag": None, "sealed": []},
        {"connection": "c", "etag": "rescued", "sealed": 5.0},
        {"connection": "c"},
    ],
    ids=str,
)
def test_a_strangers_line_is_reported_and_stops_nothing(
    recovery: Recovery, members: dict[str, object]
) -> None:
    deep = f'{{"connection":{"[" * 100_000}}}'
    written = (json.dumps(members), deep, "{}")
    hostile = [f'"GET /" "oauth-callback-rescue {text}"' for text in written]
    damaged = [f"failed: line {number}: {DAMAGED}" for number in (1, 2, 3)]
    assert recovery.replay(*hostile, recovery.line()) == (False, [*damaged, "c: applied"])


@pytest.mark.parametrize("quoted", [False, True], ids=["plain", "in a platform's JSON"])
def test_a_rescue_line_that_is_cut_off_anywhere_is_reported_by_its_number_only(
    recovery: Recovery, *, quoted: bool
) -> None:
    line = recovery.line()
    written = json.dumps({"message": line}) if quoted else line
    first = written.index("{", written.index("rescue")) + 1
    cut = [written[:end] for end in range(first, written.rindex("}") - quoted)]
    assert len(cut) > 300
    damaged = [f"failed: line {number}: {DAMAGED}" for number, _ in enumerate(cut, start=2)]
    assert recovery.replay("noise", *cut) == (False, damaged)


def test_a_line_that_only_mentions_rescue_lines_is_ignored(recovery: Recovery) -> None:
    lines = ["grep oauth-callback-rescue", "oauth-callback-rescue: what is that {}?"]
    assert recovery.replay(*lines) == (True, [])


def test_rescue_lines_that_were_joined_into_one_line_are_all_replayed(recovery: Recovery) -> None:
    line = recovery.line()
    printed = ["c: applied", f"failed: line 1: {DAMAGED}", "c: already there"]
    assert recovery.replay("\t".join((line, line[:150], line))) == (False, printed)


CUT_OFF = "Not every rescue line could be replayed"


@pytest.mark.parametrize(
    ("logs", "status", "printed", "complaint"),
    [
        ("", 0, "", "No rescue line was found.\n"),
        ("GET /\n", 0, "", "No rescue line was found.\n"),
        ("{line:.150}", 1, f"failed: line 1: {DAMAGED}\n", CUT_OFF),
        ("GET /\n{quoted}\n{line}", 0, "c: applied\nc: already there\n", ""),
    ],
    ids=["nothing", "noise", "cut off", "in a platform's JSON"],
)
def test_the_command_reports_each_line_and_fails_where_one_is_cut_off(
    recovery: Recovery,
    environ: dict[str, str],
    *,
    logs: str,
    status: int,
    printed: str,
    complaint: str,
) -> None:
    line = recovery.line()
    quoted = json.dumps({"level": "fatal", "message": f"12:00 {line}"})
    done = run_admin(environ, "recover", logs=logs.format(line=line, quoted=quoted))
    assert done[:2] == (status, printed)
    assert done[2].startswith(complaint) if complaint else not done[2]


def test_the_command_reports_missing_settings_and_unknown_commands(environ: dict[str, str]) -> None:
    status, _, error = run_admin({**environ, "API_KEY": ""}, "recover")
    assert (status, "API_KEY is not set" in error) == (1, True)
    status, _, error = run_admin(environ, "unknown")
    assert (status, "usage:" in error) == (2, True)


# In a process of its own


@pytest.mark.usefixtures("recovery")
def test_a_closed_standard_input_is_refused(environ: dict[str, str]) -> None:
    done = subprocess.run(
        ["sh", "-c", 'exec "$0" -m functions.admin recover <&-', sys.executable],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], **environ},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "Nothing was read: standard input is closed. Run recover < LOGS.\n"


@pytest.mark.usefixtures("interruptible", "recovery")
def test_at_a_terminal_it_names_its_input_and_the_first_interrupt_ends_it(
    environ: dict[str, str],
) -> None:
    keyboard, terminal = pty.openpty()
    with admin_process(environ, "recover", stdin=terminal) as process:
        assert process.stderr is not None
        assert process.stderr.readline().startswith("Reading logs from this terminal")
        process.send_signal(signal.SIGINT)
        error = process.stderr.read()
    os.close(keyboard)
    os.close(terminal)
    assert (process.returncode, error) == (1, "Interrupted. No data was lost; run this again.\n")


def test_the_command_reads_logs_with_bytes_that_are_not_text(
    recovery: Recovery, environ: dict[str, str]
) -> None:
    logs = b"\xff\xfe\xed\xa0\x80\n" + recovery.line().encode()
    done = subprocess.run(
        [sys.executable, "-m", "functions.admin", "recover"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "PYTHONUTF8": "1", "PYTHONIOENCODING": "utf-8", **environ},
        input=logs,
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, b"c: applied\n"), done.stderr
