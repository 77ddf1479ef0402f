"""The composition root of alerts: the transports of channels, made at their first use."""

from collections.abc import Sequence
from contextlib import AsyncExitStack
from email.message import EmailMessage
from functools import cached_property

from adapters.alert_posts_httpx import HttpxPosts
from functions.alerts.channel import Channel
from functions.alerts.channels import channels_of
from functions.alerts.formats.webhook import Sign
from functions.settings.alert_targets import (
    AppriseTarget,
    SesTarget,
    SmtpTarget,
    SnsTarget,
)
from functions.settings.alerts import AlertSettings
from ports.alert_transport import PlainNote, Post, ProgramRun, TopicMessage, Transport
from ports.clock import Clock


class AlertTransports:
    """The transports. Libraries are imported where a channel needs them."""

    def __init__(self, clock: Clock, to_close: AsyncExitStack) -> None:
        """`to_close` gets what is opened."""
        self.clock = clock
        self._to_close = to_close

    @cached_property
    def sign(self) -> Sign:
        """Signs webhooks."""
        from adapters.webhook_signatures import sign

        return sign

    @cached_property
    def posts(self) -> Transport[Post]:
        """Sends HTTP requests."""
        return HttpxPosts()

    @cached_property
    def programs(self) -> Transport[ProgramRun]:
        """Runs programs."""
        from adapters.alert_programs import SubprocessPrograms

        return SubprocessPrograms()

    def mails(self, target: SmtpTarget | SesTarget) -> Transport[EmailMessage]:
        """Return what sends mails through a server."""
        if isinstance(target, SesTarget):
            from adapters.alert_mails_ses import SesMails

            ses = SesMails(region_name=target.region)
            self._to_close.callback(ses.close)
            return ses
        from adapters.alert_mails_smtp import SmtpMails

        return SmtpMails(
            target.host,
            target.port,
            starttls=target.starttls,
            username=target.username,
            password=target.password,
        )

    def topic(self, target: SnsTarget) -> Transport[TopicMessage]:
        """Return what publishes to a topic."""
        from adapters.alert_topic_sns import SnsTopic

        topic = SnsTopic(target.topic_arn, is_fifo=target.is_fifo, region_name=target.region)
        self._to_close.callback(topic.close)
        return topic

    def notes(self, target: AppriseTarget) -> Transport[PlainNote]:
        """Return what sends notes through Apprise."""
        from adapters.alert_notes_apprise import AppriseNotes

        return AppriseNotes(target.url)


def make_channels(
    settings: AlertSettings, clock: Clock, to_close: AsyncExitStack
) -> Sequence[Channel]:
    """Return the channels."""
    return tuple(channels_of(settings, AlertTransports(clock, to_close)))
