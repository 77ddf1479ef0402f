"""One channel of this instance: its sends have a limit each, and one that hangs is left alone."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta

from domain.alert_delivery import POSTPONED, Result
from domain.alerts import Alert
from domain.ledger import DONE, FAILED
from functions.alerts.channel import (
    Channel,
    ChannelError,
    ChannelGoneError,
    ChannelTimeoutError,
)
from functions.alerts.deployment import DEPLOYMENT, LastDelivery
from functions.alerts.message import AlertMessage
from ports.clock import Clock

SEND_LIMIT = timedelta(seconds=20)
# Sends to one channel at a time, for all connections.
MAX_CONCURRENCY = 4
# After so many sends in a row without an answer, other connections do not wait for it.
_HANGS = 3

_log = logging.getLogger(__name__)


class Outlet:
    """A channel, with what this instance knows of it."""

    def __init__(self, channel: Channel, clock: Clock) -> None:
        self._channel = channel
        self._clock = clock
        self._turns = asyncio.Semaphore(MAX_CONCURRENCY)
        self._hangs = 0
        self._hung_at: datetime | None = None
        self._is_gone = False
        self.last: LastDelivery | None = None

    @property
    def name(self) -> str:
        """The channel's name."""
        return self._channel.name

    def takes(self, alert: Alert, connection: str) -> bool:
        """Whether an alert of a connection, or of the deployment, is sent here."""
        return self._channel.takes(alert.kind, None if connection == DEPLOYMENT else connection)

    async def send(
        self,
        connection: str,
        alerts: Sequence[Alert],
        compose: Callable[[Alert], Awaitable[AlertMessage]],
        *,
        until: datetime,
    ) -> Result:
        """Send alerts in order, up to a failure. No send starts after `until`. Raises nothing."""
        result = Result(self.name)
        for alert in alerts:
            async with self._turns:
                if self._is_gone:
                    return result._replace(is_gone=True)
                if self._is_hanging():
                    return result._replace(is_postponed=True)
                if self._clock.now() >= until:
                    # It lacks the rest: the next round has it.
                    return result._replace(is_postponed=not result.took)
                failed = await self._try(connection, alert, compose)
                outcome = DONE if failed is None else FAILED
                self.last = LastDelivery(at=self._clock.now(), outcome=outcome)
            if failed is not None:
                return failed._replace(took=result.took)
            result = result._replace(took=result.took | {alert.id})
        return result

    async def _try(
        self,
        connection: str,
        alert: Alert,
        compose: Callable[[Alert], Awaitable[AlertMessage]],
    ) -> Result | None:
        """Send one alert; return the failure, None if the channel took it."""
        what = (connection, alert.kind.value, self.name)
        try:
            async with asyncio.timeout(SEND_LIMIT.total_seconds()):
                await self._channel.send(await compose(alert))
        except ChannelGoneError as error:
            self._is_gone = True
            _log.error(
                "connection %s: alert %s: channel %s is gone for good: %s; remove it from ALERTS",
                *what,
                error,
            )
            return Result(self.name, is_gone=True)
        except ChannelTimeoutError as error:
            self._note_hang()
            _log.warning("connection %s: alert %s: not delivered to %s: %s", *what, error)
            return Result(self.name, has_failed=True)
        except ChannelError as error:
            self._hangs = 0
            _log.warning("connection %s: alert %s: not delivered to %s: %s", *what, error)
            after = error.retry_after or timedelta(0)
            return Result(self.name, has_failed=True, retry_after=after)
        except TimeoutError:
            self._note_hang()
            seconds = SEND_LIMIT.total_seconds()
            _log.warning(
                "connection %s: alert %s: not delivered to %s: no answer in %d s", *what, seconds
            )
            return Result(self.name, has_failed=True)
        except Exception as error:  # noqa: BLE001 - the other channels must go on
            # Its text may have a URL with a secret.
            name = type(error).__name__
            _log.error("connection %s: alert %s: not delivered to %s: %s", *what, name)
            return Result(self.name, has_failed=True)
        self._hangs = 0
        _log.info("connection %s: alert %s: delivered to %s", *what)
        return None

    def _note_hang(self) -> None:
        self._hangs, self._hung_at = self._hangs + 1, self._clock.now()

    def _is_hanging(self) -> bool:
        """Whether other sends were not answered a moment ago."""
        if self._hangs < _HANGS or self._hung_at is None:
            return False
        return timedelta(0) <= self._clock.now() - self._hung_at < POSTPONED
