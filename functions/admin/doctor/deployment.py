"""A running deployment, and the parts of its responses."""

import json
from dataclasses import dataclass, field
from typing import Any

from functions.http.problems import PROBLEMS, TYPE_PREFIX
from ports.web import Web, WebAnswer


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """A deployment's URL, and the HTTP client for it."""

    base: str
    web: Web
    api_key: str | None = field(repr=False)

    async def ask(self, method: str, path: str, *, key: str | None = None) -> WebAnswer:
        """Send a request. Raises NoWebAnswerError."""
        headers = {} if key is None else {"x-api-key": key}
        return await self.web.ask(method, f"{self.base}{path}", headers=headers)


def problem_of(answer: WebAnswer) -> str | None:
    """Return the type of a problem, without its prefix; None for another response."""
    name = text_of(answer, "type").removeprefix(TYPE_PREFIX)
    return name if name in PROBLEMS else None


def text_of(answer: WebAnswer, name: str) -> str:
    """Return a member that is text; "" without one."""
    value = members_of(answer).get(name)
    return value if isinstance(value, str) else ""


def members_of(answer: WebAnswer) -> dict[str, Any]:
    """Return the members of a JSON object; {} for another response."""
    try:
        members = json.loads(answer.body)
    except (ValueError, RecursionError):
        return {}
    return members if isinstance(members, dict) else {}
