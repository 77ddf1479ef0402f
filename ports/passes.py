"""The port for passes to the page: texts that only this deployment can make and read."""

from enum import StrEnum
from typing import Protocol

from domain.page_session import Pass


class PassKind(StrEnum):
    """The use of a pass. It cannot be read as one of the other kind."""

    SESSION = "session"
    LINK = "link"


class Passes(Protocol):
    """Writes passes, and reads them."""

    async def write(self, pass_: Pass, kind: PassKind) -> str:
        """Return a text of `A-Z a-z 0-9 - _ .`, with its end in whole seconds."""
        ...

    async def read(self, text: str, kind: PassKind) -> Pass | None:
        """Return the pass that `write` made into this text; None for any other text."""
        ...
