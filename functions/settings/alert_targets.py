"""Where a channel of ALERTS sends to: one class for each kind of place."""

from dataclasses import dataclass, field
from enum import Enum
from typing import TypeAlias


class Chat(Enum):
    """A chat with an incoming webhook, by its `kind` in ALERTS."""

    SLACK = "slack"
    MATTERMOST = "mattermost"
    ROCKETCHAT = "rocketchat"
    GOOGLE_CHAT = "google-chat"
    DISCORD = "discord"
    TEAMS = "teams"


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookTarget:
    """A receiver of Standard Webhooks. Each secret signs; two of them during a replacement."""

    url: str = field(repr=False)
    secrets: tuple[str, ...] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatTarget:
    """The webhook of a chat. Its URL is the secret."""

    chat: Chat
    url: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class NtfyTarget:
    """A topic of an ntfy server. Without `token` the topic's name is the secret."""

    server: str
    topic: str = field(repr=False)
    token: str | None = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class TelegramTarget:
    """A chat of a bot. `thread` is a topic of a forum."""

    server: str
    token: str = field(repr=False)
    chat: str
    thread: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Addresses:
    """The sender and the recipients of a mail. Both may have a name: `Keeper <k@example.com>`."""

    sender: str
    recipients: tuple[str, ...]

    @property
    def domain(self) -> str:
        """The domain of the sender."""
        return self.sender.rpartition("@")[2].strip(" >")


@dataclass(frozen=True, slots=True, kw_only=True)
class SmtpTarget:
    """A mail server. TLS from the start, or by STARTTLS, which is then required."""

    addresses: Addresses
    host: str
    port: int
    starttls: bool
    username: str | None
    password: str | None = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResendTarget:
    """Resend's API."""

    addresses: Addresses
    server: str
    api_key: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class SesTarget:
    """Amazon SES. `region` is None for that of AWS's own variables."""

    addresses: Addresses
    region: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SnsTarget:
    """A topic of Amazon SNS, in the region of its ARN."""

    topic_arn: str

    @property
    def region(self) -> str:
        """The topic's region."""
        return self.topic_arn.split(":")[3]

    @property
    def is_fifo(self) -> bool:
        """Whether the topic keeps the order of messages."""
        return self.topic_arn.endswith(".fifo")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramTarget:
    """A program on this machine, with its arguments."""

    command: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AppriseTarget:
    """A URL of the library Apprise."""

    url: str = field(repr=False)


Target: TypeAlias = (
    WebhookTarget
    | ChatTarget
    | NtfyTarget
    | TelegramTarget
    | SmtpTarget
    | ResendTarget
    | SesTarget
    | SnsTarget
    | ProgramTarget
    | AppriseTarget
)
