"""eBay's sandbox. It has its own keys, RuNames and accounts.

Register: https://developer.ebay.com/my/keys, sandbox, User Tokens: the redirect URI as the auth
    accepted URL. `REDIRECT_URI` is the RuName.
Refresh token: Every login returns one. `SCOPE` has the scopes, which are URLs.
Lifetimes: Access token 2 hours. Refresh token 18 months from the login, which no refresh extends.
Ends: 18 months after the login, a new password, or a revocation by the account.
Source: eBay/ebay-oauth-nodejs-client; eBay's documentation as quoted.
Unverified: That a new password ends the login.
"""

from domain.providers.ebay import ebay

PROVIDER = ebay("auth.sandbox.ebay.com", "api.sandbox.ebay.com", name="ebay-sandbox")
