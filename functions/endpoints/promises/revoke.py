"""The interface of `functions.endpoints.revoke`."""

from domain.token_endpoint import RevocationResult
from functions.endpoints.promises.operation import (
    CONNECTION,
    STORE_PROBLEMS,
    Answer,
    Key,
    Operation,
    Operations,
)
from functions.endpoints.promises.schemas import object_with

_REVOKE = Operation(
    id="revokeConnection",
    summary="Revoke a connection",
    description="Deletes the tokens here, and revokes them at the provider (RFC 7009) if it has a "
    "revocation endpoint. It may be repeated.",
    key=Key.API_KEY,
    parameters=(CONNECTION,),
    answers={
        200: Answer(
            description="The connection is revoked.",
            schema=object_with(
                {
                    "connection": {"type": "string"},
                    "forgotten": {"const": True},
                    "revoked": {
                        "type": "string",
                        "enum": ["nothing", *(result.value for result in RevocationResult)],
                        "description": "Whether the provider revoked the tokens; `nothing` if "
                        "there was none.",
                    },
                    "detail": {
                        "type": "string",
                        "description": "The explanation and the next step, for a person.",
                    },
                },
                "The result of a revocation.",
            ),
            example={
                "connection": "default",
                "forgotten": True,
                "revoked": "yes",
                "detail": "The provider revoked the tokens. They are deleted here.",
            },
        )
    },
    own_problems=("connection-moved", *STORE_PROBLEMS),
)

OPERATIONS: Operations = {"/api/revoke": {"POST": _REVOKE}}
