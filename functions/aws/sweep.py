"""The scheduled Lambda function: refreshes connections before they expire.

AWS authorizes the caller (EventBridge Scheduler), which has no secret. A sweep raises if it cannot
run or a connection failed, so that AWS retries it and keeps the event if it stays undone. The next
sweep continues an incomplete one. It may run at any time, and twice.
"""

import asyncio
import logging
from contextvars import copy_context
from dataclasses import asdict

from functions.aws.settings import InstanceSettings
from functions.observability.log_lines import write_json_lines
from functions.observability.tracing import request_id_of_context, trace_request
from functions.refresh.sweep import SweepReport
from functions.settings.settings import SettingsError
from functions.wiring import Wiring
from ports.store import StoreUnavailableError

_log = logging.getLogger(__name__)
# Lambda's root logger drops everything below WARNING.
_log.setLevel(logging.INFO)


class SweepFailedError(Exception):
    """A sweep failed, or failed for some connections. The message has no secrets."""


class ScheduledSweep:
    """A Lambda handler of one instance, with one event loop for all calls."""

    def __init__(self, settings: InstanceSettings) -> None:
        self._settings = settings
        self._runner = asyncio.Runner()
        self._wiring: Wiring | None = None

    def __call__(self, _event: object, context: object) -> dict[str, object]:
        """Sweep once, and return the counts. Raises SweepFailedError."""
        write_json_lines()
        with trace_request(request_id_of_context(context)):
            return self._call()

    async def close(self) -> None:
        """Close the parts; the next sweep makes new ones."""
        if self._wiring is not None:
            wiring, self._wiring = self._wiring, None
            await wiring.close()

    def _call(self) -> dict[str, object]:
        if self._settings.update():
            self._runner.run(self.close())
        try:
            # A runner's own context is the one of its first call.
            report = self._runner.run(self._sweep(), context=copy_context())
        except SettingsError as error:
            raise SweepFailedError(f"not configured: {error}") from error
        except StoreUnavailableError as error:
            raise SweepFailedError(f"the store is not available: {error}") from error
        return _counts_or_error(report)

    async def _sweep(self) -> SweepReport:
        if self._wiring is None:
            self._wiring = Wiring(self._settings.current())
        try:
            return await self._wiring.sweep.run()
        finally:
            # The instance is frozen as soon as this has returned.
            await self._wiring.finish()


def _counts_or_error(report: SweepReport) -> dict[str, object]:
    counts = asdict(report)
    text = ", ".join(f"{name}: {value}" for name, value in counts.items())
    if report.failed:
        raise SweepFailedError(f"{text}; see the log for each failed connection")
    # The next sweep continues an incomplete one.
    _log.log(logging.INFO if report.is_complete else logging.WARNING, "swept: %s", text)
    return counts


handler = ScheduledSweep(InstanceSettings())
