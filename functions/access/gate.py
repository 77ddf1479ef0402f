"""Authentication: API keys, and CRON_SECRET for the sweep.

Secrets are compared in constant time.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from hmac import compare_digest
from typing import NamedTuple

from functions.access.credentials import api_keys_in, bearer_tokens
from functions.http.connections import check_parameters, connection_of
from functions.http.messages import Request
from functions.http.problems import ProblemError, problem
from functions.observability.tracing import mark_authenticated, mark_known_key
from functions.settings.api_keys import ApiKey, KeyedEndpoint, digest_of
from functions.settings.settings import SettingsError

_KEY_ADVICE = "Send it as `x-api-key: KEY` or `Authorization: Bearer KEY`."


class Caller(NamedTuple):
    """The name of the API key, and the connection of the request.

    `may_log_in` is whether the key may start logins.
    """

    # A tuple, because every cold start makes this class: a dataclass takes five times as long.

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
    has_body: bool = False,
) -> Caller:
    """Return the caller, if the request's key is valid for the endpoint and the connection.

    `extra_params` are the parameters allowed besides `connection`. Only an endpoint that `has_body`
    accepts one. The key is checked first:
    without a valid one, the response reveals nothing about parameters and connections.

    Raises ProblemError (RFC 6750 §3).
    """
    key = _valid_key(request, keys, now)
    return _allowed_caller(
        key,
        endpoint,
        lambda: connection_of(request, extra_params=extra_params, has_body=has_body),
    )


def require_key_of_many(
    request: Request,
    keys: Sequence[ApiKey],
    *,
    endpoint: KeyedEndpoint,
    now: datetime,
    params: frozenset[str],
) -> ApiKey:
    """Return the request's key, if it is valid for an endpoint that concerns many connections.

    `params` are the allowed parameters. The key is checked first, as in `require_api_key`. Its
    `connections` restrict what the endpoint may show.

    Raises ProblemError.
    """
    key = _valid_key(request, keys, now)
    _require_endpoint(key, endpoint)
    check_parameters(request, params)
    mark_authenticated(key.logged_name)
    return key


def require_given_key(
    spellings: Sequence[bytes],
    keys: Sequence[ApiKey],
    *,
    endpoint: KeyedEndpoint,
    now: datetime,
    connection_of_key: Callable[[], str],
) -> Caller:
    """Return the caller of an API key that is not in the headers of `require_api_key`.

    `spellings` are the readings of one credential, of which one must be a valid key.
    `connection_of_key` is called once the key is valid; it may raise ProblemError.

    Raises ProblemError.
    """
    key = require_known_key(spellings, keys, now)
    # Its failures are counted by the key, which is not in the headers.
    mark_known_key(key.name)
    return _allowed_caller(key, endpoint, connection_of_key)


def key_of_request(request: Request, keys: Sequence[ApiKey]) -> ApiKey | None:
    """Return the key of the request, regardless of its restrictions; None if it is unknown."""
    try:
        return find_key(api_keys_in(request), keys)
    except ProblemError:
        # Malformed.
        return None


def find_key(given: Sequence[bytes], keys: Sequence[ApiKey]) -> ApiKey | None:
    """Return the key that all of these are; None if there is none."""
    digests = [digest_of(value) for value in given]
    found = None
    for key in keys:
        # Compare with every key, so that time reveals neither the key nor the header.
        matches = [compare_digest(key.digest, digest) for digest in digests]
        if matches and all(matches):
            found = key
    return found


def require_cron_secret(request: Request, cron_secret: str | None) -> None:
    """Check that the request has the secret. Raises SettingsError, ProblemError."""
    if cron_secret is None:
        raise SettingsError(
            ["CRON_SECRET is not set, and the sweep requires it: run openssl rand -hex 32"]
        )
    given = [digest_of(value) for value in bearer_tokens(request)]
    expected = digest_of(cron_secret.encode())
    matches = [compare_digest(expected, digest) for digest in given]
    if not matches or not all(matches):
        raise problem(
            "cron-secret-required",
            "The sweep requires `Authorization: Bearer CRON_SECRET`. To refresh one connection, "
            "send POST /api/refresh with an API key.",
        )
    mark_authenticated(None)


def _valid_key(request: Request, keys: Sequence[ApiKey], now: datetime) -> ApiKey:
    given = api_keys_in(request)
    if not given:
        raise problem("api-key-missing", f"This endpoint requires an API key. {_KEY_ADVICE}")
    if len(set(given)) > 1:
        raise problem("api-key-invalid", "The request has two different API keys. Send one.")
    return _require_current(find_key(given, keys), now)


def require_known_key(spellings: Sequence[bytes], keys: Sequence[ApiKey], now: datetime) -> ApiKey:
    """Return the valid key that one of the readings of a credential is. Raises ProblemError."""
    found = [find_key([spelling], keys) for spelling in spellings]
    return _require_current(next(filter(None, found), None), now)


def is_current(key: ApiKey, now: datetime) -> bool:
    """Whether a key has not expired."""
    return key.expires_at is None or now < key.expires_at


def _require_current(key: ApiKey | None, now: datetime) -> ApiKey:
    if key is None:
        raise problem(
            "api-key-invalid", "The API key is unknown. Send one of this deployment's keys."
        )
    if not is_current(key, now):
        raise problem(
            "api-key-invalid",
            f"The API key {key.name!r} has expired. Ask the operator for a new one.",
        )
    return key


def _allowed_caller(
    key: ApiKey, endpoint: KeyedEndpoint, connection_of_key: Callable[[], str]
) -> Caller:
    _require_endpoint(key, endpoint)
    connection = connection_of_key()
    if not key.is_for(connection):
        raise _not_allowed(key, f"the connection {connection}")
    may_log_in = key.endpoints is None or "login" in key.endpoints
    mark_authenticated(key.logged_name)
    return Caller(key_name=key.logged_name, connection=connection, may_log_in=may_log_in)


def _require_endpoint(key: ApiKey, endpoint: KeyedEndpoint) -> None:
    if key.endpoints is not None and endpoint not in key.endpoints:
        raise _not_allowed(key, f"the endpoint {endpoint}")


def _not_allowed(key: ApiKey, what: str) -> ProblemError:
    return problem(
        "key-not-allowed",
        f"{key.variable} does not allow the API key {key.name!r} for {what}. Use another key, or "
        "change its entry.",
    )
