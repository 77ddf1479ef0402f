"""The interface of the endpoints `login` and `callback`."""

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

_CALLBACK = Operation(
    id="completeLogin",
    summary="Complete a login",
    description="The target of the provider's redirect (RFC 6749 §4.1.2). Unknown parameters are "
    "ignored. A state is valid for one use; the same redirect gets the same result for ten "
    "minutes. A login by link also requires its cookie. Browsers get pages.",
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
            description="The code to exchange for tokens; missing if there is an `error`.",
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

OPERATIONS: Operations = {
    "/api/login": {"GET": _SHOW, "POST": _LOGIN},
    "/api/callback": {"GET": _CALLBACK},
}
