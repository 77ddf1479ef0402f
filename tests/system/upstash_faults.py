"""What can be made to go wrong between a client of Upstash and its answer."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import TypeAlias

from functions.http.messages import Response
from tests.system.redis_connections import Command

_DELAY = re.compile(r"(delay|delay-answer):(\d+(?:\.\d+)?)")
_STATUS = re.compile(r"status-([45]\d\d)")


@dataclass(frozen=True, slots=True)
class Delay:
    """The commands run late, whether or not the client still waits."""

    seconds: float


@dataclass(frozen=True, slots=True)
class DelayAnswer:
    """The commands run at once, and are answered late."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Unanswered:
    """The connection is lost before the answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spoiled:
    """Something else is answered, whether or not the commands run."""

    executed: bool
    answer: Response | Unanswered


Fault: TypeAlias = Delay | DelayAnswer | Spoiled

_HTML_502 = Response(
    status=502,
    content_type="text/html",
    body=b"<html><head><title>502 Bad Gateway</title></head><body>cloudflare</body></html>\n",
)
_GARBAGE = Response(status=200, body=b'{"result":"b2')
_WRONG_SHAPE = Response.json(200, {"result": {"unexpected": []}})

_SPOILED = {
    "drop-request": Spoiled(executed=False, answer=Unanswered()),
    "drop-answer": Spoiled(executed=True, answer=Unanswered()),
    "html-502": Spoiled(executed=False, answer=_HTML_502),
    "html-502-after": Spoiled(executed=True, answer=_HTML_502),
    # Damaged on the way back.
    "garbage": Spoiled(executed=True, answer=_GARBAGE),
    "wrong-shape": Spoiled(executed=True, answer=_WRONG_SHAPE),
}


def parse_fault(name: str) -> Fault:
    """A fault from its name, without the star. Raises ValueError."""
    if spoiled := _SPOILED.get(name):
        return spoiled
    if delay := _DELAY.fullmatch(name):
        seconds = float(delay[2])
        return Delay(seconds) if delay[1] == "delay" else DelayAnswer(seconds)
    if status := _STATUS.fullmatch(name):
        number = HTTPStatus(int(status[1]))
        answer = Response.json(number.value, {"error": number.phrase})
        return Spoiled(executed=False, answer=answer)
    known = ", ".join([*_SPOILED, "delay:SECONDS", "delay-answer:SECONDS", "status-401"])
    raise ValueError(f"no such fault: {name!r}; there are {known}")


class FaultPlan:
    """The faults that requests will meet, in the order in which they were planned."""

    def __init__(self) -> None:
        self._planned: list[tuple[str, str]] = []

    def add(self, name: str, *, matching: str = "") -> None:
        """Plan a fault for the next request that matches, or with a star for all from then on.

        Raises ValueError.
        """
        parse_fault(name.removesuffix("*"))
        self._planned.append((name, matching))

    def meet(self, commands: Sequence[Command]) -> Fault | None:
        """Take the fault that these commands meet."""
        for place, (name, matching) in enumerate(self._planned):
            if any(_matches(command, matching.encode()) for command in commands):
                if not name.endswith("*"):
                    del self._planned[place]
                return parse_fault(name.removesuffix("*"))
        return None

    def clear(self) -> None:
        """Forget all that was planned."""
        self._planned.clear()

    def names(self) -> list[str]:
        """The names of the faults still to be met."""
        return [name for name, _ in self._planned]


def _matches(command: Command, text: bytes) -> bool:
    """Whether the name of the command, or the script it brings, contains the text."""
    name = command[0].upper()
    script = command[1] if name.startswith(b"EVAL") and len(command) > 1 else b""
    return text in name or text in script
