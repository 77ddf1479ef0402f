"""The port to a provider's metadata: its endpoints, and what it supports."""

from typing import Protocol

from domain.provider import Provider


class DiscoveryError(Exception):
    """The provider's endpoints could not be found. The message gives the reason."""


class UnusableIssuerError(DiscoveryError):
    """A retry cannot succeed. The message names the variable to set, or the issuer's mistake."""


class Discovery(Protocol):
    """A source of the provider settings that the configuration leaves open."""

    async def provider(self) -> Provider:
        """Return the provider with its endpoints. A result is kept for later calls.

        Raises DiscoveryError.
        """
        ...
