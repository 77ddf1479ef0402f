"""The operating system's randomness."""

import secrets


class SystemEntropy:
    """Draw from the operating system."""

    def token(self) -> str:
        """Return 43 characters that hold 256 random bits."""
        return secrets.token_urlsafe(32)
