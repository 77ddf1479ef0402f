"""Checks the channels of alerts, without sending anything."""

from collections.abc import Iterator

from domain.alerts import AlertKind
from functions.admin.doctor.findings import Finding, fault, ok, warning
from functions.settings.alert_kinds import PROGRAM_KIND
from functions.settings.alert_targets import ProgramTarget
from functions.settings.alerts import ALERTS, AlertSettings, ChannelSettings
from functions.settings.settings import Settings, SettingsError

_TRY = "try them with python -m functions.admin alerts test"


def check_alerts(settings: Settings) -> Iterator[Finding]:
    """Report the channels, and what keeps alerts from people. Nothing without a channel."""
    try:
        alerts = settings.alerts()
    except SettingsError as error:
        yield from (fault(ALERTS, text) for text in error.faults)
        return
    if alerts is None:
        return
    names = ", ".join(channel.name for channel in alerts.channels)
    yield ok(ALERTS, f"the channels are {names}: {_TRY}")
    yield from _check_events(alerts)
    yield from _check_programs(alerts.channels)
    if settings.public_url is None:
        yield warning(ALERTS, "PUBLIC_URL is not set, so that no alert has a login link")
    if settings.cron_secret is None:
        yield warning(
            ALERTS,
            "CRON_SECRET is not set, so that no sweep retries an alert that a channel did not take",
        )


def _check_events(alerts: AlertSettings) -> Iterator[Finding]:
    needed = AlertKind.LOGIN_NEEDED
    if not any(each.events is None or needed in each.events for each in alerts.channels):
        yield warning(ALERTS, f"no channel has the event {needed.value}")


def _check_programs(channels: tuple[ChannelSettings, ...]) -> Iterator[Finding]:
    for channel in channels:
        if isinstance(channel.target, ProgramTarget):
            yield warning(
                ALERTS,
                f"the channel {channel.name!r} is of the kind {PROGRAM_KIND}, which only "
                "`make run` accepts: other servers do not start with it",
            )
