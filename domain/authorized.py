"""The state of a grant that most token requests find. `grant.py` has the others.

It is a module of its own, because serving a fresh token needs no other state.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from domain.tokens import Tokens

if TYPE_CHECKING:
    # Only after a failure.
    from domain.grant import FailureState


@dataclass(frozen=True, slots=True, kw_only=True)
class Authorized:
    """There are tokens, and no attempt is in flight."""

    tokens: Tokens
    failure_state: "FailureState | None" = None
