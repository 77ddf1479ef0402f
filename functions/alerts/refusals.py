"""The errors of channels, by the answers of receivers."""

import json
from datetime import timedelta
from http import HTTPStatus

from functions.alerts.channel import ChannelError, ChannelGoneError, ChannelTimeoutError
from ports.alert_transport import DeliveryTimeoutError, NotDeliveredError

_LONGEST_WAIT = timedelta(days=1)
_WAITING = {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}
# https://resend.com/docs/dashboard/emails/idempotency-keys: the same id, and another login link.
_SENT_BEFORE = b"invalid_idempotent_request"


def channel_error(error: NotDeliveredError) -> ChannelError:
    """Return the channel's error. 410 is for good, as Standard Webhooks demands."""
    if error.status == HTTPStatus.GONE:
        return ChannelGoneError(str(error))
    if isinstance(error, DeliveryTimeoutError):
        return ChannelTimeoutError(str(error))
    return ChannelError(str(error), retry_after=_retry_after(error))


def was_sent_before(error: NotDeliveredError) -> bool:
    """Whether the receiver says that an earlier delivery of the same alert has succeeded."""
    return error.status == HTTPStatus.CONFLICT and _SENT_BEFORE in error.body


def _retry_after(error: NotDeliveredError) -> timedelta | None:
    if error.status not in _WAITING:
        return None
    wait = error.retry_after or _wait_in(error.body)
    return None if wait is None else min(wait, _LONGEST_WAIT)


def _wait_in(body: bytes) -> timedelta | None:
    """Return the seconds in a body of Telegram or Discord."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return None
    match found:
        case {"parameters": {"retry_after": int() | float() as seconds}}:
            pass
        case {"retry_after": int() | float() as seconds}:
            pass
        case _:
            return None
    # Infinity and NaN are JSON to Python.
    if not 0 < seconds < _LONGEST_WAIT.total_seconds():
        return None
    return timedelta(seconds=seconds)
