"""Runs another program: found as a shell finds it, with signals passed on and its exit code."""

from __future__ import annotations

import os
import signal

from oauth_callback.cli import exits
from oauth_callback.cli.output import reason_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    import subprocess
    from collections.abc import Mapping, Sequence
    from typing import Any

    from oauth_callback.cli.sinks.keeping import FreshFiles

_PASSED_ON = ("SIGTERM", "SIGHUP", "SIGINT", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGCONT")
_LONGEST_WAIT = 60.0
"""Seconds. Within it, Python looks 20 times a second, and handles the signals that came."""
_OF_TERMINAL = frozenset({"SIGINT", "SIGQUIT"})


def find(command: str) -> str:
    """Return the path of a program. Raises CommandFailed (127, 126)."""
    if os.name == "nt":
        # Its search has suffixes, and is not the same as a shell's.
        from shutil import which

        candidates = [which(command) or command]
    elif os.sep in command:
        candidates = [command]
    else:
        folders = os.get_exec_path() if command else []
        candidates = [os.path.join(folder, command) for folder in folders]
    files = [each for each in candidates if os.path.isfile(each)]
    for each in files:
        if os.access(each, os.X_OK):
            return each
    if files or os.path.isdir(command):
        raise exits.CommandFailed(f"{command}: not executable.", code=exits.NOT_EXECUTABLE)
    raise exits.CommandFailed(f"{command}: command not found.", code=exits.NOT_FOUND)


def replace_process(path: str, command: Sequence[str], environ: Mapping[str, str]) -> int:
    """Let the program take the place of this process. On Windows, wait for its end.

    Raises CommandFailed (126).
    """
    if os.name == "nt":
        return run_as_child(path, command, environ, None)
    # Python ignores them, and the program would inherit that.
    numbers = [getattr(signal, name) for name in ("SIGPIPE", "SIGXFSZ")]
    before = [signal.signal(number, signal.SIG_DFL) for number in numbers]
    try:
        os.execve(path, list(command), dict(environ))  # noqa: S606 - the user's own program
    except OSError as error:
        for number, handler in zip(numbers, before):
            signal.signal(number, handler)
        raise _not_executable(command[0], error) from None


def run_as_child(
    path: str,
    command: Sequence[str],
    environ: Mapping[str, str],
    files: FreshFiles | None,
) -> int:
    """Run the program, and keep files fresh until its end. Return the program's exit code.

    A program that a signal ended has 128 and the signal's number, as in a shell.

    Raises CommandFailed (126).
    """
    import subprocess
    from threading import Event, Thread

    stop = Event()
    signals = _Signals()
    try:
        process = subprocess.Popen(list(command), executable=path, env=dict(environ))  # noqa: S603 - the same
    except OSError as error:
        signals.restore()
        raise _not_executable(command[0], error) from None
    signals.pass_on_to(process)
    if files is not None:
        Thread(target=files.keep, args=(stop,), daemon=True).start()
    code = _wait_for(process)
    stop.set()
    if files is not None:
        files.close()
    return code if code >= 0 else 128 - code


def _wait_for(process: subprocess.Popen[bytes]) -> int:
    """Return the exit code. A plain `wait` misses a signal that arrives just before it blocks."""
    from contextlib import suppress
    from subprocess import TimeoutExpired

    while True:
        with suppress(TimeoutExpired):
            return process.wait(timeout=_LONGEST_WAIT)


class _Signals:
    """Takes the signals of this process, and passes them on once there is a program."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._early: list[int] = []
        self._before: dict[int, Any] = {}
        is_in_front = _is_in_front()
        for name in _PASSED_ON:
            number = getattr(signal, name, None)
            if number is None:
                continue
            if signal.getsignal(number) is signal.SIG_IGN:
                # As `nohup` sets it, and the program inherits it.
                continue
            # The terminal sends its own to both.
            handler = _ignore if is_in_front and name in _OF_TERMINAL else self._take
            self._before[number] = signal.signal(number, handler)

    def pass_on_to(self, process: subprocess.Popen[bytes]) -> None:
        """Pass all signals on to the program, those that came already first."""
        self._process = process
        for number in self._early:
            process.send_signal(number)

    def restore(self) -> None:
        """Give the signals back to this process."""
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _take(self, number: int, _frame: object) -> None:
        if self._process is None:
            self._early.append(number)
        else:
            self._process.send_signal(number)


def _ignore(_number: int, _frame: object) -> None:
    """Do nothing. Unlike SIG_IGN, the program does not inherit it."""


def _is_in_front() -> bool:
    """Whether a terminal sends its signals to this process and to the program."""
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)


def _not_executable(command: str, error: OSError) -> exits.CommandFailed:
    return exits.CommandFailed(f"{command}: {reason_of(error)}.", code=exits.NOT_EXECUTABLE)
