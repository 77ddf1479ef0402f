"""Error responses that providers have sent, from public sources, each with what it means.

One row a line in `corpus.jsonl`; ids and tokens are placeholders. `source` is where it was seen, or
a text of public code to search for; `headers` and `type` (that of the content) stand where they
matter, `preset` where a provider is known here.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qsl

from adapters.error_response import read_error
from domain.error_meanings import Meaning
from domain.provider import Provider
from domain.token_endpoint import TokenErrorResponse
from tests.presets import preset_named

FORM = "application/x-www-form-urlencoded"
_CORPUS = Path(__file__).parent / "corpus.jsonl"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One refusal as it came, and what it means; `members` are of its body where it has some."""

    provider: str
    source: str
    status: int
    headers: Mapping[str, str]
    body: bytes
    members: dict[str, object] | None = field(default=None)
    preset: str
    verdict: Meaning

    @property
    def answer(self) -> TokenErrorResponse:
        """The answer as it is read."""
        return self.read_for(preset_named(self.preset))

    def read_for(self, provider: Provider) -> TokenErrorResponse:
        """Read the answer as one of a provider."""
        return read_error(
            self.status,
            self.headers,
            self.body,
            self.members,
            provider,
            location=self.headers.get("location"),
        )


def corpus() -> list[Row]:
    """Read all rows."""
    return [_row(json.loads(line)) for line in _CORPUS.read_text().splitlines()]


def _row(line: dict[str, object]) -> Row:
    body, headers, status = line["body"], line.get("headers", {}), line["status"]
    assert isinstance(headers, dict)
    assert isinstance(status, int)
    content_type = str(line.get("type", "application/json"))
    return Row(
        provider=str(line["provider"]),
        source=str(line["source"]),
        status=status,
        headers={"content-type": content_type, **headers},
        body=body.encode() if isinstance(body, str) else json.dumps(body).encode(),
        members=_members(body, content_type),
        preset=str(line.get("preset", "custom")),
        verdict=Meaning(line["verdict"]),
    )


def _members(body: object, content_type: str) -> dict[str, object] | None:
    if isinstance(body, str) and content_type == FORM:
        return dict(parse_qsl(body))
    return body if isinstance(body, dict) else None
