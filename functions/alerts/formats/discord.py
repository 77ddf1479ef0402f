"""Discord's webhooks: an embed, which mentions nobody.

https://docs.discord.com/developers/resources/webhook#execute-webhook
"""

import re
from collections.abc import Mapping

from functions.alerts.formats.posts import json_post
from functions.alerts.texts import LINK_TEXT, Notice, Urgency, cut
from functions.settings.alert_targets import ChatTarget
from ports.alert_transport import Post

_MARKUP = re.compile(r"([\\`*_{}\[\]()#+\-.!|~<>:@&/])")
_LONGEST_TITLE = 256
_LONGEST_VALUE = 1024
_COLOURS: Mapping[Urgency, int] = {
    Urgency.NEVER: 0x2E7D32,
    Urgency.SOON: 0xB26A00,
    Urgency.NOW: 0xC62828,
}


def discord_post(notice: Notice, target: ChatTarget) -> Post:
    """Return the request."""
    link = "" if notice.link is None else f"\n[{LINK_TEXT}](<{notice.link}>)"
    embed = {
        "title": _escape(notice.title, _LONGEST_TITLE),
        "description": f"{_escape(notice.event)}\n{_escape(notice.action)}{link}",
        "color": _COLOURS[notice.urgency],
        "fields": [_fact(*fact) for fact in notice.facts],
    }
    return json_post(target.url, {"embeds": [embed], "allowed_mentions": {"parse": []}})


def _fact(label: str, value: str) -> dict[str, object]:
    return {"name": label, "value": _escape(value), "inline": True}


def _escape(text: str, most: int = _LONGEST_VALUE) -> str:
    # Each escaped character takes two.
    return _MARKUP.sub(r"\\\1", cut(text, most // 2))
