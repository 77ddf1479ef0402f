"""`python -m functions.admin recover`: tokens that the store would not take are brought back."""

import asyncio
import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from domain.grant import Attempt, AuthorizationRequired, Authorized, Cause, Grant, Refreshing
from domain.ledger import HistoryEvent
from domain.tokens import Tokens
from functions.admin.recover import find, recover
from functions.settings.settings import Settings
from functions.wiring import Wiring
from ports.rescue import RescuedRecord
from tests.domain.examples import LEDGER, POLICY, RESPONSE, T0, TOKENS
from tests.records import record_of

ROOT = Path(__file__).resolve().parents[2]
ATTEMPT = Attempt(id="attempt", authorized_at=T0, generation=7, client=POLICY.client, started_at=T0)
REFRESHING = Refreshing(tokens=TOKENS, attempt=ATTEMPT, failure_state=None)
DAMAGED = "a rescue line is cut off or damaged"
NEW = TOKENS.refreshed(RESPONSE, issued_at=T0, provider=POLICY.provider)


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {
        "CLIENT_ID": "client",
        "CLIENT_SECRET": "not-a-real-secret",
        "API_KEY": "the-api-key-of-this-test",
        "SQLITE_PATH": str(tmp_path / "grants.sqlite"),
    }


@pytest.fixture
def wiring(environ: dict[str, str]) -> Wiring:
    return Wiring(Settings.from_environ(environ))


def rescue_line(wiring: Wiring, caplog: pytest.LogCaptureFixture, tokens: Tokens = NEW) -> str:
    record = record_of(Authorized(tokens=tokens), "rescued")
    wiring.rescue.emit(RescuedRecord(connection="c", expected_etag="intent", record=record))
    return caplog.messages[-1]


def keep(wiring: Wiring, grant: Grant, etag: str) -> None:
    async def swap() -> None:
        before = await wiring.keeper.load("c")
        record = record_of(grant, etag, LEDGER)
        await wiring.store.swap("c", record, expected_etag=before.etag)

    asyncio.run(swap())


def replay(wiring: Wiring, lines: Iterable[str]) -> bool:
    return asyncio.run(recover(wiring, find(wiring.rescue, lines)))


def kept(wiring: Wiring) -> Grant:
    return asyncio.run(wiring.keeper.load("c")).grant


def test_a_rescue_line_is_applied_once_and_then_already_there(
    wiring: Wiring, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    keep(wiring, REFRESHING, "intent")
    lines = ["noise", rescue_line(wiring, caplog), "{", rescue_line(wiring, caplog)]
    assert replay(wiring, lines)
    assert capsys.readouterr().out.splitlines() == ["c: applied", "c: already there"]
    assert kept(wiring) == Authorized(tokens=NEW)
    ledger = asyncio.run(wiring.keeper.load("c")).ledger
    assert ledger[:-1] == LEDGER
    assert (ledger[-1].event, ledger[-1].generation) == (HistoryEvent.RESCUED, NEW.generation)


def test_a_rescue_line_is_short_whatever_the_ledger(
    wiring: Wiring, caplog: pytest.LogCaptureFixture
) -> None:
    """Platforms cut off long lines."""
    record = record_of(Authorized(tokens=NEW), "rescued")
    for ledger in ((), LEDGER * 10):
        told = replace(record, ledger=ledger)
        wiring.rescue.emit(RescuedRecord(connection="c", expected_etag="intent", record=told))
        assert wiring.rescue.read(caplog.messages[-1]) == [
            RescuedRecord(connection="c", expected_etag="intent", record=record)
        ]
    assert len(caplog.messages[-1]) == len(caplog.messages[-2])


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
    wiring: Wiring,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
    grant: Grant,
) -> None:
    keep(wiring, grant, "later")
    assert replay(wiring, [rescue_line(wiring, caplog)])
    assert capsys.readouterr().out == "c: applied\n"
    assert kept(wiring) == Authorized(tokens=NEW)


@pytest.mark.parametrize("generation", [8, 9])
def test_newer_tokens_are_never_overwritten(
    wiring: Wiring,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
    generation: int,
) -> None:
    newer = Authorized(tokens=replace(NEW, generation=generation, refresh_token="newer"))
    keep(wiring, newer, "newer")
    assert replay(wiring, [rescue_line(wiring, caplog)])
    assert capsys.readouterr().out == "c: superseded\n"
    assert kept(wiring) == newer


def test_what_the_store_has_lost_altogether_is_brought_back(
    wiring: Wiring, caplog: pytest.LogCaptureFixture
) -> None:
    assert replay(wiring, [rescue_line(wiring, caplog)])
    assert kept(wiring) == Authorized(tokens=NEW)


