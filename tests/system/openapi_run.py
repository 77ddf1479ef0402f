"""Schemathesis against a running deployment, by the document that it serves; and what it reached.

Every other valid request finds a connection in another state (`openapi_states`), and valid
callbacks are of several sorts. An invalid request would succeed without its fault.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain, cycle
from typing import Any, TypeAlias

import httpx
import schemathesis
from schemathesis import Case, GenerationMode, HookContext
from schemathesis.checks import not_a_server_error
from schemathesis.config import SchemathesisConfig
from schemathesis.core.transport import Response
from schemathesis.engine import events, from_schema
from schemathesis.generation.meta import negated_parameters
from schemathesis.specs.openapi.schemas import OpenApiSchema

from domain.connection import DEFAULT_CONNECTION
from functions.endpoints.promises.operation import CONNECTION
from functions.http.problems import TYPE_PREFIX
from tests.functions.deployment import API_KEY, CRON_SECRET, Deployment
from tests.functions.hosts import Running
from tests.system.loopback import http
from tests.system.openapi_states import CALLBACKS, LINKS, STATES

Answered: TypeAlias = tuple[str, int, str]
"""An operation's id, a status, and a type of problem; or of content, where it is none."""
Headers: TypeAlias = tuple[tuple[str, str], ...]

_PROBLEM = "application/problem+json"

_EXPECTED = {
    # 502 and 503 are documented for the provider's absence and refusals, which are planned here.
    # 410 is for a connection that has moved.
    "positive_data_acceptance": {"expected-statuses": ["2xx", "401", "404", "410", "502", "503"]},
    "not_a_server_error": {"expected-statuses": ["2xx", "3xx", "4xx", "502", "503"]},
    # A malformed request is refused as such, or for its key. It is not an unknown connection.
    "negative_data_rejection": {"expected-statuses": ["400", "401"]},
}
# A state, a code or a link is valid only if it was given out.
_EXPECTED_OF_LOGINS = {
    "positive_data_acceptance": {"expected-statuses": ["200", "303", "400", "409", "502", "503"]}
}
# A token is valid only if it was given out, and each text of a form or a plain body is one.
_EXPECTED_OF_ADOPTIONS = {
    "positive_data_acceptance": {"expected-statuses": ["200", "401", "409", "410", "502", "503"]},
    "negative_data_rejection": {"expected-statuses": ["200", "400", "401", "409", "502", "503"]},
}
# A scope is asked for, or a key given in two ways, by chance. An unknown name is ignored.
_EXPECTED_OF_TOKEN_REQUESTS = {
    "positive_data_acceptance": {"expected-statuses": ["200", "400", "401", "502", "503"]},
    "negative_data_rejection": {"expected-statuses": ["200", "400", "401", "502", "503"]},
}
# RFC 9112 §6: these frame a message. A server answers a wrong one itself, as plain text.
_FRAMING = ("content-length", "transfer-encoding")
_LOGINS = ("completeLogin", "showLoginLink", "beginLogin")


@dataclass(slots=True, kw_only=True)
class Found:
    """The result of a run. `failures` has one for each operation and check, with a case."""

    cases: int = 0
    by_phase: Counter[str] = field(default_factory=Counter)
    answered: Counter[Answered] = field(default_factory=Counter)
    failures: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        phases = ", ".join(f"{count} {phase}" for phase, count in self.by_phase.items())
        return f"{self.cases} cases ({phases}), {len(self.answered)} different answers"


