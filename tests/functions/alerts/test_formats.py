"""The formats of channels: texts from outside are never markup, a mention or a header."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from html import unescape
from typing import Any

import pytest

from domain.alerts import AlertKind
from functions.alerts.cloud_events import cloud_event
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
from functions.alerts.message import AlertMessage
from functions.alerts.texts import notice_of, one_line
from functions.settings.alert_targets import (
    Addresses,
    Chat,
    ChatTarget,
    NtfyTarget,
    ProgramTarget,
    ResendTarget,
    TelegramTarget,
)
from ports.alert_transport import Post
from tests.functions.alerts.messages import AT, EXAMPLES, LINK, with_texts

ADDRESSES = Addresses(sender="Keeper <keeper@example.com>", recipients=("ada@example.com",))
NTFY = NtfyTarget(server="https://ntfy.example", topic="not-a-real-topic", token=None)
TELEGRAM = TelegramTarget(
    server="https://api.telegram.org", token="not-a-real-token", chat="-1", thread=None
)
RESEND = ResendTarget(addresses=ADDRESSES, server="https://api.resend.com", api_key="not-real")
HOSTILE = [
    "<!channel> <!here|x> <@U123> <https://evil.example|Log in>",
    "@everyone @here @channel @all <@&123> @alice",
    "<users/all> <b>bold</b> <a href='https://evil.example'>Log in</a> &amp;",
    "[Log in](https://evil.example) **bold** `code` ~~x~~ # head > quote | table _a_ ![x](y)",
    "``` block ``` \\` \\* `a`b`",
    "x\r\nBcc: eve@example.com\r\n\r\nbody",
    "x\nPriority: 1\u2028Subject: y\x00\x0b",
    "{{DATE(2017-02-14T06:00:00Z, SHORT)}} <at>all</at>",
    "=?utf-8?q?=0ABcc:_eve=40example.com?=",
    "$(touch /tmp/x) `touch /tmp/x` ; | & %s {0}",
    "\u202egnp.exe \u2066\u2069 \ud83d\ude00 é ü 漢字 \U0001f600",
    "x" * 5000,
    "*_`[" * 1000,
]
TEXTS = [
    pytest.param(text.encode("utf-16", "surrogatepass").decode("utf-16"), id=f"hostile-{n}")
    for n, text in enumerate(HOSTILE)
]


def _chat(make: Callable[..., Post], chat: Chat) -> Callable[[AlertMessage], Post]:
    target = ChatTarget(chat=chat, url="https://chat.example/hooks/not-a-real-hook")
    return lambda message: make(notice_of(message), target)


POSTS: dict[str, Callable[[AlertMessage], Post]] = {
    "slack": _chat(slack_post, Chat.SLACK),
    "markdown": _chat(markdown_post, Chat.MATTERMOST),
    "google-chat": _chat(google_chat_post, Chat.GOOGLE_CHAT),
    "discord": _chat(discord_post, Chat.DISCORD),
    "teams": _chat(teams_post, Chat.TEAMS),
    "ntfy": lambda message: ntfy_post(notice_of(message), NTFY),
    "telegram": lambda message: telegram_post(notice_of(message), TELEGRAM),
    "resend": lambda message: resend_post(message, notice_of(message), RESEND),
}


def body_of(kind: str, message: AlertMessage) -> Any:
    post = POSTS[kind](message)
    assert all(value.isascii() and value.isprintable() for value in post.headers.values())
    return json.loads(post.body)


def texts_in(value: object) -> list[str]:
    """Return every text in a JSON value, in order."""
    if isinstance(value, str):
        return [value]
    if not isinstance(value, dict | list):
        return []
    children = value.values() if isinstance(value, dict) else value
    return [text for child in children for text in texts_in(child)]


@pytest.mark.parametrize("text", TEXTS)
class TestHostileTexts:
    """Each format with a hostile name, account, provider and quote."""

    def test_slack_reads_no_markup(self, text: str) -> None:
        body = body_of("slack", with_texts(text))
        objects = [block.get("text") for block in body["blocks"]] + body["blocks"][-1]["fields"]
        marked = [each["text"] for each in objects if each and each["type"] == "mrkdwn"]
        assert marked == [f"<{LINK}|Log in>"]
        assert "<" not in body["text"]
        assert body["unfurl_links"] is body["unfurl_media"] is False
        assert all(len(each["text"]) <= 2000 for each in body["blocks"][-1]["fields"])
        assert len(body["blocks"][0]["text"]["text"]) <= 150

    def test_markdown_has_the_text_as_code_without_mentions(self, text: str) -> None:
        shown = body_of("markdown", with_texts(text))["text"]
        outside = re.sub(r"`[^`\n]*`", "", shown)
        assert shown.count("`") % 2 == 0
        assert set(re.findall(r"\]\(([^)]*)\)", outside)) == {LINK}
        assert not re.search(r"@[A-Za-z0-9]|<[!@A-Za-z]", shown)
        assert "evil" not in outside

    def test_google_chat_shows_the_text_itself(self, text: str) -> None:
        widgets = body_of("google-chat", with_texts(text))["cardsV2"][0]["card"]["sections"][0]
        tags = {tag for each in texts_in(widgets) for tag in re.findall(r"<[^>]*>", each)}
        assert tags == {"<b>", "</b>", "<br>"}
        facts = [each["decoratedText"] for each in widgets["widgets"] if "decoratedText" in each]
        assert unescape(facts[0]["text"]) == one_line(text)

    def test_discord_mentions_nobody(self, text: str) -> None:
        body = body_of("discord", with_texts(text))
        assert body["allowed_mentions"] == {"parse": []}
        assert "content" not in body
        (embed,) = body["embeds"]
        links = re.findall(r"(?<!\\)\]\(", json.dumps(embed, ensure_ascii=False))
        assert len(links) == 1
        shown = [embed["title"], embed["description"], *(x["value"] for x in embed["fields"])]
        assert sum(map(len, shown)) + sum(len(x["name"]) for x in embed["fields"]) <= 6000
        assert len(embed["title"]) <= 256
        assert all(len(each["value"]) <= 1024 for each in embed["fields"])

    def test_teams_has_texts_without_markdown_only(self, text: str) -> None:
        body = body_of("teams", with_texts(text))
        card = body["attachments"][0]["content"]
        kinds = {run["type"] for block in card["body"] for run in block["inlines"]}
        assert {block["type"] for block in card["body"]} == {"RichTextBlock"}
        assert kinds == {"TextRun"}
        assert card["actions"] == [{"type": "Action.OpenUrl", "title": "Log in", "url": LINK}]
        assert len(json.dumps(body)) < 28 * 1024

    def test_ntfy_has_no_text_in_a_header(self, text: str) -> None:
        post = ntfy_post(notice_of(with_texts(text)), NTFY)
        assert set(post.headers) == {"content-type"}
        body = json.loads(post.body)
        assert body["markdown"] is False
        assert len(body["message"].encode()) <= 4096
        assert body["click"] == LINK
        assert body["message"].count("\n") == 9

    def test_telegram_reads_no_markup_and_mentions_nobody(self, text: str) -> None:
        body = body_of("telegram", with_texts(text))
        assert not {"parse_mode", "entities"} & set(body)
        assert body["link_preview_options"] == {"is_disabled": True}
        assert not re.search(r"@\w", body["text"])
        assert LINK in body["text"].splitlines()
        assert len(body["text"]) <= 4096

    def test_a_mail_has_the_headers_of_the_format_only(self, text: str) -> None:
        message = with_texts(text)
        read = message_from_bytes(bytes(mail_of(message, notice_of(message), ADDRESSES)))
        assert sorted(map(str.lower, read.keys())) == [
            *("auto-submitted", "content-transfer-encoding", "content-type", "date", "from"),
            *("message-id", "mime-version", "subject", "to"),
        ]
        assert read["to"] == "ada@example.com"
        parsed = message_from_bytes(
            bytes(mail_of(message, notice_of(message), ADDRESSES)),
            EmailMessage,
            policy=policy.default,
        )
        # Python adds a space before a long word.
        assert parsed["subject"].strip() == notice_of(message).title.replace("=?", "= ?")
        assert LINK in parsed.get_content()

    def test_resend_has_the_text_as_text(self, text: str) -> None:
        body = body_of("resend", with_texts(text))
        assert "html" not in body
        assert not re.search(r"\n|=\?", body["subject"])
        assert body["to"] == ["ada@example.com"]

    def test_a_topic_has_a_subject_that_sns_accepts(self, text: str) -> None:
        message = with_texts(text)
        made = topic_message(message, notice_of(message))
        assert re.fullmatch(r"[ -~]{1,99}", made.subject)
        assert "=?" not in made.subject.replace("= ?", "")
        assert len(made.texts["sms"]) <= 140
        assert json.loads(made.texts["sqs"])["data"]["account"] == text

    def test_a_program_gets_the_text_as_a_variable_only(self, text: str) -> None:
        message = with_texts(text)
        target = ProgramTarget(command=("/bin/notify", "me"))
        run = program_run(message, notice_of(message), target)
        assert run.command == ("/bin/notify", "me")
        assert not [value for value in run.variables.values() if "\0" in value]
        assert run.variables["ALERT_LINK"] == LINK

    def test_an_event_has_the_text_as_it_is(self, text: str) -> None:
        event = json.loads(cloud_event(with_texts(text)))
        assert event["subject"] == event["data"]["connection"] == text
        assert event["data"]["said"] == text


@pytest.mark.parametrize("kind", POSTS)
@pytest.mark.parametrize("alert", EXAMPLES, ids=lambda kind: kind.value)
def test_each_format_has_title_event_action_and_link(kind: str, alert: AlertKind) -> None:
    message = EXAMPLES[alert]
    notice = notice_of(message)
    found = unescape(" ".join(texts_in(body_of(kind, message)))).replace("\\", "")
    found = found.replace("\u200b", "")
    for text in (notice.title, notice.event, notice.action, message.link or ""):
        assert text in found
    assert ("Log in" in found or kind in {"telegram", "resend"}) or message.link is None


def test_a_post_hides_its_secrets_and_names_them() -> None:
    post = telegram_post(notice_of(EXAMPLES[AlertKind.TEST]), TELEGRAM)
    assert post.url == "https://api.telegram.org/botnot-a-real-token/sendMessage"
    assert set(post.secrets) == {post.url, TELEGRAM.token}
    assert "not-a-real" not in repr(post)
    assert "not-a-real" not in repr((TELEGRAM, NTFY))


def test_an_event_is_a_cloud_event() -> None:
    event = json.loads(cloud_event(EXAMPLES[AlertKind.LOGIN_NEEDED]))
    # https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md#required-attributes
    assert {"specversion", "id", "source", "type"} <= set(event)
    assert event["specversion"] == "1.0"
    assert event["type"] == "connection.login-needed"
    assert datetime.fromisoformat(event["time"]) == AT
    assert all(re.fullmatch("[a-z0-9]{1,20}", name) for name in event)
    assert AT.tzinfo is UTC


def test_an_event_of_a_deployment_without_an_address_has_a_source() -> None:
    message = replace(EXAMPLES[AlertKind.SWEEP_OVERDUE], source=None)
    event = json.loads(cloud_event(message))
    assert event["source"] == "oauth-callback"
    assert "subject" not in event
