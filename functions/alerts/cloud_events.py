"""An alert as a CloudEvent 1.0 in JSON, for programs."""

import json
from datetime import UTC, datetime

from functions.alerts.message import AlertMessage
from functions.alerts.texts import notice_of

CONTENT_TYPE = "application/cloudevents+json; charset=utf-8"
# A URI reference is required. Without PUBLIC_URL a deployment has no address.
_NO_SOURCE = "oauth-callback"


def cloud_event(message: AlertMessage) -> str:
    """Return the event. Members of `data` that are unknown are left out."""
    alert, notice = message.alert, notice_of(message)
    data = {
        "connection": message.connection,
        "provider": message.provider,
        "account": alert.account,
        "cause": alert.cause,
        "since": _rfc3339(alert.since),
        "expires_at": _rfc3339(alert.expires_at),
        "said": alert.quote,
        "title": notice.title,
        "text": f"{notice.event} {notice.action}",
        "link": message.link,
    }
    event = {
        "specversion": "1.0",
        "id": alert.id,
        "source": message.source or _NO_SOURCE,
        "type": alert.kind.value,
        "subject": message.connection,
        "time": _rfc3339(alert.at),
        "datacontenttype": "application/json",
        "data": {name: value for name, value in data.items() if value is not None},
    }
    return json.dumps({name: value for name, value in event.items() if value is not None})


def _rfc3339(instant: datetime | None) -> str | None:
    if instant is None:
        return None
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
