"""Randomness that nobody can guess."""

from typing import Protocol


class Entropy(Protocol):
    """Draw random text."""

    def token(self) -> str:
        """Return 43 characters of `A-Z a-z 0-9 - _` that hold 256 random bits.

        Fit for a state, an id, and a code verifier (RFC 7636 §4.1).
        """
        ...
