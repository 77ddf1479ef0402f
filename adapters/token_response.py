"""The parser of provider responses: status, headers and body to an outcome.

Providers differ from RFC 6749 §5 in many small ways. The parser accepts all forms that are
unambiguous, and takes no other text for a token.
"""

import logging
import re
import unicodedata
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Annotated, Any

import httpx
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
)

from adapters.body_members import read_members
from adapters.error_response import REFUSAL_NAMES, describe_page, is_page, is_refusal, read_error
from adapters.extra_members import read_extra
from adapters.id_token import read_account
from adapters.lifetimes import read_lifetimes
from domain.error_meanings import KNOWN_CODES
from domain.provider import GrantType, Provider
from domain.token_endpoint import (
    Delivery,
    NoAnswer,
    Outcome,
    RevocationOutcome,
    RevocationResult,
    TokenErrorResponse,
    TokenResponse,
)

# Statuses of a gateway (nginx's 499, Cloudflare's 520 to 527), or of an incomplete request. The
# provider may have acted on it.
_GATEWAY_STATUSES = frozenset({408, 499, 502, 504, *range(520, 528)})
# Apigee's BearerToken means Bearer.
_BEARER_TYPES = frozenset({"bearer", "bearertoken"})
# RFC 6749 §7.1, RFC 9449 §5. Callers decide how to use other types, such as Slack's `bot` and
# eBay's `User Access Token`.
_UNUSABLE_TYPES = frozenset({"dpop", "mac"})

# Texts of success, in responses that should have tokens and do not.
_SUCCESS_TEXTS = frozenset({"", "ok", "success"})
_CASE_BOUNDARY = r"(?<=[a-z0-9])(?=[A-Z])"

_log = logging.getLogger(__name__)


def _text(value: object) -> str | None:
    """Return a text that can be stored and shown. Return None for any other value."""
    if not isinstance(value, str) or not value:
        return None
    # JSON can contain a lone surrogate (RFC 8259 §8.2).
    return value if value == value.encode("utf-8", "replace").decode() else None


def _require_header_value(value: str) -> str:
    # RFC 6749 §A.12 allows visible ASCII and spaces. Others are accepted, except line ends
    # and other controls: callers put the value into headers and files of variables.
    if any(unicodedata.category(character) == "Cc" for character in value):
        raise ValueError("a control character")
    return value


def _bearer(value: str) -> str:
    # Spaces and line breaks around a token are mistakes, and not valid in a header.
    if (text := _text(value.strip())) is None:
        raise ValueError("not a text")
    return _require_header_value(text)


def _type(value: object) -> str | None:
    try:
        return _require_header_value(_text(value) or "") or None
    except ValueError:
        return None


def _scope(value: object) -> str | None:
    if isinstance(value, list) and all(isinstance(part, str) for part in value):
        return _text(" ".join(value))
    return _text(value)


class _TokenBody(BaseModel):
    """The members of RFC 6749 §5.1. Unknown members are ignored, as it requires."""

    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True)

    access_token: Annotated[str, Field(strict=True, repr=False), AfterValidator(_bearer)]
    token_type: Annotated[str | None, BeforeValidator(_type)] = None
    refresh_token: Annotated[str | None, BeforeValidator(_text), Field(repr=False)] = None
    scope: Annotated[str | None, BeforeValidator(_scope)] = None
    id_token: Annotated[str | None, BeforeValidator(_text), Field(repr=False)] = None


def read_answer(response: httpx.Response, body: bytes, provider: Provider) -> Outcome:
    """Read a token response. `body` is complete and decompressed."""
    if response.status_code in _GATEWAY_STATUSES:
        return _unknown(f"the gateway answered {response.status_code}")
    members = read_members(body)
    if not response.is_success:
        return _error(response, body, members, provider)
    if members is None:
        if is_page(response.headers, body):
            return _unknown(describe_page(response.status_code, response.headers))
        return _unknown("a success whose body is neither a JSON object nor a form")
    found = _find_tokens(_to_snake_case(members), provider)
    if is_refusal(found) or _has_error_as_token(found):
        return _error(response, body, members, provider)
    try:
        return _tokens(found, response, provider)
    except ValidationError:
        return _read_missing_tokens(found, _error(response, body, members, provider))


def _read_missing_tokens(members: dict[str, Any], refusal: TokenErrorResponse) -> Outcome:
    """Treat an error text without tokens as a refusal, as at WeChat, Lark and TikTok."""
    words = (refusal.description or "").strip(" .!").lower()
    is_known = refusal.error in KNOWN_CODES
    if "access_token" not in members and (is_known or words not in _SUCCESS_TEXTS):
        return refusal
    return _unknown("a success without an access token")


