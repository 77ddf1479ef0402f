"""What providers, browsers and stores really hand over: what the fuzzing begins with."""

import json
from datetime import UTC, datetime, timedelta

from adapters.grant_json import dump_record
from adapters.login_json import dump_login
from domain.authorization import PendingLogin
from domain.grant import (
    Attempt,
    AuthorizationRequired,
    Authorized,
    Cause,
    Failure,
    FailureState,
    Grant,
    Refreshing,
    Unauthorized,
)
from domain.ledger import Entry, HistoryEvent
from domain.tokens import Tokens

_NOW = datetime(2026, 11, 24, 10, 19, 48, 123456, tzinfo=UTC)
_TOKENS = Tokens(
    generation=3,
    authorized_at=_NOW,
    issued_at=_NOW,
    access_token="an-access-token",
    token_type="Bearer",
    scope="read write",
    expires_at=_NOW + timedelta(minutes=30),
    refresh_token="a-refresh-token",
    refresh_token_expires_at=_NOW + timedelta(days=90),
)
_SETBACKS = FailureState(
    failures=2, failure=Failure.UNKNOWN, at=_NOW, retry_at=_NOW, in_doubt_since=_NOW
)
_ATTEMPT = Attempt(
    id="an-attempt", authorized_at=_NOW, generation=3, client="client", started_at=_NOW
)
_GRANTS: tuple[Grant, ...] = (
    Unauthorized(),
    Authorized(tokens=_TOKENS, failure_state=_SETBACKS),
    Refreshing(tokens=_TOKENS, attempt=_ATTEMPT, failure_state=None),
    AuthorizationRequired(
        tokens=_TOKENS, cause=Cause.REFRESH_TOKEN_REJECTED, client="client", since=_NOW
    ),
)
_ENTRY = Entry(
    at=_NOW.replace(microsecond=0),
    event=HistoryEvent.REFRESH,
    generation=3,
    key_name="ci",
    outcome="tokens",
)
_LOGIN = PendingLogin(
    connection="default",
    redirect_uri="https://keeper.example/api/callback",
    code_verifier="a-code-verifier",
    expires_at=_NOW,
)

_JSON: tuple[object, ...] = (
    # Digi-Key, and its errors of each sort.
    {
        "access_token": "an-access-token",
        "refresh_token": "a-refresh-token",
        "refresh_token_expires_in": 7775999,
        "expires_in": 1799,
        "token_type": "Bearer",
    },
    {
        "ErrorResponseVersion": "3.0.0.0",
        "StatusCode": 401,
        "ErrorMessage": "The Bearer token is invalid",
        "ErrorDetails": "refresh_token is invalid",
        "RequestId": "a-request",
        "ValidationErrors": [],
    },
    {"ErrorCode": "invalid_grant", "Error": "Invalid refresh token", "RequestId": "x"},
    # Keycloak, Google, Slack, Intuit.
    {
        "access_token": "an-access-token",
        "expires_in": 300,
        "refresh_expires_in": 1800,
        "refresh_token": "a-refresh-token",
        "token_type": "Bearer",
        "not-before-policy": 0,
        "session_state": "a-session",
        "scope": "email profile",
    },
    {"error": "invalid_grant", "error_description": "Token has been expired or revoked."},
    {"ok": False, "error": "token_expired"},
    {"access_token": "x", "token_type": "bearer", "x_refresh_token_expires_in": "8726400"},
    {"error": {"code": 400, "message": "Bad Request", "status": "INVALID_ARGUMENT"}},
)
TOKEN_RESPONSES: tuple[bytes, ...] = (
    *(json.dumps(members).encode() for members in _JSON),
    # GitHub's forms; a gateway's page.
    b"access_token=gho_16C7e42F&expires_in=28800&refresh_token=ghr_1B4a&scope=&token_type=bearer",
    b"error=bad_verification_code&error_description=The+code+is+incorrect+or+expired.",
    b"<!doctype html><html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>",
    b"",
)
QUERIES: tuple[bytes, ...] = (
    b"",
    b"code=a-code&state=a-state",
    b"state=static-state&code=a%2Bcode%3D&session_state=x&iss=https%3A%2F%2Fissuer.example",
    b"error=access_denied&error_description=The+person+said+no.&state=static-state",
    b"connection=default",
    b"connection=a.b-c_d%40e&min_ttl=300",
    b"min_ttl=60",
)
RECORDS: tuple[bytes, ...] = (
    *(dump_record(grant, (_ENTRY, _ENTRY)) for grant in _GRANTS),
    dump_login(_LOGIN),
)
PATHS = (
    "/api/callback",
    "/api/health",
    "/api/login",
    "/api/openapi.json",
    "/api/refresh",
    "/api/sweep",
    "/api/token",
    "/api/verify",
)
