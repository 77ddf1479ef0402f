"""Slack's incoming webhooks.

Texts are `plain_text`, in which Slack reads no markup and no mention. The link is `mrkdwn`.
https://docs.slack.dev/messaging/formatting-message-text
"""

from functions.alerts.formats.posts import json_post
from functions.alerts.texts import LINK_TEXT, Notice, cut
from functions.settings.alert_targets import ChatTarget
from ports.alert_transport import Post

_LONGEST_HEADER = 150
_LONGEST_FIELD = 2000


def slack_post(notice: Notice, target: ChatTarget) -> Post:
    """Return the request. Slack fetches no link of it: a login link works once."""
    members = {
        # For notifications, and for programs that show no blocks.
        "text": escape(notice.title),
        "blocks": [
            {"type": "header", "text": _plain(cut(notice.title, _LONGEST_HEADER))},
            {"type": "section", "text": _plain(f"{notice.event}\n{notice.action}")},
            *_link(notice),
            {"type": "section", "fields": [_fact(*fact) for fact in notice.facts]},
        ],
        "unfurl_links": False,
        "unfurl_media": False,
    }
    return json_post(target.url, members)


def escape(text: str) -> str:
    """Escape the characters that begin markup and mentions in `mrkdwn`."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _plain(text: str) -> dict[str, object]:
    # Without `emoji`, `:words:` stay as they are.
    return {"type": "plain_text", "text": text, "emoji": False}


def _fact(label: str, value: str) -> dict[str, object]:
    return _plain(cut(f"{label}: {value}", _LONGEST_FIELD))


def _link(notice: Notice) -> list[dict[str, object]]:
    if notice.link is None:
        return []
    target = escape(notice.link).replace("|", "%7C")
    return [{"type": "section", "text": {"type": "mrkdwn", "text": f"<{target}|{LINK_TEXT}>"}}]
