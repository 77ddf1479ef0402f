"""docs/token-url.md: its settings and errors are those of the endpoint. Its programs run elsewhere.

`tests/system/test_token_url.py` runs them.
"""

import re
from typing import Any

from domain.events import DEFAULT_MIN_TTL
from functions.access.token_requests import GRANT_TYPES
from functions.endpoints.promises.document import openapi_document
from functions.routes import METADATA, TOKEN_URL
from tests.docs.pages import page

PAGE = page("token-url.md")
DOCUMENT: Any = openapi_document()


def test_the_errors_are_those_of_the_endpoint() -> None:
    rows = re.findall(r"^\| `([a-z_]+)` \| ([0-9, ]+) \|", PAGE, re.MULTILINE)
    listed = {(code, int(status)) for code, statuses in rows for status in statuses.split(", ")}
    responses = DOCUMENT["paths"][TOKEN_URL]["post"]["responses"]
    assert listed == {
        (code, int(status))
        for status, response in responses.items()
        if status != "200"
        for code in response["content"]["application/json"]["schema"]["properties"]["error"]["enum"]
    }


def test_the_settings_are_those_of_the_code() -> None:
    assert f"`PUBLIC_URL` + `{TOKEN_URL}`" in PAGE
    assert f"`GET {METADATA}`" in PAGE
    assert [name for name in GRANT_TYPES if f"`{name}`" not in PAGE] == []
    assert f"Default: {DEFAULT_MIN_TTL.total_seconds():.0f}." in PAGE
