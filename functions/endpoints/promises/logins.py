"""What the endpoints `login` and `callback` promise."""

from functions.endpoints.promises.operation import (
    CONNECTION,
    Answer,
    Key,
    Operation,
    Operations,
    Parameter,
)
from functions.endpoints.promises.schemas import reference

_LINK = Parameter(
    name="link",
    description="What stands in the link that who has to log in was given, as `login` of a problem "
    "tells it.",
    schema={"type": "string", "minLength": 1},
    example="a-link",
    is_required=True,
)
_SHOW = Operation(
    id="showLoginLink",
    summary="Show the page of a link to log in",
    description="For a person; programs have nothing to ask here. The page's button begins the "
    "login; to look at the page uses up nothing.",
    key=Key.NONE,
    parameters=(_LINK,),
    open_parameters=True,
    answers={200: Answer(description="The page.", is_page=True)},
    own_problems=("invalid-link",),
    has_error_pages=True,
)
_LOGIN = Operation(
    id="beginLogin",
    summary="Begin a login",
    description="Binds a new state to the connection, good for ten minutes and once. A person "
    "opens the URL in a browser, whichever, and the provider sends it back to the callback. With a "
    "form that has a `link`, as the link's page sends it, there is no need of a key, the query is "
    "passed over, and the login is finished in the browser that it is begun in: once, within a "
    "day, and while the connection needs a login. Any other body is refused.",
    key=Key.API_KEY_OR_LINK,
    parameters=(
        CONNECTION,
        Parameter(
            name="replace",
            description="Whether the login is to replace one that works even if it is of another "
            "account.",
            schema={"type": "string", "enum": ["true", "false"], "default": "false"},
            example="false",
        ),
    ),
    form=(
        Parameter(
            name="link",
            description="The same as in the link's page.",
            schema={"type": "string", "minLength": 1},
            example="a-link",
        ),
    ),
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
        ),
        303: Answer(
            description="The browser is sent to the provider. It has a cookie by which it is known "
            "when it comes back.",
            is_redirect=True,
        ),
    },
    own_problems=(
        "invalid-link",
        "login-not-needed",
        "provider-unavailable",
        "store-unavailable",
    ),
    has_error_pages=True,
)

_CALLBACK = Operation(
    id="completeLogin",
    summary="Complete a login",
    description="The provider's redirect (RFC 6749 §4.1.2) leads here; programs have nothing to "
    "ask here. Parameters that are not known are the provider's, and do not matter. A state is "
    "good for one try, whose repetition is answered alike for ten minutes, and where a link began "
    "the login in the browser that has its cookie. A browser is answered with pages.",
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
        Parameter(
            name="iss",
            description="Which provider it comes from (RFC 9207), where that tells.",
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

OPERATIONS: Operations = {
    "/api/login": {"GET": _SHOW, "POST": _LOGIN},
    "/api/callback": {"GET": _CALLBACK},
}
