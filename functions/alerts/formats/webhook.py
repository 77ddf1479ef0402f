"""Standard Webhooks: a signed CloudEvent.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Protocol

from functions.alerts.cloud_events import CONTENT_TYPE, cloud_event
from functions.alerts.message import AlertMessage
from functions.settings.alert_targets import WebhookTarget
from ports.alert_transport import Post


class Sign(Protocol):
    """Signs a webhook with each secret."""

    def __call__(self, secrets: Sequence[str], *, message_id: str, at: datetime, body: str) -> str:
        """Return the value of the header `webhook-signature`."""
        ...


def webhook_post(
    message: AlertMessage, target: WebhookTarget, *, sign: Sign, now: Callable[[], datetime]
) -> Post:
    """Return the request. Its timestamp is that of this delivery, its id that of the alert."""
    body, at = cloud_event(message), now()
    signature = sign(target.secrets, message_id=message.alert.id, at=at, body=body)
    return Post(
        url=target.url,
        headers={
            "content-type": CONTENT_TYPE,
            "webhook-id": message.alert.id,
            "webhook-timestamp": str(int(at.timestamp())),
            "webhook-signature": signature,
        },
        body=body.encode(),
        secrets=(target.url, *target.secrets),
    )
