"""A provider as data: endpoints, client authentication, lifetimes, rotation, quirks."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import Enum


class ClientAuthentication(Enum):
    """How the client proves itself at the token endpoint (RFC 6749 §2.3.1, RFC 7591 §2).

    One without a secret, which is public, only names itself.
    """

    POST = "client_secret_post"
    BASIC = "client_secret_basic"
    NONE = "none"


class Pkce(Enum):
    """Whether the provider supports a code challenge (RFC 7636)."""

    S256 = "S256"
    NONE = "none"


class RotationKind(Enum):
    """Whether a refresh replaces the refresh token (RFC 6749 §6, RFC 9700 §4.14.2)."""

    NONE = "none"
    OPTIONAL = "optional"
    ALWAYS = "always"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotation:
    """When a refresh token is replaced, and for how long the replaced one is still honoured."""

    kind: RotationKind
    grace: timedelta = timedelta(0)


@dataclass(frozen=True, slots=True)
class AssumedLifetime:
    """A lifetime of access tokens that nobody has declared, shorter than any in common use.

    It is safe to take where a refresh token can replace what may be over. Where nothing can, an
    access token is taken to last until somebody says that it is refused (RFC 6749 §5.1 leaves its
    lifetime to the documentation).
    """

    lifetime: timedelta


class LifetimeStart(Enum):
    """From when on a refresh token's lifetime counts, as the environment says it."""

    # A refresh that replaces it begins anew.
    ISSUE = "issue"
    # Any refresh does: an idle limit.
    USE = "sliding"
    # None does: a person has to log in again, however often it is used.
    LOGIN = "from-login"


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """Everything that is particular to one provider.

    `access_token_lifetime` and `refresh_token_lifetime` stand in where a response names none;
    None declares that the token does not expire (access) or that nothing is known (refresh).
    `refresh_token_counted` tells from when on the second one counts.
    An endpoint is empty until it is known.
    """

    name: str
    # RFC 9207 §2: what it calls itself, where that is known, and whether it always does so when it
    # sends the browser back.
    issuer: str | None = None
    sends_issuer: bool = False
    authorization_endpoint: str
    token_endpoint: str
    # RFC 7009; None where there is none.
    revocation_endpoint: str | None = None
    client_authentication: ClientAuthentication = ClientAuthentication.POST
    pkce: Pkce = Pkce.S256
    scope: str | None = None
    authorization_params: tuple[tuple[str, str], ...] = ()
    # With each request for tokens, such as RFC 8707's `resource`, which may be there repeatedly.
    token_params: tuple[tuple[str, str], ...] = ()
    rotation: Rotation = Rotation(kind=RotationKind.ALWAYS)
    # GitHub and GitLab end the old access token with the refresh; it is then refreshed late.
    refresh_ends_access_token: bool = False
    access_token_lifetime: timedelta | AssumedLifetime | None
    refresh_token_lifetime: timedelta | None
    refresh_token_counted: LifetimeStart = LifetimeStart.ISSUE
    # A vendor's own code or text, in lower case, to the RFC 6749 code it stands for: what
    # `refusals.py` cannot know, because elsewhere it means nothing or something else.
    error_aliases: Mapping[str, str] = field(default_factory=dict)

    @property
    def replay_is_harmless(self) -> bool:
        """Whether the same refresh token may be sent twice with nothing lost."""
        return self.rotation.kind is RotationKind.NONE and not self.refresh_ends_access_token


def digikey(host: str, *, name: str) -> Provider:
    """Digi-Key at one of its hosts: one-time refresh tokens, no grace, and no PKCE told of.

    Lifetimes, paths and errors as on developer.digikey.com, "OAuth 2.0 3-Legged Flow".
    """
    return Provider(
        name=name,
        authorization_endpoint=f"https://{host}/v1/oauth2/authorize",
        token_endpoint=f"https://{host}/v1/oauth2/token",
        pkce=Pkce.NONE,
        access_token_lifetime=timedelta(minutes=30),
        refresh_token_lifetime=timedelta(days=90),
        error_aliases={
            "invalid clientid": "invalid_client",
            "invalid client-id": "invalid_client",
        },
    )


UNDECLARED_ACCESS_TOKEN_LIFETIME = AssumedLifetime(timedelta(minutes=5))

PRESETS: Mapping[str, Provider] = {
    "digikey": digikey("api.digikey.com", name="digikey"),
    "digikey-sandbox": digikey("sandbox-api.digikey.com", name="digikey-sandbox"),
    # The endpoints come from the environment.
    "custom": Provider(
        name="custom",
        authorization_endpoint="",
        token_endpoint="",
        access_token_lifetime=UNDECLARED_ACCESS_TOKEN_LIFETIME,
        refresh_token_lifetime=None,
    ),
}
