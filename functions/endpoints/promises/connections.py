"""The interface of `functions.endpoints.connections`."""

from functions.endpoints.connections import FILTERS
from functions.endpoints.overview import MOST_RECORDS
from functions.endpoints.promises.operation import (
    Answer,
    Key,
    Operation,
    Operations,
    Parameter,
)
from functions.endpoints.promises.schemas import STATUS_EXAMPLE, reference
from ports.store import LARGEST_PAGE

_STATE = Parameter(
    name="state",
    description="Only connections with this `state`; with `action-required`, those that need a "
    "person. Default: all.",
    schema={"type": "string", "enum": list(FILTERS)},
    example="action-required",
)
_LIMIT = Parameter(
    name="limit",
    description=f"The most connections of the page, 1 to {MOST_RECORDS}.",
    schema={"type": "integer", "minimum": 1, "maximum": MOST_RECORDS, "default": LARGEST_PAGE},
    example=100,
)
_AFTER = Parameter(
    name="after",
    description="The `next` of the page before. Default: the first page.",
    schema={"type": "string", "pattern": r"^[A-Za-z0-9][A-Za-z0-9._@:\-]{0,127}$"},
    example="google:alice@example.com",
)
_LIST = Operation(
    id="listConnections",
    summary="List connections with their status",
    description="Returns what the key may see, without asking the provider. Pages follow the "
    "names. Within a page, connections that need a person come first. A page can be shorter than "
    "its limit, even empty, and have a `next`.",
    key=Key.API_KEY,
    parameters=(_AFTER, _LIMIT, _STATE),
    answers={
        200: Answer(
            description="A page of connections.",
            schema=reference("Connections"),
            example={
                "connections": [
                    {
                        "connection": "default",
                        "client": None,
                        "provider": "digikey",
                        **STATUS_EXAMPLE,
                    }
                ],
                "next": None,
            },
            has_next=True,
        )
    },
    own_problems=("store-unavailable",),
)

OPERATIONS: Operations = {"/api/connections": {"GET": _LIST}}
