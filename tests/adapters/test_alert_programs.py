"""Programs on this machine: no shell, a bare environment, a time limit."""

import asyncio
import json
import os
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from adapters import alert_programs
from adapters.alert_programs import SubprocessPrograms
from domain.alerts import AlertKind
from functions.alerts.formats.program import program_run
from functions.alerts.texts import notice_of
from functions.settings.alert_targets import ProgramTarget
from ports.alert_transport import NotDeliveredError, ProgramRun
from tests.functions.alerts.messages import EXAMPLES, LINK, with_texts

HOSTILE = "$(touch made) `touch made`; touch made \n --help \x00 'x' \"y\""
WRITE = "import json, os, sys; json.dump([sys.argv[1:], dict(os.environ)], open(sys.argv[1], 'w'))"


def run(*command: str, **variables: str) -> None:
    asyncio.run(SubprocessPrograms().send(ProgramRun(command=command, variables=variables)))


def failure(*command: str) -> str:
    with pytest.raises(NotDeliveredError) as caught:
        run(*command)
    return str(caught.value)


def test_a_program_gets_the_alert_in_its_environment_and_no_secret_of_the_deployment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLIENT_SECRET", "not-a-real-secret")
    monkeypatch.chdir(tmp_path)
    message = with_texts(HOSTILE)
    target = ProgramTarget(command=(sys.executable, "-c", WRITE, "found.json", "$HOME; x"))
    asyncio.run(SubprocessPrograms().send(program_run(message, notice_of(message), target)))
    arguments, variables = json.loads(Path("found.json").read_text())
    assert arguments == ["found.json", "$HOME; x"]
    assert variables["ALERT_LINK"] == LINK
    assert variables["ALERT_TYPE"] == "connection.login-needed"
    assert json.loads(variables["ALERT_EVENT"])["data"]["account"] == HOSTILE
    assert variables["PATH"] == os.environ["PATH"]
    assert "CLIENT_SECRET" not in variables
    assert [path.name for path in tmp_path.iterdir()] == ["found.json"]


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        pytest.param(["/nowhere/notify"], "cannot be started: No such file", id="missing"),
        pytest.param(["/"], "cannot be started: Permission denied", id="a-folder"),
        pytest.param(["a\0b"], "cannot be started: ValueError", id="null"),
        pytest.param(["/bin/sh", "-c", "exit 3"], "failed with status 3", id="status"),
        pytest.param(["/bin/sh", "-c", "kill -9 $$"], "failed with status -9", id="signal"),
    ],
)
def test_a_program_that_fails_is_named(command: list[str], reason: str) -> None:
    assert reason in failure(*command)


def test_a_program_that_hangs_is_ended_with_its_children(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alert_programs, "TIME_LIMIT", timedelta(seconds=1))
    pid = tmp_path / "pid"
    # The parent waits for a child that keeps a pipe open until it ends.
    reader, writer = os.pipe()
    os.set_inheritable(writer, True)  # noqa: FBT003 - its own argument
    monkeypatch.setattr(
        alert_programs,
        "create_subprocess_exec",
        lambda *args, **options: asyncio.create_subprocess_exec(
            *args, **options, pass_fds=[writer]
        ),
    )
    assert "did not end within 1 s" in failure(
        "/bin/sh", "-c", f"sleep 1000 & echo $! > {pid}; wait"
    )
    os.close(writer)
    # The end of the pipe: no process holds the other side.
    assert os.read(reader, 1) == b""
    os.close(reader)


def test_the_variables_of_each_alert_are_texts() -> None:
    for kind in AlertKind:
        message = EXAMPLES[kind]
        made = program_run(message, notice_of(message), ProgramTarget(command=("x",)))
        assert made.variables["ALERT_TYPE"] == kind.value
