"""The interface of `functions.endpoints.sweep`."""

from functions.endpoints.promises.operation import (
    Answer,
    Key,
    Operation,
    Operations,
)
from functions.endpoints.promises.schemas import reference

SWEEP = Operation(
    id="sweep",
    summary="Refresh idle connections before they expire",
    description="Refreshes the connections whose refresh token expires soon. Schedule it once a "
    "day; it may run at any time, and twice.",
    key=Key.CRON_SECRET,
    answers={
        200: Answer(
            description="The counts of the connections that were due.",
            schema=reference("SweepReport"),
            example={"refreshed": 2, "skipped": 0, "failed": 0, "left": 0, "is_complete": True},
        )
    },
    own_problems=("store-unavailable",),
    open_parameters=True,
    has_head=False,
)

OPERATIONS: Operations = {"/api/sweep": {"GET": SWEEP}}
