"""The port to cryptographic randomness."""

from typing import Protocol


class Entropy(Protocol):
    """A source of random text."""

    def token(self) -> str:
        """Return 256 random bits as 43 characters of `A-Z a-z 0-9 - _`.

        The text can serve as a state, an id, or a code verifier (RFC 7636 §4.1).
        """
        ...
