"""The kinds of channels in ALERTS: the members of each, and how they are read."""

import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

from functions.settings.alert_members import BY_REFERENCE, Members
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
    Target,
    TelegramTarget,
    WebhookTarget,
)
from functions.settings.api_keys import EntryError

PROGRAM_KIND = "command"

_PORTS = range(1, 65536)
_THREADS = range(1, 2**31)
_TLS = ("implicit", "starttls")
_SUBMISSION = {"implicit": 465, "starttls": 587}
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,252}[A-Za-z0-9])?")
# https://docs.ntfy.sh/publish/: the server's own pattern.
_TOPIC = re.compile(r"[-_A-Za-z0-9]{1,64}")
_BOT_TOKEN = re.compile(r"[0-9]{1,20}:[A-Za-z0-9_-]{20,100}")
_CHAT = re.compile(r"-?[0-9]{1,20}|@[A-Za-z0-9_]{1,64}")
_REGION = re.compile(r"[a-z]{2,}(-[a-z]+)+-[0-9]")
_TOPIC_ARN = re.compile(
    r"arn:aws[a-z-]*:sns:[a-z]{2,}(-[a-z]+)+-[0-9]:[0-9]{12}:[A-Za-z0-9_-]{1,256}(\.fifo)?"
)
_HEADER = re.compile(r"[!-~]+")


class Kind(NamedTuple):
    """The members of a kind, those that may be in a variable, and the reader."""

    members: tuple[str, ...]
    secrets: tuple[str, ...]
    read: Callable[[Members], Target]

    @property
    def all_members(self) -> tuple[str, ...]:
        """The names of the members, with the references to variables."""
        return (*self.members, *(f"{name}{BY_REFERENCE}" for name in self.secrets))


def _webhook(members: Members) -> Target:
    return WebhookTarget(url=members.url("url"), secrets=members.webhook_secrets("secret"))


def _chat(chat: Chat) -> Callable[[Members], Target]:
    return lambda members: ChatTarget(chat=chat, url=members.url("url"))


def _ntfy(members: Members) -> Target:
    topic = "a topic of 1 to 64 letters, digits, - and _"
    return NtfyTarget(
        server=members.url("server", default="https://ntfy.sh"),
        topic=members.secret("topic", of=topic, fits=_TOPIC.fullmatch),
        token=members.optional_secret("token", of="an access token", fits=_HEADER.fullmatch),
    )


def _telegram(members: Members) -> Target:
    number = members.value("chat")
    of = "the number of a chat, or @name"
    is_number = type(number) is int
    return TelegramTarget(
        server=members.url("server", default="https://api.telegram.org").rstrip("/"),
        token=members.secret("token", of="the token of a bot, 123:ABC…", fits=_BOT_TOKEN.fullmatch),
        chat=str(number) if is_number else members.text("chat", of=of, fits=_CHAT.fullmatch),
        thread=members.number("thread", _THREADS),
    )


def _smtp(members: Members) -> Target:
    of = " or ".join(_TLS)
    why = f"{of}: a login link must not be sent in the clear"
    tls = members.optional("tls", of=why, fits=_TLS.__contains__) or _TLS[0]
    username = members.optional("username", of="a name")
    password = members.optional_secret("password", of="a text")
    if (username is None) != (password is None):
        raise EntryError("set username and password, or neither")
    return SmtpTarget(
        addresses=members.addresses(),
        host=members.text("host", of="the name of a mail server", fits=_HOST.fullmatch),
        port=members.number("port", _PORTS) or _SUBMISSION[tls],
        starttls=tls == "starttls",
        username=username,
        password=password,
    )


def _resend(members: Members) -> Target:
    return ResendTarget(
        addresses=members.addresses(),
        server=members.url("server", default="https://api.resend.com").rstrip("/"),
        api_key=members.secret("api_key", of="an API key of Resend", fits=_HEADER.fullmatch),
    )


def _ses(members: Members) -> Target:
    _require("botocore", "pip install -r infra/locks/aws.txt")
    region = members.optional("region", of="a region, such as eu-central-1", fits=_REGION.fullmatch)
    return SesTarget(addresses=members.addresses(), region=region)


def _sns(members: Members) -> Target:
    _require("botocore", "pip install -r infra/locks/aws.txt")
    of = "the ARN of a topic, arn:aws:sns:REGION:ACCOUNT:NAME"
    return SnsTarget(topic_arn=members.text("topic_arn", of=of, fits=_TOPIC_ARN.fullmatch))


def _program(members: Members) -> Target:
    of = 'a program and its arguments, such as ["/usr/local/bin/notify", "me"]'
    if not isinstance(members.value("command"), list):
        raise EntryError(f"command must be a list: {of}")
    return ProgramTarget(command=members.texts("command", of=of))


def _apprise(members: Members) -> Target:
    _require("apprise", "pip install -r infra/locks/apprise.txt")
    of = "a URL of Apprise, such as pover://user@token"
    return AppriseTarget(url=members.secret("url", of=of, fits=lambda text: "://" in text))


def _require(library: str, how: str) -> None:
    """Check that a library is installed, without its import. Raises EntryError."""
    from importlib.util import find_spec

    if find_spec(library) is None:
        raise EntryError(f"this kind requires {library}: {how}")


_MAIL = ("from", "to")
KINDS: Mapping[str, Kind] = {
    "webhook": Kind(("url", "secret"), ("url", "secret"), _webhook),
    **{chat.value: Kind(("url",), ("url",), _chat(chat)) for chat in Chat},
    "ntfy": Kind(("server", "topic", "token"), ("topic", "token"), _ntfy),
    "telegram": Kind(("server", "token", "chat", "thread"), ("token",), _telegram),
    "smtp": Kind(("host", "port", "tls", "username", "password", *_MAIL), ("password",), _smtp),
    "resend": Kind(("server", "api_key", *_MAIL), ("api_key",), _resend),
    "ses": Kind(("region", *_MAIL), (), _ses),
    "sns": Kind(("topic_arn",), (), _sns),
    PROGRAM_KIND: Kind(("command",), (), _program),
    "apprise": Kind(("url",), ("url",), _apprise),
}
"""The kinds by their name in ALERTS."""
