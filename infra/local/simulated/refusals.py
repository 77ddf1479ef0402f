"""Why a simulated provider refuses a request."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

RefusalReason: TypeAlias = Literal[
    "invalid_client",
    "invalid_redirect_uri",
    "invalid_request",
    "invalid_grant",
    "too_early",
    "unsupported_grant_type",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """The reason of a refusal. The description is for people.

    `retry_after`: whole seconds, if the request may succeed later.
    """

    reason: RefusalReason
    description: str
    retry_after: int | None = None


def missing(name: str) -> Refusal:
    """Return the refusal of a request without a required parameter."""
    return Refusal(reason="invalid_request", description=f"Required param : {name}")


def invalid_redirect_uri(redirect_uri: str) -> Refusal:
    """Return the refusal of a redirect URI that is not registered, or is not the code's."""
    return Refusal(
        reason="invalid_redirect_uri", description=f"Invalid redirection uri {redirect_uri}"
    )


def invalid_grant(description: str) -> Refusal:
    """Return the refusal of a code or refresh token."""
    return Refusal(reason="invalid_grant", description=description)
