"""One operation of the HTTP interface: its parameters, responses, problems and key."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import TypeAlias

# JSON Schema, draft 2020-12, as OpenAPI 3.1 has it.
Schema: TypeAlias = Mapping[str, object]
# Any other object of the document.
JsonObject: TypeAlias = dict[str, object]


class Key(Enum):
    """The credentials that a request requires."""

    NONE = "none"
    API_KEY = "api-key"
    # The key also as the password of HTTP Basic.
    API_KEY_OR_BASIC = "api-key-or-basic"
    API_KEY_OR_LINK = "api-key-or-link"
    CLIENT_SECRET = "client-secret"
    CRON_SECRET = "cron-secret"


# Problems of every operation.
_ALWAYS = (
    "invalid-request",
    "too-many-failures",
    "not-configured",
    "settings-unavailable",
    "unexpected",
)
_NO_GOOD_KEY = ("api-key-missing", "api-key-invalid", "issuer-unavailable", "key-not-allowed")
_REFUSALS: Mapping[Key, tuple[str, ...]] = {
    Key.NONE: (),
    Key.API_KEY: _NO_GOOD_KEY,
    Key.API_KEY_OR_BASIC: _NO_GOOD_KEY,
    Key.API_KEY_OR_LINK: _NO_GOOD_KEY,
    Key.CLIENT_SECRET: _NO_GOOD_KEY,
    Key.CRON_SECRET: ("cron-secret-required",),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """A parameter of the query or of a form; `example` is None if it excludes other examples."""

    name: str
    description: str
    schema: Schema
    example: object
    is_required: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A successful response: JSON with an example, a page for browsers, or a redirect.

    `text` describes the text/plain that a client may prefer. `has_next`: it may be a page with a
    link to the next one. `other_content`: by media type.
    """

    description: str
    schema: Schema | None = None
    example: Mapping[str, object] | None = None
    text: str | None = None
    is_page: bool = False
    is_redirect: bool = False
    has_next: bool = False
    other_content: Mapping[str, JsonObject] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One method of one path.

    `own_problems` adds to the problems of its key and of every operation. `form` has the parameters
    of an optional body, and `body` the content of a required one, by media type.
    `open_parameters` means that unknown parameters are ignored, not refused. `oauth_errors`: the
    errors are those of RFC 6749 §5.2, and these are the codes that no problem has, with when.
    """

    id: str
    summary: str
    description: str
    key: Key
    answers: Mapping[int, Answer]
    own_problems: tuple[str, ...] = ()
    parameters: tuple[Parameter, ...] = ()
    form: tuple[Parameter, ...] = ()
    body: Mapping[str, Schema] = field(default_factory=dict)
    oauth_errors: Mapping[str, str] = field(default_factory=dict)
    open_parameters: bool = False
    has_head: bool = True
    has_error_pages: bool = False
    has_error_texts: bool = False
    is_deprecated: bool = False

    @property
    def problems(self) -> tuple[str, ...]:
        """The types of this operation's problems, without the prefix."""
        return (*_REFUSALS[self.key], *self.own_problems, *_ALWAYS)


Operations: TypeAlias = Mapping[str, Mapping[str, Operation]]

CONNECTION = Parameter(
    name="connection",
    description="The connection, which is one person's login. Default `default`. `CLIENT` and "
    "`CLIENT:ACCOUNT` belong to that client of the deployment, if it has several.",
    schema={
        "type": "string",
        "default": "default",
        "pattern": r"^[A-Za-z0-9][A-Za-z0-9._@\-]*(:[A-Za-z0-9][A-Za-z0-9._@\-]*)?$",
        "maxLength": 128,
    },
    example="default",
)
# Problems of a read of the store, and of a request for tokens.
STORE_PROBLEMS = ("record-unreadable", "store-unavailable")
TOKEN_PROBLEMS = (
    "authorization-required",
    "connection-moved",
    "client-refused",
    "refused-without-reason",
    "refused-for-now",
    "provider-unavailable",
    "refresh-in-progress",
    "refresh-too-early",
    *STORE_PROBLEMS,
)
