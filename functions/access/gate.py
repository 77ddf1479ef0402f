"""Who may ask, and for what: the API keys, and the secret of whoever starts the sweep.

What is compared with a secret is compared in constant time.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from hmac import compare_digest

from functions.http.connections import connection_of
from functions.http.messages import Request
from functions.http.problems import ProblemError, problem
from functions.observability.tracing import mark_authenticated
from functions.settings.api_keys import ApiKey, KeyedEndpoint, digest_of
from functions.settings.settings import SettingsError

_HOW = "send it as `x-api-key: KEY` or `Authorization: Bearer KEY`"


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who was let in: the name of their API key, and the connection that they ask about.

    `may_log_in` is whether the key is for beginning logins, too.
    """

    key_name: str
    connection: str
    may_log_in: bool


def require_api_key(
    request: Request,
    keys: Sequence[ApiKey],
    *,
    endpoint: KeyedEndpoint,
    now: datetime,
    extra_params: tuple[str, ...] = (),
) -> Caller:
    """Let the request pass if it carries a key that is for this endpoint and its connection.

    `beside` are the parameters that it may have beside `connection`. Nothing is said of them to who
    has no key, and of connections only what the key's own entry says.

    Raises ProblemError (RFC 6750 §3).
    """
    key = _living_key(request, keys, now)
    if key.endpoints is not None and endpoint not in key.endpoints:
        raise _not_allowed(key, f"the endpoint {endpoint}")
    connection = connection_of(request, extra_params=extra_params)
    if key.connections is not None and connection not in key.connections:
        raise _not_allowed(key, f"the connection {connection}")
    may_log_in = key.endpoints is None or "login" in key.endpoints
    mark_authenticated(key.name)
    return Caller(key_name=key.name, connection=connection, may_log_in=may_log_in)


def shown_key(request: Request, keys: Sequence[ApiKey]) -> ApiKey | None:
    """Return the key that the request carries, whatever it is for; None if it is none of these."""
    digests = [digest_of(value) for value in _given_keys(request)]
    found = None
    for key in keys:
        # To the end, so that time tells neither which key came near nor which header differs.
        matches = [compare_digest(key.digest, digest) for digest in digests]
        if matches and all(matches):
            found = key
    return found


def require_cron_secret(request: Request, cron_secret: str | None) -> None:
    """Let the request pass if it carries the secret. Raises SettingsError, ProblemError."""
    if cron_secret is None:
        raise SettingsError(
            ["CRON_SECRET is not set, and the sweep asks for it: openssl rand -hex 32 makes one"]
        )
    given = [digest_of(value) for value in _bearer_tokens(request)]
    expected = digest_of(cron_secret.encode())
    matches = [compare_digest(expected, digest) for digest in given]
    if not matches or not all(matches):
        raise problem(
            "cron-secret-required",
            "the sweep asks for the deployment's CRON_SECRET: send it as `Authorization: Bearer "
            "SECRET`; to refresh one connection, POST with the API key",
        )
    mark_authenticated(None)


def _living_key(request: Request, keys: Sequence[ApiKey], now: datetime) -> ApiKey:
    given = _given_keys(request)
    if not given:
        raise problem("api-key-missing", f"this endpoint needs an API key: {_HOW}")
    if len(set(given)) > 1:
        raise problem("api-key-invalid", f"different API keys were sent, and one is needed: {_HOW}")
    key = shown_key(request, keys)
    if key is None:
        raise problem("api-key-invalid", f"the API key is none of the deployment's: {_HOW}")
    if key.expires_at is not None and key.expires_at <= now:
        raise problem("api-key-invalid", f"the API key {key.name!r} has expired")
    return key


def _not_allowed(key: ApiKey, what: str) -> ProblemError:
    detail = f"the API key {key.name!r} is not for {what}: its entry in API_KEYS decides"
    return problem("key-not-allowed", detail)


def _given_keys(request: Request) -> list[bytes]:
    """Return every key that is shown; headers only, because URLs end up in logs."""
    return [*map(bytes.strip, request.header_values(b"x-api-key")), *_bearer_tokens(request)]


def _bearer_tokens(request: Request) -> list[bytes]:
    """Return what stands in headers of the form `Authorization: Bearer …` (RFC 6750 §2.1)."""
    values = [value.strip().partition(b" ") for value in request.header_values(b"authorization")]
    return [token.strip() for scheme, _, token in values if scheme.lower() == b"bearer"]
