"""The interface of `functions.endpoints.metrics`."""

from functions.endpoints.promises.operation import Answer, Key, Operation, Operations

_EXAMPLE = """\
# HELP oauth_callback_connection_login_needed 1 if the connection had a login and needs another \
one, else 0.
# TYPE oauth_callback_connection_login_needed gauge
oauth_callback_connection_login_needed{client="",connection="default"} 0.0
# EOF
"""
_METRICS = Operation(
    id="getMetrics",
    summary="Get metrics for Prometheus",
    description="Returns the metrics of the connections that the key may see, and of the sweep, "
    "from the store. Does not ask the provider.",
    key=Key.API_KEY,
    answers={
        200: Answer(
            description="The metrics, in OpenMetrics.",
            text="The same in the older text format, if the client accepts only that.",
            other_content={
                "application/openmetrics-text": {
                    "schema": {"type": "string", "pattern": "# EOF\\n$"},
                    "example": _EXAMPLE,
                }
            },
        )
    },
    own_problems=("store-unavailable",),
)

OPERATIONS: Operations = {"/api/metrics": {"GET": _METRICS}}
