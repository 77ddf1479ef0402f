"""Runs programs on this machine, without a shell."""

import asyncio
import os
import signal
from asyncio.subprocess import DEVNULL, Process, create_subprocess_exec
from contextlib import suppress

from ports.alert_transport import TIME_LIMIT, DeliveryTimeoutError, NotDeliveredError, ProgramRun

# For programs on a desktop. The others are the deployment's, with its secrets.
_PASSED_ON = (
    "DBUS_SESSION_BUS_ADDRESS",
    "DISPLAY",
    "HOME",
    "LANG",
    "LC_ALL",
    "LOGNAME",
    "PATH",
    "TMPDIR",
    "TZ",
    "USER",
    "WAYLAND_DISPLAY",
    "XAUTHORITY",
    "XDG_RUNTIME_DIR",
)


class SubprocessPrograms:
    """Runs a program in a process group of its own, which ends with the time limit."""

    async def send(self, item: ProgramRun) -> None:
        """Run a program until it exits with 0. Raises NotDeliveredError."""
        passed = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        try:
            process = await create_subprocess_exec(
                *item.command,
                stdin=DEVNULL,
                stdout=DEVNULL,
                stderr=DEVNULL,
                env={**passed, **item.variables},
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or type(error).__name__
            raise NotDeliveredError(f"the program cannot be started: {reason}") from error
        try:
            async with asyncio.timeout(TIME_LIMIT.total_seconds()):
                status = await process.wait()
        except TimeoutError as error:
            seconds = TIME_LIMIT.total_seconds()
            raise DeliveryTimeoutError(f"the program did not end within {seconds:g} s") from error
        finally:
            await _end(process)
        if status != 0:
            raise NotDeliveredError(f"the program failed with status {status}")


async def _end(process: Process) -> None:
    """End the process with those that it has started."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    await process.wait()
