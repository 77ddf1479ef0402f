"""What is said of how to talk to a provider: by itself, or by whoever deploys (RFC 8414 §2)."""

from dataclasses import dataclass, fields, replace
from ipaddress import ip_address
from urllib.parse import urlsplit

from domain.provider import ClientAuthentication, Pkce, Provider


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerMetadata:
    """Fields of a `Provider` that can be told over its preset; None where nothing is told."""

    issuer: str | None = None
    authorization_endpoint: str | None = None
    token_endpoint: str | None = None
    revocation_endpoint: str | None = None
    client_authentication: ClientAuthentication | None = None
    pkce: Pkce | None = None
    sends_issuer: bool | None = None


def with_metadata(provider: Provider, metadata: ServerMetadata) -> Provider:
    """Put what is told in the place of what the provider had."""
    values = {field.name: getattr(metadata, field.name) for field in fields(metadata)}
    return replace(provider, **{name: told for name, told in values.items() if told is not None})


def metadata_urls(issuer: str) -> tuple[str, str]:
    """Say where an issuer publishes its metadata: OAuth's place, and OpenID Connect's.

    The first inserts the well-known part before the issuer's path (RFC 8414 §3.1), the second
    appends it (OpenID Connect Discovery 1.0 §4); both let go of a last slash.
    """
    parts = urlsplit(issuer)
    path = parts.path.removesuffix("/")
    inserted = parts._replace(path=f"/.well-known/oauth-authorization-server{path}")
    appended = parts._replace(path=f"{path}/.well-known/openid-configuration")
    return inserted.geturl(), appended.geturl()


def is_safe_url(url: str) -> bool:
    """Whether secrets may be sent there: https (RFC 6749 §3.1, §3.2), or http on loopback."""
    try:
        parts = urlsplit(url)
        host = parts.hostname
        _ = parts.port
    except ValueError:
        return False
    is_plain = url.isascii() and url.isprintable() and " " not in url
    # By its sign: an empty fragment is one, too, and would swallow what is appended.
    if not host or not is_plain or "#" in url or parts.username is not None:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host))


def is_loopback(host: str) -> bool:
    """Whether a host is this machine itself."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
