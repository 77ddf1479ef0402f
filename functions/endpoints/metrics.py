"""GET /api/metrics: the state of connections and of the deployment, for Prometheus.

Everything is from the store, so that any instance returns the same.
"""

from collections.abc import Sequence

from functions.access.gate import require_key_of_many
from functions.alerts.deployment import load_status
from functions.endpoints.metric_families import (
    build_family,
    channel_families,
    connection_families,
    deployment_families,
)
from functions.endpoints.overview import MOST_RECORDS, Row, read_page
from functions.http.messages import Request, Response
from functions.observability.tracing import waiting_for
from functions.routes import Routes
from functions.settings.api_keys import ApiKey
from functions.version import VERSION
from functions.wiring import Wiring
from ports.metrics import Family


async def metrics(request: Request, wiring: Wiring) -> Response:
    """GET /api/metrics: return what the key may see. Raises ProblemError."""
    keys, now = await wiring.keys_for(request), wiring.clock.now()
    key = require_key_of_many(request, keys, endpoint="metrics", now=now, params=frozenset())
    families = await _families(wiring, key)
    written = wiring.write_metrics(families, b",".join(request.header_values(b"accept")))
    return Response(status=200, content_type=written.content_type, body=written.text)


async def _families(wiring: Wiring, key: ApiKey) -> Sequence[Family]:
    with waiting_for("store"):
        status = await load_status(wiring.store)
    rows = await _rows(wiring, key)
    return [
        build_family(VERSION),
        *connection_families(rows, wiring.clock.now()),
        *deployment_families(status),
        # Channels are for all connections, so a key for some of them does not see their names.
        *(channel_families(status) if key.connections is None else ()),
    ]


async def _rows(wiring: Wiring, key: ApiKey) -> Sequence[Row]:
    """Return all connections that the key may see. Raises StoreUnavailableError."""
    rows: list[Row] = []
    after = None
    while True:
        page = await read_page(wiring, key, after=after, limit=MOST_RECORDS)
        rows += page.rows
        if (after := page.next) is None:
            # Their order in a page depends on the time.
            return sorted(rows, key=lambda row: row.connection)


ROUTES: Routes = {"/api/metrics": {"GET": metrics, "HEAD": metrics}}
