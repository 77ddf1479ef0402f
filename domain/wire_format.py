"""How a provider's messages differ from RFC 6749: endpoints, parameters, headers, members.

Only presets with such a difference import this module. The adapters and the login apply it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType

_NO_NAMES: Mapping[str, str] = MappingProxyType({})


class BodyFormat(Enum):
    """The format of a token request's body. RFC 6749 has forms only."""

    FORM = "form"
    JSON = "json"


class RevocationStyle(Enum):
    """How a token is revoked."""

    # A form with the token, from an authenticated client (RFC 7009).
    STANDARD = "rfc7009"
    # The same members as JSON (Notion, Intuit).
    JSON = "json"
    # An empty POST, with the access token as Bearer (Dropbox, Slack, Strava).
    BEARER = "bearer"
    # An empty DELETE, with the access token as Bearer (WHOOP).
    DELETE_BEARER = "delete-bearer"
    # A DELETE with the access token as JSON, from a client that authenticates by Basic (GitHub).
    DELETE_JSON = "delete-json"
    # The client id and the access token as JSON, with the secret in the header (Square).
    CLIENT_HEADER = "client-header"


@dataclass(frozen=True, slots=True, kw_only=True)
class WireFormat:
    """The differences of one provider. Each default is RFC 6749's.

    - `authorization_names`, `token_request_names`: RFC 6749's name of a parameter to the
      provider's. An empty name omits the parameter. The latter also apply to revocations.
    - `callback_code`: the name of the code in the redirect back.
    - `refresh_endpoint`: for refreshes, if that is not the token endpoint.
    - `code_params`, `refresh_params`: sent with one kind of token request only, in addition to
      the `token_params` of the provider.
    - `headers`: sent with each token request and revocation.
    - `tokens_at`: the member that holds the tokens, such as Slack's `authed_user`, if there are
      tokens outside of it too. Dots separate the names of nested members.
    - `response_names`: RFC 6749's name of a member of the response to the provider's. An empty
      name ignores the member.
    """

    authorization_names: Mapping[str, str] = field(default_factory=lambda: _NO_NAMES)
    callback_code: str = "code"
    token_request: BodyFormat = BodyFormat.FORM
    token_request_names: Mapping[str, str] = field(default_factory=lambda: _NO_NAMES)
    refresh_endpoint: str | None = None
    code_params: tuple[tuple[str, str], ...] = ()
    refresh_params: tuple[tuple[str, str], ...] = ()
    # They may hold a key.
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    tokens_at: str | None = None
    response_names: Mapping[str, str] = field(default_factory=lambda: _NO_NAMES)
    revocation: RevocationStyle = RevocationStyle.STANDARD

    def __post_init__(self) -> None:
        for name in ("authorization_names", "token_request_names", "response_names"):
            object.__setattr__(self, name, MappingProxyType(dict(getattr(self, name))))
