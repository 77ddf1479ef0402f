"""Settings of a provider that its metadata (RFC 8414 §2) or the environment overrides."""

from dataclasses import replace
from ipaddress import ip_address
from typing import NamedTuple
from urllib.parse import urlsplit

from domain.provider import ClientAuthentication, Pkce, Provider


class ServerMetadata(NamedTuple):
    """Overrides for fields of a `Provider`; None for no override."""

    # A tuple, because every cold start makes this class: a dataclass takes five times as long.

    issuer: str | None = None
    authorization_endpoint: str | None = None
    token_endpoint: str | None = None
    revocation_endpoint: str | None = None
    client_authentication: ClientAuthentication | None = None
    pkce: Pkce | None = None
    sends_issuer: bool | None = None


def with_metadata(provider: Provider, metadata: ServerMetadata) -> Provider:
    """Return the provider with the overrides."""
    values = {name: value for name, value in metadata._asdict().items() if value is not None}
    return replace(provider, **values)


def metadata_urls(issuer: str) -> tuple[str, str]:
    """Return the two URLs of an issuer's metadata: of OAuth, and of OpenID Connect.

    The first inserts the well-known part before the issuer's path (RFC 8414 §3.1). The second
    appends it (OpenID Connect Discovery 1.0 §4). Both drop a final slash.
    """
    parts = urlsplit(issuer)
    path = parts.path.removesuffix("/")
    inserted = parts._replace(path=f"/.well-known/oauth-authorization-server{path}")
    appended = parts._replace(path=f"{path}/.well-known/openid-configuration")
    return inserted.geturl(), appended.geturl()


def is_safe_url(url: str) -> bool:
    """Whether secrets may be sent to a URL: https (RFC 6749 §3.1, §3.2), or http on loopback."""
    try:
        parts = urlsplit(url)
        host = parts.hostname
        _ = parts.port
    except ValueError:
        return False
    is_plain = url.isascii() and url.isprintable() and " " not in url
    # Even an empty fragment would swallow the query that is appended.
    if not host or not is_plain or "#" in url or parts.username is not None:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host))


def is_loopback(host: str) -> bool:
    """Whether a host is this machine."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
