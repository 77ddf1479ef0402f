"""Where a provider's endpoints are, and what it supports."""

from typing import Protocol

from domain.provider import Provider


class DiscoveryError(Exception):
    """The provider does not say where its endpoints are; the message says why not."""


class UnusableIssuerError(DiscoveryError):
    """Asking again is of no use: the message names the variable, or what the issuer must change."""


class Discovery(Protocol):
    """Ask the provider what is not told of it otherwise."""

    async def provider(self) -> Provider:
        """Return the provider with its endpoints; once that is known, without asking again.

        Raises DiscoveryError.
        """
        ...
