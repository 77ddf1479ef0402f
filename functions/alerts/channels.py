"""The channels of a deployment: each makes the format of its kind, and sends it."""

import logging
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, replace
from email.message import EmailMessage
from functools import partial
from typing import Protocol, TypeAlias, assert_never

from domain.alerts import AlertKind
from functions.alerts.channel import Channel
from functions.alerts.formats.discord import discord_post
from functions.alerts.formats.google_chat import google_chat_post
from functions.alerts.formats.mail import mail_of, resend_post
from functions.alerts.formats.markdown import markdown_post
from functions.alerts.formats.ntfy import ntfy_post
from functions.alerts.formats.program import program_run
from functions.alerts.formats.slack import slack_post
from functions.alerts.formats.teams import teams_post
from functions.alerts.formats.telegram import telegram_post
from functions.alerts.formats.topic import topic_message
from functions.alerts.formats.webhook import Sign, webhook_post
from functions.alerts.message import AlertMessage
from functions.alerts.refusals import channel_error, was_sent_before
from functions.alerts.texts import Notice, notice_of
from functions.settings.alert_targets import (
    AppriseTarget,
    Chat,
    ChatTarget,
    NtfyTarget,
    ProgramTarget,
    ResendTarget,
    SesTarget,
    SmtpTarget,
    SnsTarget,
    TelegramTarget,
    WebhookTarget,
)
from functions.settings.alerts import AlertSettings, ChannelSettings
from ports.alert_transport import (
    NotDeliveredError,
    PlainNote,
    Post,
    ProgramRun,
    TopicMessage,
    Transport,
)
from ports.clock import Clock

_log = logging.getLogger(__name__)

Send: TypeAlias = Callable[[AlertMessage], Awaitable[None]]


class Transports(Protocol):
    """The transports, each made at its first use."""

    clock: Clock

    @property
    def sign(self) -> Sign:
        """Signs webhooks."""
        ...

    @property
    def posts(self) -> Transport[Post]:
        """Sends HTTP requests."""
        ...

    @property
    def programs(self) -> Transport[ProgramRun]:
        """Runs programs."""
        ...

    def mails(self, target: SmtpTarget | SesTarget) -> Transport[EmailMessage]:
        """Return what sends mails through a server."""
        ...

    def topic(self, target: SnsTarget) -> Transport[TopicMessage]:
        """Return what publishes to a topic."""
        ...

    def notes(self, target: AppriseTarget) -> Transport[PlainNote]:
        """Return what sends notes through Apprise."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetChannel:
    """A channel that sends to the target of an entry."""

    settings: ChannelSettings
    _send: Send

    @property
    def name(self) -> str:
        """Its name, unique in the deployment."""
        return self.settings.name

    def takes(self, kind: AlertKind, connection: str | None) -> bool:
        """Whether alerts of this kind and connection are sent here."""
        return self.settings.takes(kind, connection)

    async def send(self, message: AlertMessage) -> None:
        """Send an alert. Raises ChannelError, ChannelGoneError."""
        try:
            await self._send(message)
        except NotDeliveredError as error:
            if not was_sent_before(error):
                raise channel_error(error) from error


def channels_of(settings: AlertSettings, transports: Transports) -> Iterator[Channel]:
    """Yield the channels in the order of the settings.

    One whose library is missing is logged and left out.
    """
    for channel in settings.channels:
        try:
            send = _sender(channel, transports)
        except ImportError as error:
            _log.error(
                "alerts: channel %s is off: %s: %s", channel.name, type(error).__name__, error
            )
        else:
            yield TargetChannel(settings=channel, _send=send)


def _sender(channel: ChannelSettings, transports: Transports) -> Send:
    """Return how the target of a channel gets an alert."""
    target = channel.target
    match target:
        case WebhookTarget():
            make = partial(
                webhook_post, target=target, sign=transports.sign, now=transports.clock.now
            )
            return _poster(transports, make)
        case ChatTarget(chat=chat):
            chat_post = _CHATS[chat]
            return _poster(transports, lambda message: chat_post(notice_of(message), target))
        case NtfyTarget():
            return _poster(transports, lambda message: ntfy_post(notice_of(message), target))
        case TelegramTarget():
            return _poster(transports, lambda message: telegram_post(notice_of(message), target))
        case ResendTarget():
            return _poster(
                transports, lambda message: resend_post(message, notice_of(message), target)
            )
        case SmtpTarget(addresses=addresses) | SesTarget(addresses=addresses):
            mails = transports.mails(target)
            return lambda message: mails.send(mail_of(message, notice_of(message), addresses))
        case SnsTarget():
            topic = transports.topic(target)
            return lambda message: topic.send(topic_message(message, notice_of(message)))
        case ProgramTarget():
            programs = transports.programs
            return lambda message: programs.send(program_run(message, notice_of(message), target))
        case AppriseTarget():
            notes = transports.notes(target)
            return lambda message: notes.send(_note(notice_of(message)))
        case _:
            assert_never(target)


def _poster(transports: Transports, make: Callable[[AlertMessage], Post]) -> Send:
    """Return what sends the request of an alert. A receiver may repeat the login link."""

    async def send(message: AlertMessage) -> None:
        post = make(message)
        links = () if message.link is None else (message.link,)
        await transports.posts.send(replace(post, secrets=(*post.secrets, *links)))

    return send


_CHATS: dict[Chat, Callable[[Notice, ChatTarget], Post]] = {
    Chat.SLACK: slack_post,
    Chat.MATTERMOST: markdown_post,
    Chat.ROCKETCHAT: markdown_post,
    Chat.GOOGLE_CHAT: google_chat_post,
    Chat.DISCORD: discord_post,
    Chat.TEAMS: teams_post,
}


def _note(notice: Notice) -> PlainNote:
    return PlainNote(title=notice.title, text="\n".join(notice.lines()))
