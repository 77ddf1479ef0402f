"""The status of a connection, as `GET /api/verify` returns it."""

from datetime import datetime, timedelta
from typing import assert_never

from domain.grant import (
    Active,
    Adopting,
    AuthorizationRequired,
    Authorized,
    Cause,
    Failure,
    FailureState,
    Grant,
    Moved,
    Refreshing,
    Requesting,
    Revoked,
    Revoking,
    Unauthorized,
    grant_type_of,
)
from domain.ledger import Ledger
from domain.provider import GrantType
from domain.questions import is_without_login, missing_authorization
from functions.http.instants import rfc3339

# Most outages are shorter, and need no person.
LONG_FAILURE = timedelta(hours=1)
_WithFailures = Authorized | Refreshing | Unauthorized | Requesting


def needed_action(grant: Grant, now: datetime, grant_type: GrantType) -> str | None:
    """Return the cause that a person must act on; None if there is none.

    An hour of failed refreshes is one, for any reason. `grant_type`: the one of the settings.
    """
    if (cause := missing_authorization(grant, now, grant_type)) is not None:
        return cause.value
    grant = grant.grant if isinstance(grant, Adopting) else grant
    failure_state = grant.failure_state if isinstance(grant, _WithFailures) else None
    if failure_state is None:
        return None
    if failure_state.failure is Failure.REFUSED:
        is_login = grant_type is GrantType.AUTHORIZATION_CODE
        return Cause.REFRESH_TOKEN_REJECTED.value if is_login else None
    is_long = now - failure_state.began_at >= LONG_FAILURE
    is_fault = failure_state.failure is Failure.MISCONFIGURED
    return failure_state.failure.value if is_long or is_fault else None


def refusal_quote(grant: Grant) -> str | None:
    """Return the provider's words of a final refusal; None without one."""
    return grant.quote if isinstance(grant, AuthorizationRequired) else None


def connection_status(grant: Grant, now: datetime, grant_type: GrantType) -> dict[str, object]:
    """Return the grant's status without secrets; instants as RFC 3339, durations in days.

    `grant_type`: the one of the settings.
    """
    cause = needed_action(grant, now, grant_type)
    shown = _without_unusable_tokens(grant, now, grant_type)
    own = {}
    if grant_type is GrantType.CLIENT_CREDENTIALS:
        own = {"grant": (grant_type_of(shown) or grant_type).value}
    return {**_tokens(shown, now), **own, "action_required": cause is not None, "cause": cause}


def _without_unusable_tokens(grant: Grant, now: datetime, grant_type: GrantType) -> Grant:
    """Return the grant; without tokens that the next request replaces, or does not use."""
    is_own = grant_type is GrantType.CLIENT_CREDENTIALS
    is_login = grant_type_of(grant) is GrantType.AUTHORIZATION_CODE
    is_over = missing_authorization(grant, now, GrantType.AUTHORIZATION_CODE) is not None
    if is_without_login(grant, grant_type) or (is_own and is_login and is_over):
        return Unauthorized()
    return grant


def _tokens(grant: Grant, now: datetime) -> dict[str, object]:
    if isinstance(grant, Unauthorized | Requesting):
        return {"state": "unauthorized", **_first_request(grant)}
    if isinstance(grant, Revoking | Revoked):
        return {"state": "revoked", "revoked_at": rfc3339(grant.at)}
    if isinstance(grant, Moved):
        return {**_tokens(grant.grant, now), "state": "moved", "moved_at": rfc3339(grant.since)}
    if isinstance(grant, Adopting):
        return _tokens(grant.grant, now)
    required = isinstance(grant, AuthorizationRequired)
    tokens = grant.tokens
    return {
        "state": "authorization-required" if required else tokens.freshness(now).value,
        "generation": tokens.public_generation,
        "access_token_expires_at": rfc3339(tokens.expires_at),
        "refresh_token_expires_at": rfc3339(tokens.refresh_token_expires_at),
        "refresh_token_days_left": _days_left(tokens.refresh_token_expires_at, now),
        "login_expires_at": rfc3339(tokens.login_end),
        **_last_refresh(grant),
        **({} if tokens.account is None else {"account": tokens.account}),
    }


def history(ledger: Ledger) -> list[dict[str, object]]:
    """Return the ledger's entries, newest first."""
    return [
        {
            "at": rfc3339(entry.at),
            "event": entry.event.value,
            "generation": entry.generation,
            "key": entry.key_name,
            "outcome": entry.outcome,
            **_quoted(entry.quote),
        }
        for entry in reversed(ledger)
    ]


def _first_request(grant: Unauthorized | Requesting) -> dict[str, object]:
    """Return the last request of a client that needs no login; nothing without one."""
    if isinstance(grant, Unauthorized) and grant.failure_state is None:
        return {}
    return _last_refresh(grant)


def _last_refresh(grant: Active | Unauthorized | Requesting) -> dict[str, object]:
    """Return the last refresh and, after a failure, the next try."""
    next_try_at = quote = None
    match grant:
        case Refreshing(attempt=attempt) | Requesting(attempt=attempt):
            at, outcome = attempt.started_at, "in-progress"
        case (
            Authorized(failure_state=FailureState() as failure_state)
            | Unauthorized(failure_state=FailureState() as failure_state)
        ):
            at, outcome, next_try_at = (
                failure_state.at,
                failure_state.failure.value,
                failure_state.retry_at,
            )
            quote = failure_state.quote
        case Authorized(tokens=tokens):
            at, outcome = tokens.issued_at, "tokens"
        case AuthorizationRequired(cause=cause, since=since):
            at, outcome, quote = since, cause.value, grant.quote
        case Unauthorized():
            raise AssertionError("nothing was requested")
        case _:
            assert_never(grant)
    return {
        "last_refresh": {"at": rfc3339(at), "outcome": outcome, **_quoted(quote)},
        "next_try_at": rfc3339(next_try_at),
    }


def _quoted(quote: str | None) -> dict[str, object]:
    """Return the member `said`, if there is a quotation."""
    return {} if quote is None else {"said": quote}


def _days_left(expires_at: datetime | None, now: datetime) -> int | None:
    return None if expires_at is None else max(0, (expires_at - now).days)
