"""POST /api/adopt: adopt tokens that another program got."""

from functions.access.gate import require_api_key
from functions.endpoints.answers import require_tokens
from functions.endpoints.connection_members import connection_members
from functions.endpoints.login import replaces
from functions.http.messages import Request, Response
from functions.http.problems import problem
from functions.login.adopted_body import AdoptedBody, UnreadableTokensError, read_form, read_text
from functions.login.adoptions import STOP_USING
from functions.routes import Routes
from functions.wiring import Wiring


async def adopt(request: Request, wiring: Wiring) -> Response:
    """POST /api/adopt: store a refresh token, and prove it by a refresh. Raises ProblemError."""
    keys, now = await wiring.keys_for(request), wiring.clock.now()
    caller = require_api_key(
        request, keys, endpoint="login", now=now, extra_params=("replace",), has_body=True
    )
    may_replace, body = replaces(request), _body(request)
    client = wiring.client_of(caller.connection)
    result = await client.adoptions.adopt(caller.connection, body, replaces=may_replace)
    now = wiring.clock.now()
    await require_tokens(result.answer, now, offer=lambda read: wiring.offer_login(caller, read))
    members = connection_members(result.after, client.client.provider, now)
    return Response.json(200, {**members, "detail": STOP_USING})


def _body(request: Request) -> AdoptedBody:
    try:
        return read_form(request.body) if request.is_form() else read_text(request.body)
    except UnreadableTokensError as error:
        raise problem("invalid-request", str(error)) from error


ROUTES: Routes = {"/api/adopt": {"POST": adopt}}
