"""The HTTP interface as an OpenAPI document: `make openapi` writes it.

It is made of what stands beside the endpoints (`functions/endpoints/promises`), of the types of
problems (`functions/http/problems.py`), and of the page that tells when each of these occurs. What
comes out is kept in the repository, and served as it stands.
"""

import json
import re
import tomllib
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from functions.endpoints.openapi import DOCUMENT
from functions.endpoints.promises import OPERATIONS
from functions.endpoints.promises.operation import Answer, Key, Operation, Parameter, Schema
from functions.endpoints.promises.schemas import (
    OPTIONAL_PROBLEM_MEMBERS,
    PROBLEM_EXAMPLES,
    PROBLEM_MEMBERS,
    SCHEMAS,
    closed,
)
from functions.http.problems import INSTANCE_PREFIX, PROBLEMS, TYPE_PREFIX

ROOT = Path(__file__).parents[1]
PROBLEMS_PAGE = ROOT / "docs/problems.md"

_Object: TypeAlias = dict[str, object]

_ROW = re.compile(
    r"^\| `(?P<name>[a-z-]+)` \| (?P<statuses>[0-9, ]+) \| (?P<when>.+?) \| ", re.MULTILINE
)
# Of a body that does not come in time, or is too large.
_OF_BODIES = {408, 413}
_DESCRIPTION = """\
Log in once in a browser; from then on one URL returns a valid OAuth 2.0 access token to programs.

Every error is a problem document (RFC 9457) with a stable `type`. An unknown path returns 404
`not-found`, an unknown method 405 `method-not-allowed` with `Allow`. Every `GET` that only reads
has a `HEAD`, and every path has `OPTIONS`. There is no CORS. Endpoints with a connection refuse
unknown and repeated parameters. Send parameters in the query: with a key, a body other than blank
or `{}` is refused.
"""
_SECURITY: Mapping[Key, list[_Object]] = {
    Key.NONE: [],
    Key.API_KEY: [{"apiKey": []}, {"bearerKey": []}],
    # Or none, with what the body has then.
    Key.API_KEY_OR_LINK: [{"apiKey": []}, {"bearerKey": []}, {}],
    Key.CRON_SECRET: [{"cronSecret": []}],
}
_SECURITY_SCHEMES: _Object = {
    "apiKey": {"type": "apiKey", "in": "header", "name": "x-api-key"},
    "bearerKey": {"type": "http", "scheme": "bearer", "description": "The same key."},
    "cronSecret": {"type": "http", "scheme": "bearer", "description": "`CRON_SECRET`."},
}
# The name in HTTP, and what is told of it.
_HEADERS: Mapping[str, tuple[str, _Object]] = {
    "CacheControl": (
        "Cache-Control",
        {"description": "Responses must not be cached.", "schema": {"const": "no-store"}},
    ),
    "ContentTypeOptions": (
        "X-Content-Type-Options",
        {"description": "Browsers must not guess the type.", "schema": {"const": "nosniff"}},
    ),
    "RequestId": (
        "X-Request-Id",
        {
            "description": "The request's id in the log: the platform's, or the request's own "
            "`X-Request-Id`, or a new one.",
            "schema": {"type": "string", "minLength": 1},
        },
    ),
    "RetryAfter": (
        "Retry-After",
        {
            "description": "Seconds to wait before a retry.",
            "schema": {"type": "integer", "minimum": 1},
        },
    ),
    "Location": (
        "Location",
        {
            "description": "The provider's authorization URL.",
            "schema": {"type": "string", "format": "uri"},
        },
    ),
    "SetCookie": (
        "Set-Cookie",
        {"description": "A cookie for this login only.", "schema": {"type": "string"}},
    ),
    "Challenge": (
        "WWW-Authenticate",
        {"description": "How to authenticate (RFC 6750 §3).", "schema": {"type": "string"}},
    ),
    "ServerTiming": (
        "Server-Timing",
        {
            "description": "Milliseconds spent on `store`, `provider` and in `total`, with the "
            "number of round trips (W3C Server Timing). Only for authenticated requests.",
            "schema": {"type": "string"},
            "required": False,
        },
    ),
}
_ALWAYS = ("CacheControl", "ContentTypeOptions", "RequestId")
_TO_WHO_IS_LET_IN = ("ServerTiming",)
# Statuses of which every answer says when to come back, or how to authenticate. A 502 says the
# former as well, but not of a code, which nothing is gained by sending again.
_HEADERS_OF_STATUS: Mapping[int, str] = {
    401: "Challenge",
    403: "Challenge",
    429: "RetryAfter",
    503: "RetryAfter",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Occurrence:
    """What `docs/problems.md` tells of a type of problem: its statuses, and when it occurs."""

    statuses: tuple[int, ...]
    when: str


def occurrences(page: str) -> dict[str, Occurrence]:
    """Read the first table of the page, by the names of the types."""
    return {
        row["name"]: Occurrence(
            statuses=tuple(map(int, row["statuses"].split(", "))), when=row["when"]
        )
        for row in _ROW.finditer(page.partition("\n## ")[0])
    }


def document() -> _Object:
    """Make the document."""
    told = occurrences(PROBLEMS_PAGE.read_text())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return {
        "openapi": "3.1.1",
        "info": {
            "title": project["name"],
            "version": project["version"],
            "license": {"name": project["license"], "identifier": project["license"]},
            "description": _DESCRIPTION,
        },
        "servers": [{"url": "/", "description": "The origin of this document."}],
        "paths": {
            path: {method.lower(): _operation(method, of, told) for method, of in methods.items()}
            for path, methods in OPERATIONS.items()
        },
        "components": {
            "schemas": {
                **SCHEMAS,
                **{_component(name): _problem(name, of) for name, of in told.items()},
            },
            "headers": {
                name: {"required": True, **header} for name, (_, header) in _HEADERS.items()
            },
            "securitySchemes": _SECURITY_SCHEMES,
        },
    }


def text() -> str:
    """Write the document as it is kept."""
    return json.dumps(document(), indent=2, ensure_ascii=False) + "\n"


def _operation(method: str, operation: Operation, told: Mapping[str, Occurrence]) -> _Object:
    responses = {status: _answer(answer, operation) for status, answer in operation.answers.items()}
    for status, names in _by_status(method, operation, told).items():
        responses[status] = _refusal(status, names, told, operation)
    return {
        "operationId": operation.id,
        "summary": operation.summary,
        "description": operation.description,
        **({"deprecated": True} if operation.is_deprecated else {}),
        "security": _SECURITY[operation.key],
        "parameters": [_parameter(parameter) for parameter in operation.parameters],
        **({"requestBody": _form(operation.form)} if operation.form else {}),
        "responses": {str(status): responses[status] for status in sorted(responses)},
    }


def _parameter(parameter: Parameter) -> _Object:
    example = {} if parameter.example is None else {"example": parameter.example}
    return {
        "name": parameter.name,
        "in": "query",
        "description": parameter.description,
        "required": parameter.is_required,
        "schema": parameter.schema,
        **example,
    }


def _form(parameters: tuple[Parameter, ...]) -> _Object:
    """Describe a body that may be left out, and so may each of its parameters."""
    described = {
        parameter.name: {**parameter.schema, "description": parameter.description}
        for parameter in parameters
    }
    example = {parameter.name: parameter.example for parameter in parameters}
    schema = {"type": "object", "properties": described, "additionalProperties": False}
    content = {"schema": schema, "example": example}
    return {"required": False, "content": {"application/x-www-form-urlencoded": content}}


def _by_status(
    method: str, operation: Operation, told: Mapping[str, Occurrence]
) -> dict[int, list[str]]:
    """Sort an operation's problems by the statuses that they come with."""
    found: defaultdict[int, list[str]] = defaultdict(list)
    for name in operation.problems:
        for status in told[name].statuses:
            # With GET a body is not looked at.
            if status not in _OF_BODIES or method != "GET":
                found[status].append(name)
    return found


def _answer(answer: Answer, operation: Operation) -> _Object:
    content: _Object = {}
    if answer.schema is not None:
        content["application/json"] = {"schema": answer.schema, "example": answer.example}
    if answer.is_redirect:
        content["text/plain"] = {"schema": {"type": "string", "maxLength": 0}}
    own = ("Location", "SetCookie") if answer.is_redirect else ()
    return {
        "description": answer.description,
        "headers": dict(_headers(*_headers_of(operation), *own)),
        "content": content | _page(is_there=answer.is_page),
    }


def _refusal(
    status: int, names: list[str], told: Mapping[str, Occurrence], operation: Operation
) -> _Object:
    content: _Object = {"application/problem+json": {"schema": _one_of(names)}}
    own = (_HEADERS_OF_STATUS[status],) if status in _HEADERS_OF_STATUS else ()
    return {
        "description": "\n".join(f"- `{name}`: {told[name].when}" for name in names),
        "headers": dict(_headers(*_headers_of(operation), *own)),
        "content": content | _page(is_there=operation.has_error_pages),
    }


def _page(*, is_there: bool) -> _Object:
    return {"text/html": {"schema": {"type": "string"}}} if is_there else {}


def _headers_of(operation: Operation) -> tuple[str, ...]:
    return _ALWAYS if operation.key is Key.NONE else (*_ALWAYS, *_TO_WHO_IS_LET_IN)


def _headers(*names: str) -> Iterator[tuple[str, _Object]]:
    for name in names:
        yield _HEADERS[name][0], {"$ref": f"#/components/headers/{name}"}


def _one_of(names: list[str]) -> _Object:
    references = {name: f"#/components/schemas/{_component(name)}" for name in names}
    if len(names) == 1:
        return {"$ref": references[names[0]]}
    return {
        "oneOf": [{"$ref": reference} for reference in references.values()],
        "discriminator": {
            "propertyName": "type",
            "mapping": {TYPE_PREFIX + name: found for name, found in references.items()},
        },
    }


def _component(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("-")) + "Problem"


def _problem(name: str, told: Occurrence) -> Schema:
    required: Mapping[str, Schema] = {
        "type": {"const": TYPE_PREFIX + name},
        "title": {"const": PROBLEMS[name][1]},
        "status": {"enum": list(told.statuses)},
        "detail": {
            "type": "string",
            "minLength": 1,
            "description": "What happened and what to do, for a person.",
        },
        "instance": {
            "type": "string",
            "pattern": f"^{INSTANCE_PREFIX}.",
            "description": "The request's id, as in the log.",
        },
        **PROBLEM_MEMBERS.get(name, {}),
    }
    schema = closed(required, told.when, optional=OPTIONAL_PROBLEM_MEMBERS.get(name, {}))
    return {**schema, "examples": [_problem_example(name, told)]}


def _problem_example(name: str, told: Occurrence) -> _Object:
    return {
        "type": TYPE_PREFIX + name,
        "title": PROBLEMS[name][1],
        "status": told.statuses[0],
        "detail": "What happened. What to do.",
        "instance": f"{INSTANCE_PREFIX}5f0c1d8e9a7b4c3d2e1f0a9b8c7d6e5f",
        **PROBLEM_EXAMPLES.get(name, {}),
    }


if __name__ == "__main__":
    DOCUMENT.write_text(text())