def config_of(deployment: Deployment, *, seed: int, cases_each: int) -> SchemathesisConfig:
    """Return a configuration with all checks and phases. A seed repeats the same cases."""
    return SchemathesisConfig.from_dict(
        {
            "seed": seed,
            "base-url": deployment.running.base_url,
            "continue-on-failure": True,
            # More than any caller is kept waiting.
            "request-timeout": 60,
            "generation": {
                "max-examples": cases_each,
                "deterministic": True,
                "database": "none",
                "allow-x00": True,
            },
            "phases": {"coverage": {"generate-duplicate-query-parameters": True}},
            "checks": _EXPECTED,
            "operations": [
                *(
                    {"include-operation-id": name, "checks": _EXPECTED_OF_LOGINS}
                    for name in _LOGINS
                ),
                {"include-operation-id": "adoptTokens", "checks": _EXPECTED_OF_ADOPTIONS},
                {
                    "include-operation-id": "postTokenRequest",
                    "checks": _EXPECTED_OF_TOKEN_REQUESTS,
                },
            ],
            "auth": {
                "openapi": {
                    "apiKey": {"api_key": API_KEY},
                    "bearerKey": {"bearer": API_KEY},
                    "basicKey": {"username": "any", "password": API_KEY},
                    "clientSecret": {"username": "an-app", "password": API_KEY},
                    "cronSecret": {"bearer": CRON_SECRET},
                }
            },
        }
    )


def loaded(deployment: Deployment, *, seed: int = 1, cases_each: int = 1) -> OpenApiSchema:
    """Read the document that a deployment serves."""
    answer = http.get(f"{deployment.running.base_url}/api/openapi.json")
    config = config_of(deployment, seed=seed, cases_each=cases_each)
    return schemathesis.openapi.from_dict(_without_room(answer.json()), config=config)


def _without_room(part: Any) -> Any:
    """Allow answers no members but the documented ones."""
    match part:
        case {"type": "object", "properties": {}} if part["properties"].keys() != {"openapi"}:
            return {
                "additionalProperties": False,
                **{name: _without_room(value) for name, value in part.items()},
            }
        case dict():
            return {
                name: value if name == "requestBody" else _without_room(value)
                for name, value in part.items()
            }
        case list():
            return [_without_room(value) for value in part]
        case _:
            return part


def documented(document: Mapping[str, Any]) -> Iterator[Answered]:
    """Name every answer of a document."""
    for methods in document["paths"].values():
        for operation in methods.values():
            for status, response in operation["responses"].items():
                for name in _types(document, response["content"]):
                    yield operation["operationId"], int(status), name


def _types(document: Mapping[str, Any], content: Mapping[str, Any]) -> Iterator[str]:
    for kind, described in content.items():
        if codes := _oauth_codes(described["schema"]):
            yield from codes
            continue
        if kind != _PROBLEM:
            yield kind
            continue
        for option in described["schema"].get("oneOf", [described["schema"]]):
            component = document["components"]["schemas"][option["$ref"].rpartition("/")[2]]
            yield component["properties"]["type"]["const"].removeprefix(TYPE_PREFIX)


def _oauth_codes(schema: Mapping[str, Any]) -> list[str]:
    """Return the codes of an error of RFC 6749; none for another schema."""
    codes: list[str] = schema.get("properties", {}).get("error", {}).get("enum", [])
    return codes


def run(deployment: Deployment, *, seed: int, cases_each: int) -> Found:
    """Run all phases, and return what was found."""
    found = Found()
    schema = loaded(deployment, seed=seed, cases_each=cases_each)
    with _in_all_states(deployment), noted(found.answered):
        for event in from_schema(schema).execute():
            match event:
                case events.ScenarioFinished():
                    _note_scenario(found, event)
                case events.NonFatalError():
                    found.failures[f"{event.label}: error"] = str(event.info)
                case events.FatalError():
                    raise event.exception
                case _:
                    pass
    return found


def _note_scenario(found: Found, event: events.ScenarioFinished) -> None:
    found.cases += len(event.recorder.interactions)
    found.by_phase[event.phase.value] += len(event.recorder.interactions)
    for case_id, checks in event.recorder.checks.items():
        for check in checks:
            if check.failure_info is not None:
                name = f"{event.label}: {check.name}"
                request = event.recorder.interactions[case_id].request
                found.failures.setdefault(
                    name, f"{request.method} {request.uri}: {check.failure_info.failure}"
                )


@contextmanager
def _in_all_states(deployment: Deployment) -> Iterator[None]:
    """Give each case a state to find."""
    # Every other connection keeps the name that was made for it.
    states = cycle(chain.from_iterable((state, None) for state in STATES))
    callbacks, links, forms = cycle(CALLBACKS), cycle(LINKS), cycle((*LINKS, None))

    def before_call(_context: HookContext, case: Case[Any], _kwargs: dict[str, Any]) -> None:
        query = {**(case.query or {})}
        _frame(case)
        if case.operation.path == "/api/callback" and _is_positive(case):
            case.query = {**query, **next(callbacks)(deployment)}
        elif case.operation.path == "/api/login" and _is_positive(case):
            if case.method == "GET":
                case.query = {**query, **next(links)(deployment)}
            elif (form := next(forms)) is not None:
                _set_form(case, form(deployment))
        elif _is_about_a_connection(case) and _is_positive(case):
            if state := next(states):
                STATES[state](deployment, state)
                case.query = {**query, CONNECTION.name: state}
            elif CONNECTION.name in query:
                # A name before a colon would be that of a client, and here is only the unnamed one.
                case.query = {**query, CONNECTION.name: query[CONNECTION.name].replace(":", ".")}
        elif _is_about_a_connection(case):
            # Without the fault the request would succeed. It has no name, because a good parameter
            # keeps schemathesis from blaming a bad one.
            STATES["fresh"](deployment, DEFAULT_CONNECTION)
            query.pop(CONNECTION.name, None)
            case.query = query

    with _hooked(before_call):
        yield


def _frame(case: Case[Any]) -> None:
    for name in _FRAMING:
        case.headers.pop(name, None)


def _set_form(case: Case[Any], form: Mapping[str, str]) -> None:
    if form:
        case.body, case.media_type = {**form}, "application/x-www-form-urlencoded"


def _is_positive(case: Case[Any]) -> bool:
    return case.meta is not None and case.meta.generation.mode is GenerationMode.POSITIVE


def _is_about_a_connection(case: Case[Any]) -> bool:
    """Whether a case asks about a connection, and its fault is not in the name."""
    known = any(parameter.name == CONNECTION.name for parameter in case.operation.query)
    spoilt = {name for name, _ in negated_parameters(case.meta)}
    return known and case.meta is not None and CONNECTION.name not in spoilt


@contextmanager
def noted(answered: Counter[Answered]) -> Iterator[None]:
    """Count the answers of documented operations."""

    def after_call(_context: HookContext, case: Case[Any], response: Response) -> None:
        if case.method.upper() == case.operation.method.upper():
            answered[case.operation.definition.raw["operationId"], *_answer_of(response)] += 1

    with _hooked(after_call):
        yield


def _answer_of(response: Response) -> tuple[int, str]:
    kind = response.headers["content-type"][0].partition(";")[0]
    if kind == "application/json" and response.status_code >= httpx.codes.BAD_REQUEST:
        # The token endpoint's.
        return response.status_code, str(response.json()["error"])
    if kind != _PROBLEM:
        return response.status_code, kind
    return response.status_code, str(response.json()["type"]).removeprefix(TYPE_PREFIX)


def ask(
    schema: OpenApiSchema,
    operation_id: str,
    query: str | Mapping[str, str],
    *headers: tuple[str, str],
    at: Deployment | Running,
    body: bytes | Iterator[bytes] = b"",
) -> None:
    """Ask one thing by hand; raises AssertionError where the answer is not as documented.

    A fault of the server is planned here.
    """
    operation = schema.find_operation_by_id(operation_id)
    running = at.running if isinstance(at, Deployment) else at
    operation.Case().call_and_validate(
        running.base_url,
        headers=dict(headers),
        params=query,
        data=body or None,
        excluded_checks=[not_a_server_error],
    )


@contextmanager
def _hooked(hook: Any) -> Iterator[None]:
    schemathesis.hook(hook)
    try:
        yield
    finally:
        schemathesis.hooks.unregister(hook)
