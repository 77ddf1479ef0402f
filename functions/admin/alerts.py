"""`alerts test`: sends a test alert to each channel."""

from argparse import ArgumentParser, Namespace

from functions.admin.command import Command, map_concurrently, printable, stream
from functions.alerts.trial import trial_message, try_channel
from functions.settings.settings import SettingsError
from functions.wiring import Wiring

_DESCRIPTION = """\
alerts test [CHANNEL]

Sends a test alert to each channel of ALERTS and ALERT_WEBHOOK_URL, or to the one of this name. It
prints one line per channel, and fails if one of them did not take the alert. It reads and changes
nothing in the store."""


def _declare(parser: ArgumentParser) -> None:
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    test = actions.add_parser("test", help="send a test alert")
    test.add_argument("channel", nargs="?", metavar="CHANNEL", help="only to the one of this name")


async def _run(wiring: Wiring, options: Namespace) -> str | None:
    try:
        wiring.settings.alerts()
    except SettingsError as error:
        return f"Invalid configuration: {error}."
    channels = {channel.name: channel for channel in wiring.alerting.channels}
    if not channels:
        return "There is no channel: set ALERTS, or ALERT_WEBHOOK_URL (docs/alerts.md)."
    if options.channel is not None and options.channel not in channels:
        return f"There is no channel of this name. The channels: {', '.join(channels)}."
    names = list(channels) if options.channel is None else [options.channel]
    message = trial_message(
        wiring.entropy.token(), wiring.clock.now(), source=wiring.settings.public_url
    )

    async def send(name: str) -> str | None:
        return await try_channel(channels[name], message)

    failed = 0
    async for name, reason in map_concurrently(stream(names), send):
        failed += reason is not None
        print(f"{name}: {'sent' if reason is None else f'not sent: {printable(reason)}'}")
    return None if not failed else f"Not sent to {failed} of {len(names)} channels."


COMMAND = Command(
    summary="send a test alert to the channels",
    description=_DESCRIPTION,
    declare=_declare,
    run=_run,
    may_create_store=True,
)
