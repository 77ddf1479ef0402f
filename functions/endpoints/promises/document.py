"""The HTTP interface as an OpenAPI document, made of `OPERATIONS`."""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from functions.endpoints.promises import (
    adopt,
    callback,
    connections,
    health,
    login,
    metrics,
    oauth_metadata,
    oauth_token,
    openapi,
    refresh,
    revoke,
    sweep,
    token,
    verify,
)
from functions.endpoints.promises.headers import COMPONENTS, references
from functions.endpoints.promises.oauth_errors import oauth_error_schema, oauth_errors_by_status
from functions.endpoints.promises.operation import (
    Answer,
    JsonObject,
    Key,
    Operation,
    Operations,
    Parameter,
)
from functions.endpoints.promises.problems import OCCURRENCES, component, problem_schemas
from functions.endpoints.promises.schemas import SCHEMAS
from functions.http.problems import TYPE_PREFIX
from functions.version import VERSION

OPERATIONS: Operations = {
    **health.OPERATIONS,
    **token.OPERATIONS,
    **verify.OPERATIONS,
    **connections.OPERATIONS,
    **metrics.OPERATIONS,
    **login.OPERATIONS,
    **adopt.OPERATIONS,
    **callback.OPERATIONS,
    **refresh.OPERATIONS,
    **sweep.OPERATIONS,
    **revoke.OPERATIONS,
    **oauth_token.OPERATIONS,
    **oauth_metadata.OPERATIONS,
    **openapi.OPERATIONS,
}
"""By path and method. HEAD goes with GET, unless `Operation.has_head` is False."""

_DESCRIPTION = """\
Log in once in a browser; from then on one URL returns a valid OAuth 2.0 access token to programs.

Every error is a problem document (RFC 9457) with a stable `type`, but for those of
`POST /api/oauth/token` (RFC 6749). An unknown path returns 404
`not-found`, an unknown method 405 `method-not-allowed` with `Allow`. Every `GET` that only reads
has a `HEAD`, and every path has `OPTIONS`. There is no CORS. Endpoints with a connection refuse
unknown and repeated parameters. Send parameters in the query: with a key, a body other than blank
or `{}` is refused, except by `POST /api/adopt` and `POST /api/oauth/token`.
"""
_SECURITY: Mapping[Key, list[JsonObject]] = {
    Key.NONE: [],
    Key.API_KEY: [{"apiKey": []}, {"bearerKey": []}],
    Key.API_KEY_OR_BASIC: [{"apiKey": []}, {"bearerKey": []}, {"basicKey": []}],
    # The last, empty one: no key, if the body has a link.
    Key.API_KEY_OR_LINK: [{"apiKey": []}, {"bearerKey": []}, {}],
    # The last, empty one: the secret is in the body, or it is the refresh token.
    Key.CLIENT_SECRET: [{"clientSecret": []}, {}],
    Key.CRON_SECRET: [{"cronSecret": []}],
}
_SECURITY_SCHEMES: JsonObject = {
    "apiKey": {"type": "apiKey", "in": "header", "name": "x-api-key"},
    "bearerKey": {"type": "http", "scheme": "bearer", "description": "The same key."},
    "basicKey": {
        "type": "http",
        "scheme": "basic",
        "description": "The same key as the password, with any user name.",
    },
    "clientSecret": {
        "type": "http",
        "scheme": "basic",
        "description": "Any client id, and the API key as its secret (RFC 6749 §2.3.1).",
    },
    "cronSecret": {"type": "http", "scheme": "bearer", "description": "`CRON_SECRET`."},
}
# The body timed out, or is too large. A GET's body is not read.
_BODY_STATUSES = {408, 413}
_ALWAYS = ("CacheControl", "ContentTypeOptions", "RequestId")
_AUTHENTICATED = ("ServerTiming",)
# Statuses whose every response has this header. A 502 has Retry-After too, except for a code.
_HEADERS_OF_STATUS: Mapping[int, str] = {
    401: "Challenge",
    403: "Challenge",
    429: "RetryAfter",
    503: "RetryAfter",
}


def text() -> str:
    """Return the document as JSON."""
    return json.dumps(openapi_document(), indent=2, ensure_ascii=False) + "\n"


def openapi_document() -> JsonObject:
    """Return the document as JSON objects, OpenAPI 3.1."""
    return {
        "openapi": "3.1.1",
        "info": {
            "title": "oauth-callback",
            "version": VERSION,
            "license": {"name": "MIT", "identifier": "MIT"},
            "description": _DESCRIPTION,
        },
        "servers": [{"url": "/", "description": "The origin of this document."}],
        "paths": {
            path: {method.lower(): _operation(method, of) for method, of in methods.items()}
            for path, methods in OPERATIONS.items()
        },
        "components": {
            "schemas": {**SCHEMAS, **problem_schemas()},
            "headers": COMPONENTS,
            "securitySchemes": _SECURITY_SCHEMES,
        },
    }