def test_a_line_of_another_key_ring_is_named_and_the_others_are_applied(
    wiring: Wiring,
    environ: dict[str, str],
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    other = Wiring(Settings.from_environ({**environ, "CLIENT_SECRET": "another"}))
    lines = [rescue_line(other, caplog), rescue_line(wiring, caplog)]
    assert not replay(wiring, lines)
    failed, applied = capsys.readouterr().out.splitlines()
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
def test_a_line_of_a_strangers_making_is_said_and_stops_nothing(
    wiring: Wiring,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
    members: dict[str, object],
) -> None:
    text = json.dumps(members)
    deep = f'{{"connection":{"[" * 100_000}}}'
    hostile = [f'"GET /" "oauth-callback-rescue {written}"' for written in (text, deep, "{}")]
    assert not replay(wiring, [*hostile, rescue_line(wiring, caplog)])
    damaged = [f"failed: line {number}: {DAMAGED}" for number in (1, 2, 3)]
    assert capsys.readouterr().out.splitlines() == [*damaged, "c: applied"]


@pytest.mark.parametrize("quoted", [False, True], ids=["plain", "in a platform's JSON"])
def test_a_rescue_line_that_is_cut_off_anywhere_is_said_by_its_number_only(
    wiring: Wiring,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
    *,
    quoted: bool,
) -> None:
    line = rescue_line(wiring, caplog)
    written = json.dumps({"message": line}) if quoted else line
    first = written.index("{", written.index("rescue")) + 1
    cut = [written[:end] for end in range(first, written.rindex("}") - quoted)]
    assert len(cut) > 300
    assert not replay(wiring, ["noise", *cut])
    said = [f"failed: line {number}: {DAMAGED}" for number, _ in enumerate(cut, start=2)]
    assert capsys.readouterr().out.splitlines() == said


def test_what_only_speaks_of_rescue_lines_is_none(
    wiring: Wiring, capsys: pytest.CaptureFixture[str]
) -> None:
    assert replay(wiring, ["grep oauth-callback-rescue", "oauth-callback-rescue: what is that {}?"])
    assert capsys.readouterr().out == ""


def test_rescue_lines_that_were_put_into_one_line_are_all_replayed(
    wiring: Wiring, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    line = rescue_line(wiring, caplog)
    assert not replay(wiring, ["\t".join((line, line[:150], line))])
    assert capsys.readouterr().out.splitlines() == [
        "c: applied",
        f"failed: line 1: {DAMAGED}",
        "c: already there",
    ]


def test_the_command_fails_where_a_line_is_cut_off(
    wiring: Wiring, environ: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    keep(wiring, REFRESHING, "intent")
    logs = rescue_line(wiring, caplog)[:150]
    status, said, error = run_admin(environ, "recover", logs=logs)
    assert (status, said) == (1, f"failed: line 1: {DAMAGED}\n")
    assert error.startswith("Not every rescue line could be replayed")


def test_that_no_rescue_line_was_found_is_said(wiring: Wiring, environ: dict[str, str]) -> None:
    keep(wiring, REFRESHING, "intent")
    for logs in ("", "GET /\n"):
        assert run_admin(environ, "recover", logs=logs) == (
            0,
            "",
            "No rescue line was found.\n",
        )


def test_a_closed_standard_input_is_refused(wiring: Wiring, environ: dict[str, str]) -> None:
    keep(wiring, REFRESHING, "intent")
    done = subprocess.run(
        ["sh", "-c", 'exec "$0" -m functions.admin recover <&-', sys.executable],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], **environ},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == ("Nothing was read: standard input is closed. Run recover < LOGS.\n")


@pytest.mark.usefixtures("interruptible")
def test_at_a_terminal_it_says_what_it_waits_for_and_the_first_interrupt_ends_it(
    wiring: Wiring, environ: dict[str, str]
) -> None:
    keep(wiring, REFRESHING, "intent")
    keyboard, terminal = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "functions.admin", "recover"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], **environ},
        stdin=terminal,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        assert process.stderr.readline().startswith("Reading logs from this terminal")
        process.send_signal(signal.SIGINT)
        said = process.stderr.read()
    os.close(keyboard)
    os.close(terminal)
    assert (process.returncode, said) == (1, "Interrupted. No data was lost; run this again.\n")


def test_the_command_reads_logs_with_bytes_that_are_no_text(
    wiring: Wiring, environ: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    keep(wiring, REFRESHING, "intent")
    logs = b"\xff\xfe\xed\xa0\x80\n" + rescue_line(wiring, caplog).encode()
    done = subprocess.run(
        [sys.executable, "-m", "functions.admin", "recover"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "PYTHONUTF8": "1", "PYTHONIOENCODING": "utf-8", **environ},
        input=logs,
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, b"c: applied\n"), done.stderr


def test_no_rescue_line_shows_a_token(wiring: Wiring, caplog: pytest.LogCaptureFixture) -> None:
    line = rescue_line(wiring, caplog)
    assert "access-8" not in line
    assert "refresh-8" not in line


def test_the_command_finds_lines_within_a_platforms_own_json(
    wiring: Wiring, environ: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    keep(wiring, REFRESHING, "intent")
    line = rescue_line(wiring, caplog)
    logs = "\n".join(["GET /", json.dumps({"level": "fatal", "message": f"12:00 {line}"}), line])
    assert run_admin(environ, "recover", logs=logs) == (0, "c: applied\nc: already there\n", "")


def test_the_command_says_what_is_wrong(environ: dict[str, str]) -> None:
    status, _, error = run_admin({**environ, "API_KEY": ""}, "recover")
    assert (status, "API_KEY is not set" in error) == (1, True)
    status, _, error = run_admin(environ, "unknown")
    assert (status, "usage:" in error) == (2, True)


def run_admin(environ: dict[str, str], *arguments: str, logs: str = "") -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, "-m", "functions.admin", *arguments],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], **environ},
        input=logs,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr
