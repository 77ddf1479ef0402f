"""Keycloak: `ENDPOINT_VALUES` names the host and the realm.

Register: Keycloak admin console, a client with client authentication and the redirect URI.
    `ENDPOINT_VALUES=host=…&realm=…`.
Refresh token: Every login returns one. `SCOPE` with `offline_access` gives one that outlasts the
    session.
Lifetimes: As in each response: an access token of 5 minutes by default, a refresh token until the
    session ends.
Ends: The end of the session or of the offline session, or a spent refresh token if the realm
    revokes these.
Source: https://www.keycloak.org/docs, server administration (sessions); Auth.js, social-core.
Unverified: The defaults, and how long an old refresh token is valid. The preset expects a new one,
    without grace.
"""

from domain.provider import UNDECLARED_ACCESS_TOKEN_LIFETIME, ClientAuthentication, Provider

PROVIDER = Provider(
    name="keycloak",
    authorization_endpoint="https://{host}/realms/{realm}/protocol/openid-connect/auth",
    token_endpoint="https://{host}/realms/{realm}/protocol/openid-connect/token",
    revocation_endpoint="https://{host}/realms/{realm}/protocol/openid-connect/revoke",
    client_authentication=ClientAuthentication.BASIC,
    access_token_lifetime=UNDECLARED_ACCESS_TOKEN_LIFETIME,
    refresh_token_lifetime=None,
    placeholders={"host": (), "realm": ()},
)
