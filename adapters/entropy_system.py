"""The operating system's randomness."""

import secrets


class SystemEntropy:
    """The operating system's random source."""

    def token(self) -> str:
        """Return 256 random bits as 43 characters."""
        return secrets.token_urlsafe(32)
