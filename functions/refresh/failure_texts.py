"""Log texts for the outcome of a token request: host, cause and next try."""

from datetime import datetime, timedelta
from math import ceil
from typing import assert_never
from urllib.parse import urlsplit

from domain.error_meanings import quote_of
from domain.grant import (
    Adopting,
    AuthorizationRequired,
    Authorized,
    Failure,
    Grant,
    Unauthorized,
)
from domain.provider import Provider
from domain.token_endpoint import Delivery, NoAnswer, Outcome, TokenErrorResponse, TokenResponse

# The prefixes of reasons why a connection was not made.
_NOT_CONNECTED = ("Connect", "Proxy")


def failure_cause(outcome: Outcome, provider: Provider) -> str:
    """Return why a token request failed, with the provider's host and its answer."""
    host = _host_of(provider)
    match outcome:
        case NoAnswer(delivery=Delivery.NOT_SENT, reason=reason):
            is_away = reason.startswith(_NOT_CONNECTED)
            return f"{'cannot connect to' if is_away else 'nothing was sent to'} {host} ({reason})"
        case NoAnswer(reason=reason):
            return f"no usable answer from {host} ({reason})"
        case TokenErrorResponse(status=status):
            return f"{host} answered {status} ({quote_of(outcome) or 'no reason given'})"
        case TokenResponse():
            return f"{host} issued an access token that had already expired"
        case _:
            assert_never(outcome)


def failure_text(outcome: Outcome, after: Grant, provider: Provider, now: datetime) -> str | None:
    """Return why a refresh failed, and the next try; None if the tokens were replaced.

    `after` is the grant that the refresh left.
    """
    after = after.grant if isinstance(after, Adopting) else after
    failed = after.failure_state if isinstance(after, Authorized | Unauthorized) else None
    is_new = isinstance(outcome, TokenResponse)
    if is_new and (failed is None or failed.failure is not Failure.EXPIRED_ON_ARRIVAL):
        return None
    cause = failure_cause(outcome, provider)
    if failed is not None:
        wait = max(failed.retry_at - now, timedelta(0))
        return f"{cause}; next try in {ceil(wait.total_seconds())} s"
    return f"{cause}; login required" if isinstance(after, AuthorizationRequired) else cause


def _host_of(provider: Provider) -> str:
    """Return the host of the token endpoint, or of the issuer that names it."""
    url = provider.token_endpoint or provider.issuer or ""
    return urlsplit(url).hostname or "the provider"
