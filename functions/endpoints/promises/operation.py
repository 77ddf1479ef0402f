"""What one operation of the HTTP interface is: its parameters, answers, problems and key."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

# JSON Schema, draft 2020-12, as OpenAPI 3.1 has it.
Schema: TypeAlias = Mapping[str, object]


class Key(Enum):
    """What a caller has to show."""

    NONE = "none"
    API_KEY = "api-key"
    API_KEY_OR_LINK = "api-key-or-link"
    CRON_SECRET = "cron-secret"


# What can go wrong with every request: it cannot be read, or the deployment is at fault.
_ALWAYS = (
    "invalid-request",
    "too-many-failures",
    "not-configured",
    "settings-unavailable",
    "unexpected",
)
_NO_GOOD_KEY = ("api-key-missing", "api-key-invalid", "key-not-allowed")
_REFUSALS: Mapping[Key, tuple[str, ...]] = {
    Key.NONE: (),
    Key.API_KEY: _NO_GOOD_KEY,
    Key.API_KEY_OR_LINK: _NO_GOOD_KEY,
    Key.CRON_SECRET: ("cron-secret-required",),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """A parameter of the query, or of a form.

    `example` is None where it would not go with those of others.
    """

    name: str
    description: str
    schema: Schema
    example: object
    is_required: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An answer that is no problem, with an example of its JSON.

    None where there is no JSON; `is_page` where a browser is answered with a page in its place, and
    `is_redirect` where it is sent elsewhere with a cookie.
    """

    description: str
    schema: Schema | None = None
    example: Mapping[str, object] | None = None
    is_page: bool = False
    is_redirect: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One method of one path.

    `own_problems` are the types of problems beside those of its key and those of every request;
    `form` are the parameters that a body may have; `open_parameters` says that others than
    `parameters` are passed over and not refused.
    """

    id: str
    summary: str
    description: str
    key: Key
    answers: Mapping[int, Answer]
    own_problems: tuple[str, ...] = ()
    parameters: tuple[Parameter, ...] = ()
    form: tuple[Parameter, ...] = ()
    open_parameters: bool = False
    has_head: bool = True
    has_error_pages: bool = False
    is_deprecated: bool = False

    @property
    def problems(self) -> tuple[str, ...]:
        """The types of all problems that this operation can answer, without the prefix."""
        return (*_REFUSALS[self.key], *self.own_problems, *_ALWAYS)


Operations: TypeAlias = Mapping[str, Mapping[str, Operation]]

CONNECTION = Parameter(
    name="connection",
    description="Which connection it is about: one person's login. Without it `default`.",
    schema={
        "type": "string",
        "default": "default",
        "pattern": r"^[A-Za-z0-9][A-Za-z0-9._@\-]{0,127}$",
    },
    example="default",
)
# Asking the store can end so, and so can asking for the tokens.
STORE_PROBLEMS = ("record-unreadable", "store-unavailable")
TOKEN_PROBLEMS = (
    "authorization-required",
    "connection-moved",
    "client-refused",
    "refused-without-reason",
    "refused-for-now",
    "provider-unavailable",
    "refresh-in-progress",
    *STORE_PROBLEMS,
)
