"""What the endpoints `refresh` and `sweep` promise."""

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
    description="For a scheduler, once a day: refreshes those connections whose refresh token is "
    "near its end. It can be asked for at any time, and twice.",
    key=Key.CRON_SECRET,
    answers={
        200: Answer(
            description="What came of those that were due.",
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
    description="Replaces the tokens, unless that was done within the last 10 seconds.",
    key=Key.API_KEY,
    parameters=(CONNECTION,),
    answers={
        200: Answer(
            description="The tokens stand so now.",
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
            description="The same as GET /api/sweep, for schedules that have this path.",
            is_deprecated=True,
        ),
        "POST": _REFRESH,
    },
    "/api/sweep": {"GET": _SWEEP},
}
