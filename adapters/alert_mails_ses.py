"""Mails by Amazon SES.

A repeated call sends a second mail with the same Message-ID. An alert is delivered at
least once, so that is allowed.
"""

from email.message import EmailMessage

from adapters.alert_threads import AlertThreads
from adapters.aws_client import AwsClient
from adapters.aws_errors import NoAnswerError, RefusedError
from ports.alert_transport import NotDeliveredError

_CONNECTIONS = 2


class SesMails:
    """Sends mails with the credentials of AWS's own variables."""

    def __init__(self, **access: str | None) -> None:
        """`access` (`region_name`, `endpoint_url`, …) overrides the variables."""
        self._threads = AlertThreads()
        self._client = AwsClient(
            "sesv2", label="Amazon SES", max_connections=_CONNECTIONS, **access
        )

    async def send(self, item: EmailMessage) -> None:
        """Send a mail to all of its recipients. Raises NotDeliveredError."""
        try:
            await self._threads.run(
                lambda: self._client.call("send_email", Content={"Raw": {"Data": bytes(item)}})
            )
        except RefusedError as error:
            raise NotDeliveredError(f"Amazon SES refuses: {error.code}") from error
        except NoAnswerError as error:
            raise NotDeliveredError(str(error)) from error

    def close(self) -> None:
        """Close the connections."""
        self._client.close()
