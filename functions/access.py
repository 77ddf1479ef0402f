"""Who may ask: the API key, and the secret of whoever starts the sweep, in constant time."""

from hmac import compare_digest

from functions.messages import Request
from functions.problems import problem
from functions.settings import SettingsError

_HOW = "send it as `x-api-key: KEY` or `Authorization: Bearer KEY`"


def require_api_key(request: Request, api_key: str) -> None:
    """Let the request pass if it carries the key. Raises ProblemError (RFC 6750 §3).

    The key is taken from headers only: URLs end up in logs.
    """
    given = [value.strip() for value in request.header_values(b"x-api-key")]
    given += _bearer_tokens(request)
    if not given:
        raise problem("api-key-missing", f"this endpoint needs the deployment's API key: {_HOW}")
    if not _are_all(api_key, given):
        raise problem("api-key-invalid", f"the API key is not the deployment's: {_HOW}")


def require_cron_secret(request: Request, cron_secret: str | None) -> None:
    """Let the request pass if it carries the secret. Raises SettingsError, ProblemError."""
    if cron_secret is None:
        raise SettingsError(["CRON_SECRET is not set, and the sweep asks for it"])
    given = _bearer_tokens(request)
    if not given or not _are_all(cron_secret, given):
        raise problem(
            "cron-secret-required",
            "the sweep asks for the deployment's CRON_SECRET: send it as `Authorization: Bearer "
            "SECRET`; to refresh one connection, POST with the API key",
        )


def _are_all(expected: str, given: list[bytes]) -> bool:
    # Every one is compared, so that which one differs does not show either.
    matches = [compare_digest(value, expected.encode("ascii")) for value in given]
    return bool(expected) and all(matches)


def _bearer_tokens(request: Request) -> list[bytes]:
    """Return what stands in headers of the form `Authorization: Bearer …` (RFC 6750 §2.1)."""
    values = [value.strip().partition(b" ") for value in request.header_values(b"authorization")]
    return [token.strip() for scheme, _, token in values if scheme.lower() == b"bearer"]
