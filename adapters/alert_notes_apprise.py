"""Alerts through the library Apprise, for services that have no kind of their own."""

import asyncio
import logging

import apprise

from adapters.alert_threads import AlertThreads
from ports.alert_transport import TIME_LIMIT, DeliveryTimeoutError, NotDeliveredError, PlainNote

# Its lines have URLs with secrets.
logging.getLogger("apprise").setLevel(logging.CRITICAL)


class AppriseNotes:
    """Sends notes to one URL of Apprise."""

    def __init__(self, url: str) -> None:
        """`url` is checked at the first note."""
        self._url = url
        self._threads = AlertThreads()

    async def send(self, item: PlainNote) -> None:
        """Send a note. Raises NotDeliveredError."""
        try:
            async with asyncio.timeout(TIME_LIMIT.total_seconds()):
                is_sent = await self._threads.run(lambda: self._notify(item))
        except TimeoutError as error:
            seconds = TIME_LIMIT.total_seconds()
            raise DeliveryTimeoutError(f"no answer within {seconds:g} s") from error
        if not is_sent:
            raise NotDeliveredError("the service did not accept it: try the URL with `apprise -vv`")

    def _notify(self, note: PlainNote) -> bool:
        sender = apprise.Apprise()
        if not sender.add(self._url):
            raise NotDeliveredError("Apprise does not know this URL")
        # Plain: each service escapes it.
        return bool(
            sender.notify(body=note.text, title=note.title, body_format=apprise.NotifyFormat.TEXT)
        )
