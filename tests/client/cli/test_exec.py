"""`oauth-callback exec`: the program's variables, files, signals and exit code."""

import os
import pty
import signal
import sys
from pathlib import Path

import pytest

from tests.client.cli.rig import COMMAND, Cli

WITH_SINK = ("--sink", "plain:token")


@pytest.mark.parametrize(
    ("options", "code"),
    [pytest.param((), -9, id="in place of it"), pytest.param(WITH_SINK, 137, id="as a child")],
)
def test_the_program_has_its_variables_and_its_own_end(
    cli: Cli, options: tuple[str, ...], code: int
) -> None:
    command = ("--env=A", "--env=B=b", "--connection=c", *options, "--", "sh", "-c")
    process = cli.process("exec", *command, 'echo $A $B; test "$0" = x || exit 3', "y")
    assert process.communicate() == ("c-token-1 b-token-1\n", "")
    assert process.returncode == 3
    killed = cli.process("exec", *command, "kill -9 $$")
    killed.communicate()
    assert killed.returncode == code


@pytest.mark.parametrize("options", [(), WITH_SINK], ids=["in place of it", "as a child"])
def test_a_broken_pipe_ends_the_program_as_ever(cli: Cli, options: tuple[str, ...]) -> None:
    command = ("sh", "-c", "kill -s PIPE $$; echo survived")
    process = cli.process("exec", "--env=A", *options, "--", *command)
    assert process.communicate() == ("", "")


def test_a_file_is_fresh_while_the_program_runs(cli: Cli, tmp_path: Path) -> None:
    cli.keeper.connection().lifetime = 2
    wait = "cat token; until grep -qv token-1 token; do sleep 0.05; done; exit 5"
    process = cli.process("exec", "--min-ttl=1", *WITH_SINK, "--", "sh", "-c", wait)
    assert process.communicate() == ("token-1\n", "")
    assert process.returncode == 5
    # It stays afterwards.
    assert [each.name for each in tmp_path.iterdir()] == ["token"]


PROGRAM = """
import os, signal, sys
def report(number, _frame):
    os.write(1, f"{signal.Signals(number).name}\\n".encode())
for name in sys.argv[1:]:
    signal.signal(getattr(signal, name), report)
os.write(1, b"ready\\n")
while True:
    signal.pause()
"""


def test_signals_are_passed_on(cli: Cli) -> None:
    names = ("SIGHUP", "SIGINT", "SIGUSR1", "SIGUSR2", "SIGTERM")
    program = (sys.executable, "-c", PROGRAM, *names)
    # Without a terminal, whose signals would arrive at both.
    process = cli.process("exec", *WITH_SINK, "--", *program, start_new_session=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    for name in names:
        process.send_signal(getattr(signal, name))
        assert process.stdout.readline() == f"{name}\n"
    process.send_signal(signal.SIGQUIT)
    process.communicate()
    assert process.returncode == 128 + signal.SIGQUIT


def test_an_interrupt_of_the_terminal_arrives_once(cli: Cli) -> None:
    program = (sys.executable, "-c", PROGRAM, "SIGINT", "SIGUSR1")
    child, terminal = pty.fork()
    if child == 0:
        os.execve(sys.executable, [*COMMAND, "exec", *WITH_SINK, "--", *program], cli.environ)  # noqa: S606

    def read_until(text: bytes) -> bytes:
        seen = b""
        while text not in seen:
            seen += os.read(terminal, 1024)
        return seen

    read_until(b"ready")
    # The program has the interrupt before the command handles it, so that the two do not merge.
    os.kill(child, signal.SIGSTOP)
    os.write(terminal, b"\x03")
    read_until(b"SIGINT")
    os.kill(child, signal.SIGCONT)
    os.kill(child, signal.SIGUSR1)
    assert b"SIGINT" not in read_until(b"SIGUSR1")
    os.write(terminal, b"\x1c")
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 128 + signal.SIGQUIT
    os.close(terminal)


@pytest.mark.parametrize(
    ("program", "code", "message"),
    [
        pytest.param("no-such-command", 127, "command not found", id="not on the path"),
        pytest.param("./none", 127, "command not found", id="no file"),
        pytest.param("./text", 126, "not executable", id="not executable"),
        pytest.param("./folder", 126, "not executable", id="folder"),
        pytest.param("./broken", 126, "Exec format error", id="no program"),
        pytest.param("", 127, "command not found", id="empty"),
    ],
)
@pytest.mark.parametrize("options", [("--env=A",), WITH_SINK], ids=["in place of it", "as a child"])
def test_a_program_that_cannot_run(
    cli: Cli, tmp_path: Path, *, program: str, code: int, message: str, options: tuple[str, ...]
) -> None:
    (tmp_path / "text").write_text("echo")
    (tmp_path / "folder").mkdir()
    (tmp_path / "broken").write_bytes(b"\x7fELF")
    (tmp_path / "broken").chmod(0o700)
    ended = cli("exec", *options, "--", program)
    assert (ended.code, ended.out) == (code, "")
    assert ended.err == f"oauth-callback: {program}: {message}.\n"
    # This process writes to closed sockets, and is not ended by it.
    assert signal.getsignal(signal.SIGPIPE) is signal.SIG_IGN
    if program != "./broken":
        assert cli.keeper.requests == []
        assert not (tmp_path / "token").exists()


def test_without_a_token_the_program_does_not_run(cli: Cli, tmp_path: Path) -> None:
    cli.keeper.require_login()
    assert cli("exec", "--env=A=a", *WITH_SINK, "--", "touch", "ran").code == 77
    assert list(tmp_path.iterdir()) == []
