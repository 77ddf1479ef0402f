"""Microsoft Teams: an Adaptive Card for a webhook of the app Workflows.

The texts are TextRuns, in which Teams reads no Markdown and no mention.
https://learn.microsoft.com/en-us/adaptive-cards/authoring-cards/text-features
"""

from functions.alerts.formats.posts import json_post
from functions.alerts.texts import LINK_TEXT, Notice
from functions.settings.alert_targets import ChatTarget
from ports.alert_transport import Post


def teams_post(notice: Notice, target: ChatTarget) -> Post:
    """Return the request."""
    card: dict[str, object] = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": [
            _block({"text": notice.title, "weight": "Bolder", "size": "Medium"}),
            _block({"text": notice.event}),
            _block({"text": notice.action}),
            *(_fact(*fact) for fact in notice.facts),
        ],
    }
    if notice.link is not None:
        card["actions"] = [{"type": "Action.OpenUrl", "title": LINK_TEXT, "url": notice.link}]
    attachment = {
        "contentType": "application/vnd.microsoft.card.adaptive",
        "contentUrl": None,
        "content": card,
    }
    return json_post(target.url, {"type": "message", "attachments": [attachment]})


def _block(*runs: dict[str, str]) -> dict[str, object]:
    return {"type": "RichTextBlock", "inlines": [{"type": "TextRun", **run} for run in runs]}


def _fact(label: str, value: str) -> dict[str, object]:
    return _block({"text": f"{label}: ", "weight": "Bolder"}, {"text": value})
