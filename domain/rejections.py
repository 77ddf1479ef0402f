"""Access tokens that an API has rejected before they expired: rule 18 of `decide.py`.

A caller names the generation of such a token. The provider is asked for another one at once. If the
API rejects that one as well, the next request waits, so that an API that rejects everything costs
few requests.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Self

# After thirty doublings any first wait exceeds any cap. A timedelta would overflow.
_MOST_DOUBLINGS = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejection:
    """The last rejected access token of a grant, and its replacement.

    - `generation`: of that token, as callers see it (`Tokens.public_generation`).
    - `at`: when the last attempt to replace it began.
    - `in_a_row`: how many tokens were rejected soon after each other, this one included.
    - `unrotated`: how many replacements of this grant's tokens brought no new refresh token. They
      start a new generation for callers all the same.
    """

    generation: int
    at: datetime
    in_a_row: int = 1
    unrotated: int = 0

    def after_refresh(self, generation: int, *, is_rotated: bool) -> Self:
        """Return what new tokens keep; `generation` is the one that they replace (rule 18)."""
        is_same = self.generation == generation and not is_rotated
        return replace(self, unrotated=self.unrotated + 1) if is_same else self

    def replaceable_at(self, *, first: timedelta, longest: timedelta) -> datetime:
        """Return when the replacement may be replaced, if it is rejected as well (rule 18).

        The wait is `first`, doubles with each token in a row, and ends at `longest`.
        """
        wait = first * (1 << min(self.in_a_row - 1, _MOST_DOUBLINGS))
        return self.at + min(wait, longest)


def rejection_after(
    before: Rejection | None, generation: int, now: datetime, *, forgotten_after: timedelta
) -> Rejection:
    """Return the rejection of an access token at the instant `now` (rule 18).

    `generation` is the token's, as callers see it. `forgotten_after` is how long after `before`
    another rejection is not in a row with it.
    """
    if before is None:
        return Rejection(generation=generation, at=now)
    if before.generation == generation:
        # Another attempt for the same token: the last one brought none.
        return replace(before, at=now)
    is_soon = now < before.at + forgotten_after
    in_a_row = before.in_a_row + 1 if is_soon else 1
    return replace(before, generation=generation, at=now, in_a_row=in_a_row)
