"""What a provider answers, read: status, headers and body to an outcome.

Providers differ from RFC 6749 §5 in many small ways, so everything that can be understood is, and
nothing else is taken for tokens.
"""

import logging
import unicodedata
from datetime import timedelta
from math import isfinite
from typing import Annotated, Any
from urllib.parse import parse_qsl

import httpx
from pydantic import (
    AfterValidator,
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
)

from adapters.error_response import about_page, is_page, is_refusal, read_error
from adapters.id_token import read_subject
from adapters.provider_http import json_object
from domain.provider import Provider
from domain.revocation import RevocationOutcome, RevocationResult
from domain.token_endpoint import (
    Delivery,
    NoAnswer,
    Outcome,
    TokenErrorResponse,
    TokenResponse,
)

# A clamp for lifetimes that stand for "for ever" (RFC 6749 sets no bound).
LONGEST_LIFETIME = timedelta(days=3650)
# Here a gateway speaks (nginx's 499, Cloudflare's 520 to 527), or the provider of a request that
# it did not see whole: nobody knows what has been done.
_GATEWAY_STATUSES = frozenset({408, 499, 502, 504, *range(520, 528)})
# Apigee's BearerToken is the same thing.
_BEARER_TYPES = frozenset({"bearer", "bearertoken"})
# RFC 6749 §7.1, RFC 9449 §5. What to make of other types, such as Slack's `bot` and eBay's
# `User Access Token`, is for whoever uses the token.
_UNUSABLE_TYPES = frozenset({"dpop", "mac"})

_log = logging.getLogger(__name__)


def _duration(value: object) -> timedelta | None:
    """Read a number of seconds, also out of a string; None for what is none."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        seconds = float(value)
    except (ValueError, OverflowError):
        return None
    if not isfinite(seconds) or seconds <= 0:
        return None
    # Less than half of a microsecond is none either.
    return timedelta(seconds=min(seconds, LONGEST_LIFETIME.total_seconds())) or None


def _text(value: object) -> str | None:
    """Return a text that can be stored and shown; None for what is none."""
    if not isinstance(value, str) or not value:
        return None
    # JSON may name half of a character (RFC 8259 §8.2).
    return value if value == value.encode("utf-8", "replace").decode() else None


def _goes_into_a_header(value: str) -> str:
    # RFC 6749 §A.12: visible characters and spaces. What goes beyond is let pass, but nothing that
    # would end a line of a header, or of a file of variables, where callers put it.
    if any(unicodedata.category(character) == "Cc" for character in value):
        raise ValueError("a control character")
    return value


def _type(value: object) -> str | None:
    try:
        return _goes_into_a_header(_text(value) or "") or None
    except ValueError:
        return None


def _scope(value: object) -> str | None:
    if isinstance(value, list) and all(isinstance(part, str) for part in value):
        return _text(" ".join(value))
    return _text(value)


class _TokenBody(BaseModel):
    """RFC 6749 §5.1; members that are not known are ignored, as it demands."""

    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True)

    access_token: Annotated[
        str, Field(min_length=1, strict=True, repr=False), AfterValidator(_goes_into_a_header)
    ]
    token_type: Annotated[str | None, BeforeValidator(_type)] = None
    expires_in: Annotated[timedelta | None, BeforeValidator(_duration)] = None
    refresh_token: Annotated[str | None, BeforeValidator(_text), Field(repr=False)] = None
    refresh_token_expires_in: Annotated[
        timedelta | None,
        BeforeValidator(_duration),
        # Intuit's and Keycloak's names for it.
        Field(
            validation_alias=AliasChoices(
                "refresh_token_expires_in", "x_refresh_token_expires_in", "refresh_expires_in"
            )
        ),
    ] = None
    scope: Annotated[str | None, BeforeValidator(_scope)] = None
    id_token: Annotated[str | None, BeforeValidator(_text), Field(repr=False)] = None


def read_answer(response: httpx.Response, body: bytes, provider: Provider) -> Outcome:
    """Understand an answer; `body` is all of it, decoded from any content encoding."""
    if response.status_code in _GATEWAY_STATUSES:
        return _unknown(f"the gateway answered {response.status_code}")
    members = _members(response.headers.get("content-type", ""), body)
    if not response.is_success:
        return _error(response, body, members, provider)
    if members is None:
        if is_page(response.headers, body):
            return _unknown(about_page(response.status_code, response.headers))
        return _unknown("a success whose body is neither a JSON object nor a form")
    if is_refusal(members):
        return _error(response, body, members, provider)
    try:
        return _tokens(_TokenBody.model_validate(members), provider)
    except ValidationError:
        return _unknown("a success without an access token")


def read_revocation(response: httpx.Response, body: bytes, provider: Provider) -> RevocationOutcome:
    """Understand an answer of a revocation endpoint: the body of a success says nothing."""
    if response.is_success:
        # RFC 7009 §2.2.
        return RevocationResult.REVOKED
    if response.status_code in _GATEWAY_STATUSES:
        return _unknown(f"the gateway answered {response.status_code}")
    members = _members(response.headers.get("content-type", ""), body)
    return _error(response, body, members, provider)


def _unknown(reason: str) -> NoAnswer:
    return NoAnswer(delivery=Delivery.UNKNOWN, reason=reason)


def _members(content_type: str, body: bytes) -> dict[str, Any] | None:
    if content_type.partition(";")[0].strip().lower() == "application/x-www-form-urlencoded":
        # As in `json_object`.
        text = body.strip().decode("utf-8", "surrogateescape")
        return dict(parse_qsl(text, errors="surrogateescape"))
    return json_object(body)


def _tokens(body: _TokenBody, provider: Provider) -> Outcome:
    token_type = (body.token_type or "").strip() or "bearer"
    if token_type.lower() in _UNUSABLE_TYPES:
        return _unknown("tokens of a type that wants proofs with each use")
    if token_type.lower() in _BEARER_TYPES:
        token_type = "Bearer"
    else:
        _log.warning("the token response's token_type is not Bearer; it is passed on as it is")
    if body.token_type is None:
        _log.warning("the token response names no token_type; taken for Bearer")
    if body.expires_in is None:
        _log.warning("the token response has no usable expires_in; the provider's default is taken")
    return TokenResponse(
        access_token=body.access_token,
        token_type=token_type,
        expires_in=body.expires_in,
        refresh_token=body.refresh_token,
        refresh_token_expires_in=body.refresh_token_expires_in,
        scope=body.scope,
        subject=read_subject(body.id_token, provider.issuer) if body.id_token else None,
    )


def _error(
    response: httpx.Response, body: bytes, members: dict[str, Any] | None, provider: Provider
) -> TokenErrorResponse:
    return read_error(
        response.status_code,
        response.headers,
        body,
        members,
        provider,
        location=response.extensions.get("location"),
    )
