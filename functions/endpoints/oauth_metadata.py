"""GET /.well-known/oauth-authorization-server: what the token endpoint offers (RFC 8414)."""

from functions.access.token_requests import AUTHENTICATION_METHODS, GRANT_TYPES
from functions.http.messages import Request, Response
from functions.routes import METADATA, TOKEN_URL, Routes
from functions.settings.settings import SettingsError
from functions.wiring import Wiring


async def metadata(_request: Request, wiring: Wiring) -> Response:
    """GET /.well-known/oauth-authorization-server: the metadata. Raises SettingsError.

    The addresses are those of PUBLIC_URL. The Host header does not count, because a client would
    send its API key there.
    """
    issuer = wiring.settings.public_url
    if issuer is None:
        raise SettingsError(["PUBLIC_URL is not set, and the metadata requires it"])
    members = {
        "issuer": issuer,
        "token_endpoint": issuer + TOKEN_URL,
        "grant_types_supported": list(GRANT_TYPES),
        "token_endpoint_auth_methods_supported": list(AUTHENTICATION_METHODS),
        # RFC 8414 §2 requires this member. There is no authorization endpoint.
        "response_types_supported": [],
    }
    return Response.json(200, members)


ROUTES: Routes = {METADATA: {"GET": metadata, "HEAD": metadata}}
