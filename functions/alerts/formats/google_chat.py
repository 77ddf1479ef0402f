"""Google Chat's incoming webhooks: a card.

Its texts are a subset of HTML, in which Chat reads no mention such as `<users/all>`.
https://developers.google.com/workspace/chat/format-messages
"""

from html import escape

from functions.alerts.formats.posts import json_post
from functions.alerts.texts import LINK_TEXT, Notice
from functions.settings.alert_targets import ChatTarget
from ports.alert_transport import Post


def google_chat_post(notice: Notice, target: ChatTarget) -> Post:
    """Return the request."""
    widgets: list[dict[str, object]] = [
        {"textParagraph": {"text": f"<b>{_text(notice.title)}</b>"}},
        {"textParagraph": {"text": f"{_text(notice.event)}<br>{_text(notice.action)}"}},
        *_button(notice),
        *(_fact(*fact) for fact in notice.facts),
    ]
    card = {"sections": [{"widgets": widgets}]}
    return json_post(target.url, {"cardsV2": [{"cardId": "alert", "card": card}]})


def _text(text: str) -> str:
    return escape(text, quote=False)


def _fact(label: str, value: str) -> dict[str, object]:
    return {"decoratedText": {"topLabel": label, "text": _text(value), "wrapText": True}}


def _button(notice: Notice) -> list[dict[str, object]]:
    if notice.link is None:
        return []
    opening = {"openLink": {"url": notice.link}}
    return [{"buttonList": {"buttons": [{"text": LINK_TEXT, "onClick": opening}]}}]
