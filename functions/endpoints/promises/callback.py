"""The interface of `functions.endpoints.callback`."""

from functions.endpoints.promises.operation import (
    Answer,
    Key,
    Operation,
    Operations,
    Parameter,
)
from functions.endpoints.promises.schemas import reference

_CALLBACK = Operation(
    id="completeLogin",
    summary="Complete a login",
    description="The target of the provider's redirect (RFC 6749 §4.1.2). Unknown parameters are "
    "ignored. A state is valid for one use; the same redirect gets the same result for ten "
    "minutes. A login by link also requires its cookie. Browsers get pages. A client of `CLIENTS` "
    "has a callback of its own, `/api/callback/CLIENT`.",
    key=Key.NONE,
    parameters=(
        Parameter(
            name="state",
            description="The state of the authorization URL.",
            schema={"type": "string", "minLength": 1},
            example="a-state",
            is_required=True,
        ),
        Parameter(
            name="code",
            description="The code to exchange for tokens; missing if there is an `error`. Another "
            "parameter has it if the provider uses another name.",
            schema={"type": "string"},
            example="a-code",
        ),
        Parameter(
            name="error",
            description="The provider's error code (RFC 6749 §4.1.2.1), such as `access_denied`.",
            schema={"type": "string"},
            example=None,
        ),
        Parameter(
            name="error_description",
            description="The provider's description of the error.",
            schema={"type": "string"},
            example=None,
        ),
        Parameter(
            name="iss",
            description="The provider's issuer identifier (RFC 9207), if it sends one.",
            schema={"type": "string"},
            example=None,
        ),
    ),
    open_parameters=True,
    answers={
        200: Answer(
            description="The tokens are stored, or an earlier login stays in force; `detail` says "
            "which. The response has no token.",
            schema=reference("CompletedLogin"),
            example={
                "status": "authorized",
                "connection": "default",
                "detail": "The tokens are stored; GET /api/token returns the access token.",
            },
            is_page=True,
        )
    },
    own_problems=(
        "invalid-state",
        "other-browser",
        "other-issuer",
        "login-not-needed",
        "other-account",
        "authorization-refused",
        "code-refused",
        "prefetch-refused",
        "provider-unavailable",
        "store-unavailable",
    ),
    has_head=False,
    has_error_pages=True,
)

OPERATIONS: Operations = {"/api/callback": {"GET": _CALLBACK}}
