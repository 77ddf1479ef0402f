"""Square's sandbox. It has its own application ids and secrets.

Register: https://developer.squareup.com/apps, OAuth, sandbox, with the redirect URI. Open the
    sandbox dashboard first, in the same browser.
Refresh token: Every login returns one. `SCOPE` has the permissions, such as
    `MERCHANT_PROFILE_READ`.
Lifetimes: Access token 30 days. The refresh token does not expire.
Ends: A revocation by the merchant.
Source: https://developer.squareup.com/docs/oauth-api/overview; square/square-python-sdk (o_auth,
    obtain_token_response); Nango.
"""

from domain.providers.square import square

PROVIDER = square("connect.squareupsandbox.com", name="square-sandbox")
