"""ntfy: a message published as JSON, so that no text is in a header.

https://docs.ntfy.sh/publish/#publish-as-json
"""

from collections.abc import Mapping

from functions.alerts.formats.posts import json_post
from functions.alerts.texts import LINK_TEXT, Notice, Urgency
from functions.settings.alert_targets import NtfyTarget
from ports.alert_transport import Post

# A longer message becomes a file.
_LONGEST_BYTES = 4096
_PRIORITIES: Mapping[Urgency, int] = {Urgency.NEVER: 3, Urgency.SOON: 4, Urgency.NOW: 5}
_TAGS: Mapping[Urgency, str] = {
    Urgency.NEVER: "white_check_mark",
    Urgency.SOON: "warning",
    Urgency.NOW: "rotating_light",
}


def ntfy_post(notice: Notice, target: NtfyTarget) -> Post:
    """Return the request."""
    members: dict[str, object] = {
        "topic": target.topic,
        "title": notice.title,
        "message": _cut_bytes("\n".join(notice.lines())),
        "priority": _PRIORITIES[notice.urgency],
        "tags": [_TAGS[notice.urgency]],
        "markdown": False,
    }
    if notice.link is not None:
        members["click"] = notice.link
        members["actions"] = [{"action": "view", "label": LINK_TEXT, "url": notice.link}]
    token = target.token
    headers = {} if token is None else {"authorization": f"Bearer {token}"}
    secrets = (target.topic, *(() if token is None else (token,)))
    return json_post(target.server, members, headers=headers, secrets=secrets)


def _cut_bytes(text: str) -> str:
    return text.encode()[:_LONGEST_BYTES].decode(errors="ignore")
