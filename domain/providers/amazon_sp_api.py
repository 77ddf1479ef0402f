"""Amazon Selling Partner API: consent in Seller Central, whose host `ENDPOINT_VALUES` names.

Register: Seller Central, Develop Apps, with the redirect URI.
    `ENDPOINT_VALUES=host=…&application_id=amzn1.sp.solution.…` has the Seller Central of the
    marketplace and the application's id. For a draft set
    `AUTHORIZATION_PARAMS=application_id=…&version=beta`.
Refresh token: Every login returns one. There are no scopes.
Lifetimes: As in each response: an access token of about 1 hour.
Ends: A revocation by the seller, or a year without a new authorization.
Source: Airbyte (the hosts), Nango (the parameters).
Unverified: The lifetimes, the yearly authorization, and that a refresh returns the same refresh
    token. The preset expects a new one, without grace.
"""

from domain.provider import UNDECLARED_ACCESS_TOKEN_LIFETIME, Pkce, Provider
from domain.wire_format import WireFormat

_SELLER_CENTRALS = (
    "sellercentral.amazon.com",
    "sellercentral-europe.amazon.com",
    *("sellercentral.amazon.ae", "sellercentral.amazon.ca", "sellercentral.amazon.co.jp"),
    *("sellercentral.amazon.co.uk", "sellercentral.amazon.co.za", "sellercentral.amazon.com.au"),
    *("sellercentral.amazon.com.be", "sellercentral.amazon.com.br", "sellercentral.amazon.com.mx"),
    *("sellercentral.amazon.com.tr", "sellercentral.amazon.de", "sellercentral.amazon.eg"),
    *("sellercentral.amazon.es", "sellercentral.amazon.fr", "sellercentral.amazon.ie"),
    *("sellercentral.amazon.in", "sellercentral.amazon.it", "sellercentral.amazon.nl"),
    *("sellercentral.amazon.pl", "sellercentral.amazon.sa", "sellercentral.amazon.se"),
    "sellercentral.amazon.sg",
)

PROVIDER = Provider(
    name="amazon-sp-api",
    authorization_endpoint="https://{host}/apps/authorize/consent",
    token_endpoint="https://api.amazon.com/auth/o2/token",
    pkce=Pkce.NONE,
    access_token_lifetime=UNDECLARED_ACCESS_TOKEN_LIFETIME,
    refresh_token_lifetime=None,
    authorization_params=(("application_id", "{application_id}"),),
    placeholders={"host": _SELLER_CENTRALS, "application_id": ()},
    callback_members=("selling_partner_id",),
    # The application's id replaces the client's.
    wire=WireFormat(authorization_names={"client_id": ""}, callback_code="spapi_oauth_code"),
)
