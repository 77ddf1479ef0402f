"""GET /api/connections: the status of the connections that the key may see, in pages."""

import re
from collections.abc import Callable, Mapping
from urllib.parse import urlencode

from domain.tokens import Freshness
from functions.access.gate import require_key_of_many
from functions.endpoints.overview import MOST_RECORDS, NOT_CONFIGURED, UNREADABLE, Row, read_page
from functions.http.messages import Request, Response
from functions.http.problems import problem
from functions.routes import Routes
from functions.wiring import Wiring
from ports.store import LARGEST_PAGE

PATH = "/api/connections"
ACTION_REQUIRED = "action-required"
"""The filter for connections that need a person, in any state."""

STATES = (
    *(freshness.value for freshness in Freshness),
    "authorization-required",
    "unauthorized",
    "revoked",
    "moved",
    UNREADABLE,
    NOT_CONFIGURED,
)
"""The states of a row."""

FILTERS = (ACTION_REQUIRED, *STATES)
"""The values of the parameter `state`."""

_PARAMETERS = frozenset({"after", "limit", "state"})
_LIMIT = re.compile(r"[1-9][0-9]{0,3}", re.ASCII)
# The letters of connection names.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@:\-]{0,127}")


async def connections(request: Request, wiring: Wiring) -> Response:
    """GET /api/connections: return a page of connections. Raises ProblemError."""
    keys = await wiring.keys_for(request)
    key = require_key_of_many(
        request, keys, endpoint="connections", now=wiring.clock.now(), params=_PARAMETERS
    )
    parameters = request.parameters
    after, limit, matches = requested_after(parameters), _limit(parameters), _filter(parameters)
    page = await read_page(wiring, key, after=after, limit=limit, matches=matches)
    members = {"connections": [row_members(row) for row in page.rows], "next": page.next}
    return Response.json(200, members, headers=_link(parameters, page.next))


def row_members(row: Row) -> dict[str, object]:
    """Return the members of one connection."""
    place = {"connection": row.connection, "client": row.client, "provider": row.provider}
    return {**place, **row.members}


def requested_after(parameters: Mapping[str, str]) -> str | None:
    """Return the parameter `after`; None for the first page. Raises ProblemError."""
    after = parameters.get("after")
    if after is not None and not _NAME.fullmatch(after):
        raise problem(
            "invalid-request", "Invalid after. Send the `next` of the page before it, unchanged."
        )
    return after


def _limit(parameters: Mapping[str, str]) -> int:
    text = parameters.get("limit", str(LARGEST_PAGE))
    if not _LIMIT.fullmatch(text) or int(text) > MOST_RECORDS:
        raise problem("invalid-request", f"Invalid limit. Use 1 to {MOST_RECORDS}.")
    return int(text)


def _filter(parameters: Mapping[str, str]) -> Callable[[Row], bool]:
    state = parameters.get("state")
    if state is None:
        return lambda _row: True
    if state not in FILTERS:
        raise problem("invalid-request", f"Invalid state. Use one of {', '.join(FILTERS)}.")
    if state == ACTION_REQUIRED:
        return lambda row: row.needs_action
    return lambda row: row.state == state


def _link(parameters: Mapping[str, str], after: str | None) -> tuple[tuple[str, str], ...]:
    """Return the header with the next page (RFC 8288), relative to this one."""
    if after is None:
        return ()
    query = urlencode({**parameters, "after": after})
    return (("link", f'<{PATH}?{query}>; rel="next"'),)


ROUTES: Routes = {PATH: {"GET": connections, "HEAD": connections}}