def _has_error_as_token(members: dict[str, Any]) -> bool:
    """Whether `access_token` holds an error, as at Casdoor: "error: token is expired".

    A bearer token contains no space (RFC 6750 §2.1).
    """
    text = _text(members.get("access_token")) or ""
    return text.lower().startswith("error") and " " in text and not members.get("refresh_token")


def read_revocation(response: httpx.Response, body: bytes, provider: Provider) -> RevocationOutcome:
    """Read a revocation response. The body of a success is ignored."""
    if response.is_success:
        # RFC 7009 §2.2.
        return RevocationResult.REVOKED
    if response.status_code in _GATEWAY_STATUSES:
        return _unknown(f"the gateway answered {response.status_code}")
    return _error(response, body, read_members(body), provider)


def _unknown(reason: str) -> NoAnswer:
    return NoAnswer(delivery=Delivery.UNKNOWN, reason=reason)


def _to_snake_case(members: dict[str, Any]) -> dict[str, Any]:
    """Convert names to RFC 6749's form: `accessToken` to `access_token`."""
    return {re.sub(_CASE_BOUNDARY, "_", name).lower(): value for name, value in members.items()} | (
        members
    )


def _find_tokens(members: dict[str, Any], provider: Provider) -> dict[str, Any]:
    """Return the members with the tokens under RFC 6749's names, wherever they were."""
    wire = provider.wire
    if wire is None:
        return _merge_nested(members)
    at = None if wire.tokens_at is None else _member(members, wire.tokens_at)
    # Tokens outside of that member are for another purpose, and so are their lifetimes.
    found = _merge_nested(members) if at is None else _errors_of(members) | at
    ignored = {name for name, theirs in wire.response_names.items() if not theirs}
    renamed = {
        name: found[theirs] for name, theirs in wire.response_names.items() if theirs in found
    }
    return {name: value for name, value in found.items() if name not in ignored} | renamed


def _member(members: dict[str, Any], path: str) -> dict[str, Any] | None:
    """Return the object at a path. None if it is missing."""
    for name in path.split("."):
        inner = members.get(name)
        if not isinstance(inner, dict):
            return None
        members = _to_snake_case(inner)
    return members


def _errors_of(members: dict[str, Any]) -> dict[str, Any]:
    return {name: members[name] for name in REFUSAL_NAMES if name in members}


def _merge_nested(members: dict[str, Any]) -> dict[str, Any]:
    """Merge nested tokens: Slack's `authed_user`, Withings' `body`, Lark's `data`.

    Several nested objects with tokens are ambiguous, and ignored.
    """
    inner = [value for value in members.values() if isinstance(value, dict)]
    found = map(_to_snake_case, inner)
    nested = [value for value in found if value.get("access_token")]
    return (
        {**members, **nested[0]}
        if not members.get("access_token") and len(nested) == 1
        else members
    )


def _tokens(members: dict[str, Any], response: httpx.Response, provider: Provider) -> Outcome:
    body = _TokenBody.model_validate(members)
    token_type = (body.token_type or "").strip() or "bearer"
    if token_type.lower() in _UNUSABLE_TYPES:
        return _unknown("a token type that needs a proof with each use")
    if token_type.lower() in _BEARER_TYPES:
        token_type = "Bearer"
    else:
        _log.warning("the token response's token_type is not Bearer; it is returned unchanged")
    if body.token_type is None:
        _log.warning("the token response has no token_type; Bearer is assumed")
    now = _date(response.headers) or datetime.now(UTC)
    is_own = provider.grant_type is GrantType.CLIENT_CREDENTIALS
    can_refresh = is_own or body.refresh_token is not None
    access, refresh = read_lifetimes(members, now=now, can_refresh=can_refresh)
    if access is None:
        _log.warning("the token response has no usable expires_in; the provider's default is used")
    account = read_account(body.id_token, provider.issuer)
    return TokenResponse(
        access_token=body.access_token,
        token_type=token_type,
        expires_in=access,
        refresh_token=body.refresh_token,
        refresh_token_expires_in=refresh,
        scope=body.scope,
        subject=account.subject,
        account=account.label,
        extra=read_extra(
            members,
            provider.response_members,
            secrets={body.access_token, body.refresh_token, body.id_token},
        ),
    )


def _date(headers: httpx.Headers) -> datetime | None:
    """Read the response's Date (RFC 9110 §6.6.1)."""
    try:
        sent = parsedate_to_datetime(headers.get("date", ""))
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
    return sent if sent.tzinfo else sent.replace(tzinfo=UTC)


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
