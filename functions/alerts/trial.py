"""A test alert, which shows whether a channel works."""

from datetime import datetime

from domain.alerts import Alert, AlertKind
from functions.alerts.channel import Channel, ChannelError
from functions.alerts.message import AlertMessage


def trial_message(alert_id: str, at: datetime, *, source: str | None) -> AlertMessage:
    """Return a test alert. `source` is PUBLIC_URL."""
    alert = Alert(id=alert_id, kind=AlertKind.TEST, at=at)
    return AlertMessage(alert=alert, connection=None, provider=None, link=None, source=source)


async def try_channel(channel: Channel, message: AlertMessage) -> str | None:
    """Send a test alert. Return why the channel did not take it; None if it did."""
    try:
        await channel.send(message)
    except ChannelError as error:
        return str(error)
    return None
