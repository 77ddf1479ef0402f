"""PayPal's sandbox. It has its own apps, client ids and accounts.

Register: https://developer.paypal.com/dashboard/applications, sandbox, Log in with PayPal, with the
    redirect URI.
Refresh token: Every login returns one. `SCOPE` needs scopes such as `openid`.
Lifetimes: As in each response: an access token of some 8 hours.
Ends: A revocation by the account, or some 180 days.
Source: paypal/paypal-rest-api-specifications; Nango, better-auth.
Unverified: The lifetimes, and whether a refresh replaces the refresh token. The preset expects a
    new one, without grace.
"""

from domain.providers.paypal import paypal

PROVIDER = paypal("www.sandbox.paypal.com", "api-m.sandbox.paypal.com", name="paypal-sandbox")
