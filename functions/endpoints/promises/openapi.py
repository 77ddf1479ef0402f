"""The interface of `functions.endpoints.openapi`: this document itself."""

from functions.endpoints.promises.operation import Answer, Key, Operation, Operations

_DOCUMENT = Operation(
    id="getDocument",
    summary="Get this document",
    description="The HTTP interface of this deployment, as OpenAPI 3.1.",
    key=Key.NONE,
    answers={
        200: Answer(
            description="An OpenAPI document.",
            schema={
                "type": "object",
                "required": ["openapi", "info", "paths"],
                "properties": {"openapi": {"type": "string", "pattern": r"^3\.1\."}},
            },
            example={"openapi": "3.1.1", "info": {}, "paths": {}},
        )
    },
    open_parameters=True,
)

OPERATIONS: Operations = {"/api/openapi.json": {"GET": _DOCUMENT}}
