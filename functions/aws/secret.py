"""What a secret says: more variables, as one JSON object of texts."""

import json
import re
from collections.abc import Mapping

from functions.settings.settings import SettingsError

VARIABLES = frozenset(
    {
        "ACCESS_TOKEN_LIFETIME",
        "API_KEY",
        "API_KEYS",
        "AUTHORIZATION_ENDPOINT",
        "AUTHORIZATION_PARAMS",
        "CLIENT_ID",
        "CLIENT_SECRET",
        "CRON_SECRET",
        "ENCRYPTION_KEYS",
        "FAILURE_LIMIT",
        "ISSUER",
        "KV_REST_API_TOKEN",
        "OAUTH_STATE",
        "PKCE",
        "PROVIDER",
        "PUBLIC_URL",
        "REFRESH_TOKEN_LIFETIME",
        "REFUSAL_WORDS",
        "REVOCATION_ENDPOINT",
        "ROTATION",
        "SCOPE",
        "TOKEN_ENDPOINT",
        "TOKEN_ENDPOINT_AUTH_METHOD",
        "TOKEN_PARAMS",
        "UPSTASH_REDIS_REST_TOKEN",
        "USER_AGENT",
    }
)
"""What may stand in a secret. Not which store there is: another one has none of the grants."""

# What does not look like a variable may be a value in the wrong place, and is not repeated.
_NAME = re.compile(r"[A-Z][A-Z0-9_]{0,63}")


def with_secret(environ: Mapping[str, str], text: str) -> dict[str, str]:
    """Return the environment and the variables of the secret. Raises SettingsError."""
    variables = _variables(text)
    both = [name for name in variables if environ.get(name, "").strip()]
    if both:
        raise SettingsError([f"both in the environment and in the secret: {_listed(both)}"])
    return {**environ, **variables}


def _variables(text: str) -> dict[str, str]:
    try:
        pairs = json.loads(text, object_pairs_hook=_Pairs)
    # The second for lists in lists, a thousand deep.
    except (ValueError, RecursionError):
        raise SettingsError(["the secret is no JSON"]) from None
    if not isinstance(pairs, _Pairs):
        raise SettingsError(["the secret is no JSON object"])
    names = [name for name, _ in pairs]
    texts = {name: value for name, value in pairs if isinstance(value, str)}
    faults = {
        "not to be in the secret": [name for name in names if name not in VARIABLES],
        "more than once in the secret": [name for name in names if names.count(name) > 1],
        "not a text in the secret": [name for name in names if name not in texts],
    }
    found = [f"{fault}: {_listed(named)}" for fault, named in faults.items() if named]
    if found:
        raise SettingsError(found)
    return texts


class _Pairs(list[tuple[str, object]]):
    """The members of a JSON object, those of the same name as well."""


def _listed(names: list[str]) -> str:
    told = sorted({name for name in names if _NAME.fullmatch(name)})
    untold = len({name for name in names if not _NAME.fullmatch(name)})
    return ", ".join(told + ([f"{untold} that cannot be variables"] if untold else []))
