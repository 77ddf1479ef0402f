"""DocuSign, production: the API's host depends on the account.

Register: https://admindemo.docusign.com, Apps and Keys, an app with the redirect URI, promoted to
    production.
Refresh token: Every login returns one. `SCOPE=signature extended` restarts its lifetime with each
    refresh.
Lifetimes: As in each response: an access token of about 8 hours. Refresh token 30 days, from the
    login without `extended`.
Ends: 30 days without a refresh, or 30 days after the login without `extended`.
Source: docusign/docusign-esign-python-client; Nango, simov/grant, openiddict.
Unverified: The lifetimes, and whether a refresh replaces the refresh token. The preset expects a
    new one, without grace.
"""

from domain.provider import UNDECLARED_ACCESS_TOKEN_LIFETIME, ClientAuthentication, Provider


def docusign(host: str, *, name: str) -> Provider:
    """Return DocuSign at one of its login hosts."""
    return Provider(
        name=name,
        authorization_endpoint=f"https://{host}/oauth/auth",
        token_endpoint=f"https://{host}/oauth/token",
        client_authentication=ClientAuthentication.BASIC,
        access_token_lifetime=UNDECLARED_ACCESS_TOKEN_LIFETIME,
        refresh_token_lifetime=None,
        required_settings=("SCOPE",),
    )


PROVIDER = docusign("account.docusign.com", name="docusign")
