"""The interface of `functions.endpoints.login`."""

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
    description="The signed text of a login link, for a person without an API key. Single use, 24 "
    "hours. The member `login` of a problem has the whole link.",
    schema={"type": "string", "minLength": 1},
    example="a-link",
    is_required=True,
)
_SHOW = Operation(
    id="showLoginLink",
    summary="Show the page of a login link",
    description="A page for a person, whose button starts the login. A GET does not use up the "
    "link.",
    key=Key.NONE,
    parameters=(_LINK,),
    open_parameters=True,
    answers={200: Answer(description="The page.", is_page=True)},
    own_problems=("invalid-link",),
    has_error_pages=True,
)
_LOGIN = Operation(
    id="beginLogin",
    summary="Start a login",
    description="Returns the provider's authorization URL, for any browser. Its state is valid for "
    "ten minutes and one use. With a form that has a `link`, no key is required, the query is "
    "ignored, and the response redirects to the provider. Such a login works once, within 24 "
    "hours, in the browser that started it, and while the connection needs a login. Any other body "
    "is refused.",
    key=Key.API_KEY_OR_LINK,
    parameters=(
        CONNECTION,
        Parameter(
            name="replace",
            description="Whether the login may replace a working one of another account. Default "
            "false.",
            schema={"type": "string", "enum": ["true", "false"], "default": "false"},
            example="false",
        ),
    ),
    form=(
        Parameter(
            name="link",
            description="The same text as in the login link.",
            schema={"type": "string", "minLength": 1},
            example="a-link",
        ),
    ),
    answers={
        200: Answer(
            description="The URL to log in at.",
            schema=reference("BegunLogin"),
            example={
                "authorization_url": "https://api.digikey.com/v1/oauth2/authorize"
                "?response_type=code&client_id=a-client&state=a-state"
                "&redirect_uri=https%3A%2F%2Fkeeper.example%2Fapi%2Fcallback",
                "expires_in": 600,
            },
        ),
        303: Answer(
            description="A redirect to the provider, with a cookie that identifies the browser at "
            "the callback.",
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

OPERATIONS: Operations = {"/api/login": {"GET": _SHOW, "POST": _LOGIN}}
