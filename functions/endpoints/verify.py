"""GET /api/verify: the status of a connection. The provider is not asked."""

from domain.grant import Moved, place_of
from domain.questions import missing_authorization
from domain.tokens import Freshness
from functions.access.gate import require_api_key
from functions.endpoints.answers import connection_moved, login_detail
from functions.endpoints.connection_members import connection_members
from functions.http.messages import Request, Response
from functions.http.problems import problem
from functions.refresh.status import history, refusal_quote
from functions.routes import Routes
from functions.wiring import Wiring


async def verify(request: Request, wiring: Wiring) -> Response:
    """GET /api/verify: return the status without asking the provider. Raises ProblemError."""
    keys, now = await wiring.keys_for(request), wiring.clock.now()
    caller = require_api_key(request, keys, endpoint="verify", now=now, extra_params=("history",))
    wants_history = _wants_history(request)
    client = wiring.client_of(caller.connection)
    record = await client.keeper.load(caller.connection)
    now, grant_type = wiring.clock.now(), client.keeper.grant_type
    members = connection_members(record.grant, client.client.provider, now)
    if wants_history:
        members["history"] = history(record.ledger)
    if isinstance(record.grant, Moved):
        raise connection_moved(record.grant.since, members)
    cause = missing_authorization(record.grant, now, grant_type)
    if cause is not None:
        login = await wiring.offer_login(caller, place_of(record.grant))
        raise problem(
            "not-authorized",
            login_detail(cause, login, quote=refusal_quote(record.grant)),
            members={**members, "login": login.members},
        )
    return Response.json(200 if members["state"] == Freshness.FRESH.value else 202, members)


def _wants_history(request: Request) -> bool:
    text = request.parameters.get("history", "0")
    if text not in {"0", "1"}:
        raise problem("invalid-request", "Invalid history. Use 0 or 1.")
    return text == "1"


ROUTES: Routes = {"/api/verify": {"GET": verify, "HEAD": verify}}
