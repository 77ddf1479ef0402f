"""What `functions.endpoints.revoke` promises: the end of a connection."""

from domain.revocation import RevocationResult
from functions.endpoints.promises.operation import (
    CONNECTION,
    STORE_PROBLEMS,
    Answer,
    Key,
    Operation,
    Operations,
)
from functions.endpoints.promises.schemas import closed

_REVOKE = Operation(
    id="revokeConnection",
    summary="End a connection",
    description="Has the provider end the tokens (RFC 7009), where it can be told, and forgets "
    "them here in any case. To ask again does no harm.",
    key=Key.API_KEY,
    parameters=(CONNECTION,),
    answers={
        200: Answer(
            description="The connection is ended.",
            schema=closed(
                {
                    "connection": {"type": "string"},
                    "forgotten": {"const": True},
                    "revoked": {
                        "type": "string",
                        "enum": ["nothing", *(result.value for result in RevocationResult)],
                        "description": "Whether the provider has ended the tokens; `nothing` "
                        "where nobody was logged in.",
                    },
                    "detail": {
                        "type": "string",
                        "description": "What is left to do, for a person.",
                    },
                },
                "What became of a connection.",
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
