"""A provider as data: endpoints, client authentication, lifetimes, rotation, quirks."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import Enum
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    # Most providers differ in nothing. Their presets skip the import.
    from domain.wire_format import WireFormat


class GrantType(Enum):
    """How the client gets its first tokens (RFC 6749 §1.3). The values are those of §4."""

    # A person logs in.
    AUTHORIZATION_CODE = "authorization_code"
    # The client's own credentials are enough.
    CLIENT_CREDENTIALS = "client_credentials"


class ClientAuthentication(Enum):
    """How the client authenticates at the token endpoint (RFC 6749 §2.3.1, RFC 7591 §2).

    A public client has no secret, and sends its id only.
    """

    POST = "client_secret_post"
    BASIC = "client_secret_basic"
    # The secret as the user name of HTTP Basic, with an empty password (Stripe).
    SECRET_AS_USER = "client_secret_as_basic_user"
    # A signed assertion instead of a secret (RFC 7523 §2.2, OpenID Connect Core §9).
    PRIVATE_KEY_JWT = "private_key_jwt"
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


# The bound of a grace until the new tokens are used, if none is declared: an hour. It is the
# shortest that a provider documents (RingCentral). Shopify's is 30 days.
UNTIL_USED_BOUND = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotation:
    """When a refresh token is replaced, and how long the provider still accepts the old one.

    - `grace`: for how long after it was replaced, at most.
    - `until_used`: only until one of the new tokens is used. RingCentral and Shopify do this.

    Raises ValueError if there is no `grace` until the new tokens are used.
    """

    kind: RotationKind
    grace: timedelta = timedelta(0)
    until_used: bool = False

    def __post_init__(self) -> None:
        if self.until_used and not self.grace:
            raise ValueError("a grace until the new tokens are used needs a bound")


class AssumedLifetime(NamedTuple):
    """A lifetime of access tokens for a provider that does not declare one.

    It is shorter than any in common use, and applies only where a refresh can replace the token.
    Otherwise the access token counts as valid until a caller reports that it was refused. RFC 6749
    §5.1 leaves its lifetime to the documentation.
    """

    # A tuple, because every cold start makes this class: a dataclass takes five times as long.

    lifetime: timedelta


class LifetimeStart(Enum):
    """When the lifetime of a refresh token starts. The values are those of the environment."""

    # A refresh that replaces it starts it again.
    ISSUE = "issue"
    # Any refresh starts it again: an idle limit.
    USE = "sliding"
    # Only a login starts it again.
    LOGIN = "from-login"


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """The data of one provider.

    - `grant_type`: how the client gets tokens. Rotation and the lifetime of refresh tokens concern
      logins only.
    - `access_token_lifetime`: for a response without one. None: the token does not expire.
    - `refresh_token_lifetime`: for a response without one. None: unknown.
    - `refresh_token_counted`: when the lifetime of the refresh token starts.
    - `login_lifetime`: how long a login lasts, however often its tokens are refreshed. None:
      unknown. If the lifetime of the refresh token ends first, that counts.
    - `refresh_only_within`: the provider refuses a refresh while the access token is valid for
      longer than this. None: it does not.
    - `placeholders`: the names in braces in the endpoints, such as `{tenant}`, and the allowed
      values of each. Empty: any label of a host name, or for a name that is the whole host, any
      host.
    - `required_settings`: further variables that this provider requires, such as `REDIRECT_URI`
      for eBay.
    - `response_members`, `callback_members`: members that API calls require next to the tokens,
      such as Salesforce's `instance_url` and Intuit's `realmId`. They are kept with the grant.
    - `wire`: how its messages differ from RFC 6749. None: they do not.
    - `token_type`, `lifetime_members`: what its token responses have, by the provider's own names
      of lifetimes. A name that ends in `_at` has an instant. The simulation answers so. Without
      any, and with an assumed lifetime only, its access token does not expire.
    - An endpoint is empty until it is known.
    """

    name: str
    # RFC 9207 §2: its issuer, if known, and whether each redirect back has it as `iss`.
    issuer: str | None = None
    sends_issuer: bool = False
    authorization_endpoint: str
    token_endpoint: str
    # RFC 7009; None without one.
    revocation_endpoint: str | None = None
    grant_type: GrantType = GrantType.AUTHORIZATION_CODE
    client_authentication: ClientAuthentication = ClientAuthentication.POST
    pkce: Pkce = Pkce.S256
    scope: str | None = None
    token_type: str = "Bearer"
    lifetime_members: tuple[str, ...] = ("expires_in",)
    authorization_params: tuple[tuple[str, str], ...] = ()
    # Sent with each token request, such as RFC 8707's `resource`, which may repeat.
    token_params: tuple[tuple[str, str], ...] = ()
    rotation: Rotation = Rotation(kind=RotationKind.ALWAYS)
    # GitHub and GitLab end the old access token with a refresh. So refresh late.
    refresh_ends_access_token: bool = False
    access_token_lifetime: timedelta | AssumedLifetime | None
    refresh_token_lifetime: timedelta | None
    refresh_token_counted: LifetimeStart = LifetimeStart.ISSUE
    login_lifetime: timedelta | None = None
    refresh_only_within: timedelta | None = None
    placeholders: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    required_settings: tuple[str, ...] = ()
    response_members: tuple[str, ...] = ()
    callback_members: tuple[str, ...] = ()
    wire: "WireFormat | None" = None
    # A vendor's own code or text, in lower case, to the RFC 6749 code that it means. For those that
    # `error_meanings.py` cannot know, because other providers use them otherwise or not at all.
    error_aliases: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # All requests share a preset.
        for name in ("placeholders", "error_aliases"):
            object.__setattr__(self, name, MappingProxyType(dict(getattr(self, name))))

    @property
    def callback_code(self) -> str:
        """The name of the code in the redirect back (RFC 6749 §4.1.2, or the provider's)."""
        return "code" if self.wire is None else self.wire.callback_code

    @property
    def replay_is_harmless(self) -> bool:
        """Whether sending the same refresh token twice costs nothing."""
        return self.rotation.kind is RotationKind.NONE and not self.refresh_ends_access_token


UNDECLARED_ACCESS_TOKEN_LIFETIME = AssumedLifetime(timedelta(minutes=5))