def _operation(method: str, operation: Operation) -> JsonObject:
    responses = {status: _answer(answer, operation) for status, answer in operation.answers.items()}
    for status, names in _problems_by_status(method, operation).items():
        responses[status] = _error(status, names, operation)
    for status, errors in oauth_errors_by_status(operation).items():
        responses[status] = _oauth_error(status, errors, operation)
    return {
        "operationId": operation.id,
        "summary": operation.summary,
        "description": operation.description,
        **({"deprecated": True} if operation.is_deprecated else {}),
        "security": _SECURITY[operation.key],
        "parameters": [_parameter(parameter) for parameter in operation.parameters],
        **({"requestBody": _form(operation.form)} if operation.form else {}),
        **({"requestBody": _body(operation)} if operation.body else {}),
        "responses": {str(status): responses[status] for status in sorted(responses)},
    }


def _parameter(parameter: Parameter) -> JsonObject:
    example = {} if parameter.example is None else {"example": parameter.example}
    return {
        "name": parameter.name,
        "in": "query",
        "description": parameter.description,
        "required": parameter.is_required,
        "schema": parameter.schema,
        **example,
    }


def _form(parameters: tuple[Parameter, ...]) -> JsonObject:
    """Describe an optional body with optional parameters."""
    described = {
        parameter.name: {**parameter.schema, "description": parameter.description}
        for parameter in parameters
    }
    example = {parameter.name: parameter.example for parameter in parameters}
    schema = {"type": "object", "properties": described, "additionalProperties": False}
    content = {"schema": schema, "example": example}
    return {"required": False, "content": {"application/x-www-form-urlencoded": content}}


def _body(operation: Operation) -> JsonObject:
    """Describe a required body."""
    return {
        "required": True,
        "content": dict(operation.body),
    }


def _problems_by_status(method: str, operation: Operation) -> dict[int, list[str]]:
    found: defaultdict[int, list[str]] = defaultdict(list)
    for name in () if operation.oauth_errors else operation.problems:
        for status in OCCURRENCES[name].statuses:
            if status not in _BODY_STATUSES or method != "GET":
                found[status].append(name)
    return found


def _answer(answer: Answer, operation: Operation) -> JsonObject:
    content: JsonObject = {}
    if answer.schema is not None:
        content["application/json"] = {"schema": answer.schema, "example": answer.example}
    if answer.text is not None:
        content["text/plain"] = _text(answer.text)
    content |= answer.other_content
    if answer.is_redirect:
        content["text/plain"] = {"schema": {"type": "string", "maxLength": 0}}
    of_redirects = ("Location", "SetCookie") if answer.is_redirect else ()
    own = (*of_redirects, *(("Link",) if answer.has_next else ()))
    return {
        "description": answer.description,
        "headers": references(*_headers_of(operation), *own),
        "content": content | _page(is_there=answer.is_page),
    }


def _error(status: int, names: list[str], operation: Operation) -> JsonObject:
    lines = [(name, OCCURRENCES[name].description) for name in names]
    content: JsonObject = {"application/problem+json": {"schema": _one_of(names)}}
    content |= _page(is_there=operation.has_error_pages)
    if operation.has_error_texts:
        content["text/plain"] = _text("One line: the `detail`, and the type in parentheses.")
    return _failure(status, lines, content, operation)


def _oauth_error(status: int, lines: Sequence[tuple[str, str]], operation: Operation) -> JsonObject:
    schema = oauth_error_schema(sorted({code for code, _ in lines}))
    return _failure(status, lines, {"application/json": {"schema": schema}}, operation)


def _failure(
    status: int, lines: Iterable[tuple[str, str]], content: JsonObject, operation: Operation
) -> JsonObject:
    own = (_HEADERS_OF_STATUS[status],) if status in _HEADERS_OF_STATUS else ()
    return {
        "description": "\n".join(f"- `{name}`: {when}" for name, when in lines),
        "headers": references(*_headers_of(operation), *own),
        "content": content,
    }


def _text(description: str) -> JsonObject:
    return {"schema": {"type": "string", "minLength": 2, "description": description}}


def _page(*, is_there: bool) -> JsonObject:
    return {"text/html": {"schema": {"type": "string"}}} if is_there else {}


def _headers_of(operation: Operation) -> tuple[str, ...]:
    return _ALWAYS if operation.key is Key.NONE else (*_ALWAYS, *_AUTHENTICATED)


def _one_of(names: list[str]) -> JsonObject:
    paths = {name: f"#/components/schemas/{component(name)}" for name in names}
    if len(names) == 1:
        return {"$ref": paths[names[0]]}
    return {
        "oneOf": [{"$ref": path} for path in paths.values()],
        "discriminator": {
            "propertyName": "type",
            "mapping": {TYPE_PREFIX + name: path for name, path in paths.items()},
        },
    }
