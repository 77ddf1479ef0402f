"""Requests with a JSON body."""

import json
from collections.abc import Mapping

from ports.alert_transport import Post


def json_post(
    url: str,
    members: Mapping[str, object],
    *,
    headers: Mapping[str, str] | None = None,
    secrets: tuple[str, ...] = (),
) -> Post:
    """Return a request. Its URL is a secret: that of a chat lets everybody write there."""
    return Post(
        url=url,
        headers={"content-type": "application/json", **(headers or {})},
        body=json.dumps(members).encode(),
        secrets=(url, *secrets),
    )
