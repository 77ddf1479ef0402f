"""The interface of `functions.endpoints.oauth_metadata`."""

from functions.access.token_requests import AUTHENTICATION_METHODS, GRANT_TYPES
from functions.endpoints.promises.operation import Answer, Key, Operation, Operations, Schema
from functions.endpoints.promises.schemas import object_with
from functions.routes import METADATA, TOKEN_URL

_URL: Schema = {"type": "string", "format": "uri"}
_METADATA = Operation(
    id="getServerMetadata",
    summary="Get the metadata of the token endpoint",
    description="RFC 8414. The addresses are those of PUBLIC_URL, which is required.",
    key=Key.NONE,
    answers={
        200: Answer(
            description="The metadata.",
            schema=object_with(
                {
                    "issuer": _URL,
                    "token_endpoint": _URL,
                    "grant_types_supported": {"const": list(GRANT_TYPES)},
                    "token_endpoint_auth_methods_supported": {
                        "const": list(AUTHENTICATION_METHODS)
                    },
                    "response_types_supported": {"const": []},
                },
                "The metadata of an authorization server.",
            ),
            example={
                "issuer": "https://keeper.example",
                "token_endpoint": f"https://keeper.example{TOKEN_URL}",
                "grant_types_supported": list(GRANT_TYPES),
                "token_endpoint_auth_methods_supported": list(AUTHENTICATION_METHODS),
                "response_types_supported": [],
            },
        )
    },
    open_parameters=True,
)

OPERATIONS: Operations = {METADATA: {"GET": _METADATA}}
