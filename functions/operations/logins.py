"""What `functions.login_endpoints` promises: a login's beginning, and its callback."""

from functions.operations.operation import (
    CONNECTION,
    Answer,
    Key,
    Operation,
    Operations,
    Parameter,
)
from functions.operations.schemas import reference

_LOGIN = Operation(
    id="beginLogin",
    summary="Begin a login",
    description="Binds a new state to the connection, good for ten minutes and once. A person "
    "opens the URL in a browser, and the provider sends the browser back to the callback.",
    key=Key.API_KEY,
    parameters=(CONNECTION,),
    answers={
        200: Answer(
            description="Where to log in.",
            schema=reference("BegunLogin"),
            example={
                "authorization_url": "https://api.digikey.com/v1/oauth2/authorize"
                "?response_type=code&client_id=a-client&state=a-state"
                "&redirect_uri=https%3A%2F%2Fkeeper.example%2Fapi%2Fcallback",
                "expires_in": 600,
            },
        )
    },
    own_problems=("store-unavailable",),
)


_CALLBACK = Operation(
    id="completeLogin",
    summary="Complete a login",
    description="The provider's redirect (RFC 6749 §4.1.2) leads here; programs have nothing to "
    "ask here. Parameters that are not known are the provider's, and do not matter. A state is "
    "good for one try. A browser is answered with pages.",
    key=Key.NONE,
    parameters=(
        Parameter(
            name="state",
            description="What the login was begun with.",
            schema={"type": "string", "minLength": 1},
            example="a-state",
            is_required=True,
        ),
        Parameter(
            name="code",
            description="What is traded for tokens; or else there is an `error`.",
            schema={"type": "string"},
            example="a-code",
        ),
        Parameter(
            name="error",
            description="Why there is no code (RFC 6749 §4.1.2.1), such as `access_denied`.",
            schema={"type": "string"},
            example=None,
        ),
        Parameter(
            name="error_description",
            description="The same for a person.",
            schema={"type": "string"},
            example=None,
        ),
    ),
    open_parameters=True,
    answers={
        200: Answer(
            description="The tokens are stored; or an earlier login stays in force, as `detail` "
            "says. Never a token.",
            schema=reference("CompletedLogin"),
            example={
                "status": "authorized",
                "connection": "default",
                "detail": "the tokens are stored, and GET /api/token gives them out. You can "
                "close this window.",
            },
            is_page=True,
        )
    },
    own_problems=(
        "invalid-state",
        "authorization-refused",
        "code-refused",
        "provider-unavailable",
        "store-unavailable",
    ),
    has_head=False,
    has_error_pages=True,
)

OPERATIONS: Operations = {"/api/login": {"POST": _LOGIN}, "/api/callback": {"GET": _CALLBACK}}
