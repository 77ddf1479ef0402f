"""The paths of a simulated provider's endpoints: those of the provider itself."""

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from domain.provider import Provider

_PLACEHOLDER = re.compile(r"\{(\w+)\}")
# For a placeholder that may have any value, as a label or as a whole host name.
ANY_LABEL = "simulated"
ANY_HOST = "simulated.example"


@dataclass(frozen=True, slots=True, kw_only=True)
class Paths:
    """The paths below the prefix. Refreshes may have the path of all token requests."""

    authorization: str
    token: str
    refresh: str
    revocation: str | None

    @classmethod
    def of(cls, provider: Provider, *, prefix: str = "") -> "Paths":
        """Return the paths of a provider, without the prefix of endpoints that are here already.

        Endpoints of different hosts may have the same path: then the later one is extended.
        """
        values = placeholder_values(provider)

        def path(endpoint: str | None, default: str, *others: str) -> str:
            found = urlsplit(_filled(endpoint or "", values)).path.removeprefix(prefix)
            found = found if found.strip("/") else default
            return f"{found.rstrip('/')}{default}" if found in others else found

        authorization = path(provider.authorization_endpoint, "/authorize")
        token = path(provider.token_endpoint, "/token", authorization)
        refresh_endpoint = provider.wire.refresh_endpoint if provider.wire is not None else None
        refresh = token
        if refresh_endpoint is not None:
            refresh = path(refresh_endpoint, "/refresh", authorization)
        revocation = None
        if provider.revocation_endpoint is not None:
            others = (authorization, token, refresh)
            revocation = path(provider.revocation_endpoint, "/revoke", *others)
        return cls(authorization=authorization, token=token, refresh=refresh, revocation=revocation)


def prefix_of(preset: str) -> str:
    """Return the path below which a preset is played."""
    return f"/simulated-{preset}"


def placeholder_values(provider: Provider) -> dict[str, str]:
    """Return a value for each placeholder of a provider."""
    endpoints = [endpoint for endpoint in _endpoints_of(provider) if endpoint is not None]
    in_parameters = {name: _value(provider, name, "") for name in provider.placeholders}
    return in_parameters | {
        name: _value(provider, name, endpoint)
        for endpoint in endpoints
        for name in _PLACEHOLDER.findall(endpoint)
    }


def _endpoints_of(provider: Provider) -> tuple[str | None, ...]:
    return (
        provider.authorization_endpoint,
        provider.token_endpoint,
        provider.wire.refresh_endpoint if provider.wire is not None else None,
        provider.revocation_endpoint,
        provider.issuer,
    )


def _value(provider: Provider, name: str, endpoint: str) -> str:
    allowed = provider.placeholders.get(name, ())
    if allowed:
        return allowed[0]
    is_host = endpoint.startswith(f"https://{{{name}}}/") or endpoint == f"https://{{{name}}}"
    return ANY_HOST if is_host else ANY_LABEL


def _filled(endpoint: str, values: dict[str, str]) -> str:
    return _PLACEHOLDER.sub(lambda found: values[found[1]], endpoint)
