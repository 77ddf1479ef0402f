"""Telegram's bots: a text without a parse mode, so that no character is markup.

https://core.telegram.org/bots/api#sendmessage
"""

from functions.alerts.formats.markdown import break_mentions
from functions.alerts.formats.posts import json_post
from functions.alerts.texts import Notice, cut
from functions.settings.alert_targets import TelegramTarget
from ports.alert_transport import Post

_LONGEST_TEXT = 4096


def telegram_post(notice: Notice, target: TelegramTarget) -> Post:
    """Return the request. Telegram shows no preview of the login link, which works once."""
    first, *others = notice.lines()
    # The link is not changed.
    lines = [line if line == notice.link else break_mentions(line) for line in others]
    text = "\n".join([break_mentions(notice.title), "", break_mentions(first), *lines])
    members: dict[str, object] = {
        "chat_id": target.chat,
        "text": cut(text, _LONGEST_TEXT),
        "link_preview_options": {"is_disabled": True},
    }
    if target.thread is not None:
        members["message_thread_id"] = target.thread
    url = f"{target.server}/bot{target.token}/sendMessage"
    return json_post(url, members, secrets=(target.token,))
