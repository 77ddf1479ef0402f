"""The scopes that a login asked for, and those that the provider granted (RFC 6749 §3.3).

Providers write the same scope in several ways. A scope counts as missing only if no spelling of it
was granted.
"""

import re

from domain.provider import Provider
from domain.tokens import Tokens

# RFC 6749 has spaces. GitHub and Strava separate by commas.
_SEPARATORS = re.compile(r"[\s,]+")
# A refresh token shows that these were granted. Microsoft does not return them.
_FOR_A_REFRESH_TOKEN = frozenset({"offline_access", "offline.access", "offline", "refresh_token"})
# Google's long names (developers.google.com/identity/protocols/oauth2/scopes).
_LONG_NAMES = {"email": "userinfo.email", "profile": "userinfo.profile"}


def asked_scope(provider: Provider) -> str | None:
    """Return the scope of an authorization request; None if it has none."""
    return provider.scope or dict(provider.authorization_params).get("scope")


def missing_scopes(asked: str, tokens: Tokens) -> list[str]:
    """Return the asked scopes that were not granted, in their order."""
    if tokens.scope is None:
        # RFC 6749 §5.1: no scope in the response means that all were granted.
        return []
    granted = {spelling for scope in split_scope(tokens.scope) for spelling in _spellings(scope)}
    if tokens.refresh_token is not None:
        granted |= _FOR_A_REFRESH_TOKEN
    return [scope for scope in dict.fromkeys(split_scope(asked)) if not _is_in(granted, scope)]


def _is_in(granted: set[str], scope: str) -> bool:
    name = scope.casefold()
    return not granted.isdisjoint({name, _LONG_NAMES.get(name, name)})


def split_scope(scope: str) -> list[str]:
    """Return the single scopes, in their order."""
    return [part for part in _SEPARATORS.split(scope) if part]


def _spellings(scope: str) -> tuple[str, str]:
    """Return a scope and its last part: `https://graph.microsoft.com/Mail.Read` and `Mail.Read`."""
    name = scope.casefold()
    return name, name.rpartition("/")[2] if "://" in name else name
