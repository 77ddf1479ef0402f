"""The interface of `functions.endpoints.health`."""

from functions.endpoints.promises.operation import (
    Answer,
    Key,
    Operation,
    Operations,
)
from functions.endpoints.promises.schemas import reference

_HEALTH = Operation(
    id="checkHealth",
    summary="Check that the deployment is up",
    description="Checks the settings, but neither the store nor the provider.",
    key=Key.NONE,
    answers={200: Answer(description="Up.", schema=reference("Health"), example={"status": "ok"})},
    open_parameters=True,
)

OPERATIONS: Operations = {"/api/health": {"GET": _HEALTH}}
