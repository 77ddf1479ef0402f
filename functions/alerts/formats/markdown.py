"""Mattermost's and Rocket.Chat's incoming webhooks: a text in Markdown.

Values are code, in which neither reads markup. Both may read mentions everywhere, such as @channel
and Slack's `<!channel>`. An invisible character after each `@` and `<` breaks them.
https://developers.mattermost.com/integrate/webhooks/incoming/
https://docs.rocket.chat/docs/integrations
"""

from functions.alerts.formats.posts import json_post
from functions.alerts.texts import LINK_TEXT, Notice
from functions.settings.alert_targets import ChatTarget
from ports.alert_transport import Post

_BREAK = "\u200b"


def markdown_post(notice: Notice, target: ChatTarget) -> Post:
    """Return the request."""
    facts = "\n".join(f"- {label}: {_code(value)}" for label, value in notice.facts)
    link = "" if notice.link is None else f"\n\n[{LINK_TEXT}]({notice.link})"
    text = f"{_code(notice.title)}\n\n{notice.event} {notice.action}{link}\n\n{facts}"
    return json_post(target.url, {"text": text})


def break_mentions(text: str) -> str:
    """Return a text that mentions nobody."""
    return text.replace("@", f"@{_BREAK}").replace("<", f"<{_BREAK}")


def _code(text: str) -> str:
    return f"`{break_mentions(text).replace('`', chr(39))}`"
