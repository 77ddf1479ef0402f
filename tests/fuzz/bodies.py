"""Real bodies of providers, browsers and stores: the seeds of the fuzzing."""

import json

from adapters.grant_json import dump_record
from adapters.login_json import dump_login
from tests.adapters.test_grant_json import EXAMPLES, PENDING
from tests.domain.examples import LEDGER

_JSON: tuple[object, ...] = (
    # Digi-Key, and its errors of each sort.
    {
        "access_token": "an-access-token",
        "expires_in": 1799,
        "token_type": "Bearer",
        "refresh_token": "a-refresh-token",
        "refresh_token_expires_in": 7775999,
    },
    {
        "ErrorResponseVersion": "3.0.0.0",
        "StatusCode": 401,
        "RequestId": "a-request",
        "ErrorMessage": "The Bearer token is invalid",
        "ValidationErrors": [],
        "ErrorDetails": "refresh_token is invalid",
    },
    {"ErrorCode": "invalid_grant", "Error": "Invalid refresh token", "RequestId": "x"},
    # Keycloak, Google, Slack, Intuit.
    {
        "access_token": "an-access-token",
        "expires_in": 300,
        "token_type": "Bearer",
        "refresh_token": "a-refresh-token",
        "refresh_expires_in": 1800,
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
    *(dump_record(grant, LEDGER) for grant in EXAMPLES),
    dump_login(PENDING),
)
PATHS = (
    *("/api/callback", "/api/health", "/api/login", "/api/openapi.json"),
    *("/api/refresh", "/api/sweep", "/api/token", "/api/verify"),
)
