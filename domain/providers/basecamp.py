"""Basecamp (37signals Launchpad): token requests have a `type` instead of a `grant_type`.

Register: https://launchpad.37signals.com/integrations, with the redirect URI. Set `USER_AGENT` with
    a contact, which the API demands.
Refresh token: Every login returns one. There are no scopes.
Lifetimes: As in each response: an access token of about 2 weeks. The refresh token has no stated
    end.
Ends: A revocation by the account.
Source: Nango, simov/grant, amp-labs.
Unverified: The lifetimes, and whether a refresh replaces the refresh token. The preset expects a
    new one, without grace.
"""

from domain.provider import UNDECLARED_ACCESS_TOKEN_LIFETIME, Pkce, Provider
from domain.wire_format import WireFormat

PROVIDER = Provider(
    name="basecamp",
    authorization_endpoint="https://launchpad.37signals.com/authorization/new",
    token_endpoint="https://launchpad.37signals.com/authorization/token",
    pkce=Pkce.NONE,
    authorization_params=(("type", "web_server"),),
    access_token_lifetime=UNDECLARED_ACCESS_TOKEN_LIFETIME,
    refresh_token_lifetime=None,
    wire=WireFormat(
        token_request_names={"grant_type": ""},
        code_params=(("type", "web_server"),),
        refresh_params=(("type", "refresh"),),
    ),
)
