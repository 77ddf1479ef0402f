"""The interface of the endpoints `refresh` and `sweep`."""

from dataclasses import replace

from functions.endpoints.promises.operation import (
    CONNECTION,
    TOKEN_PROBLEMS,
    Answer,
    Key,
    Operation,
    Operations,
)
from functions.endpoints.promises.schemas import STANDING_EXAMPLE, reference

_SWEEP = Operation(
    id="sweep",
    summary="Refresh idle connections before they expire",
    description="Refreshes the connections whose refresh token expires soon. Schedule it once a "
    "day; it may run at any time, and twice.",
    key=Key.CRON_SECRET,
    answers={
        200: Answer(
            description="The counts of the connections that were due.",
            schema=reference("SweepReport"),
            example={"refreshed": 2, "skipped": 0, "failed": 0, "is_complete": True},
        )
    },
    own_problems=("store-unavailable",),
    open_parameters=True,
    has_head=False,
)
_REFRESH = Operation(
    id="refreshConnection",
    summary="Refresh the tokens of a connection now",
    description="An explicit refresh always refreshes, unless one finished in the last 10 seconds, "
    "whose result is returned.",
    key=Key.API_KEY,
    parameters=(CONNECTION,),
    answers={
        200: Answer(
            description="The connection's status after the refresh.",
            schema=reference("Standing"),
            example=STANDING_EXAMPLE,
        )
    },
    own_problems=TOKEN_PROBLEMS,
)

OPERATIONS: Operations = {
    "/api/refresh": {
        "GET": replace(
            _SWEEP,
            id="sweepByFormerPath",
            description="The same as GET /api/sweep, for existing schedules.",
            is_deprecated=True,
        ),
        "POST": _REFRESH,
    },
    "/api/sweep": {"GET": _SWEEP},
}
