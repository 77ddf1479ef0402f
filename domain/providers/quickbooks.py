"""QuickBooks (Intuit), production and sandbox: the redirect back names the company, `realmId`.

Register: https://developer.intuit.com, an app with the keys of its environment, and the redirect
    URI.
Refresh token: Every login returns one. `SCOPE` needs a scope such as
    `com.intuit.quickbooks.accounting`.
Lifetimes: Access token 1 hour. Refresh token 100 days from its last change, and at most 5 years.
Ends: 100 days without a refresh, 5 years, or a refresh token that was replaced over 24 hours ago.
Source: intuit/oauth-jsclient (README, OAuthClient.js); QuickBooks-V3 SDK, release 6.5.4.
"""

from datetime import timedelta

from domain.provider import ClientAuthentication, Pkce, Provider, Rotation, RotationKind
from domain.wire_format import RevocationStyle, WireFormat

PROVIDER = Provider(
    name="quickbooks",
    authorization_endpoint="https://appcenter.intuit.com/connect/oauth2",
    token_endpoint="https://oauth.platform.intuit.com/oauth2/v1/tokens/bearer",
    lifetime_members=("expires_in", "x_refresh_token_expires_in"),
    revocation_endpoint="https://developer.api.intuit.com/v2/oauth2/tokens/revoke",
    client_authentication=ClientAuthentication.BASIC,
    pkce=Pkce.NONE,
    # README: the value changes about daily, and the previous one expires 24 hours later.
    rotation=Rotation(kind=RotationKind.OPTIONAL, grace=timedelta(hours=24)),
    access_token_lifetime=timedelta(hours=1),
    refresh_token_lifetime=timedelta(days=100),
    callback_members=("realmId",),
    wire=WireFormat(revocation=RevocationStyle.JSON),
)
