"""The errors of the token endpoint (RFC 6749 §5.2), with when each occurs."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from functions.endpoints.promises.operation import Operation, Schema
from functions.endpoints.promises.problems import OCCURRENCES
from functions.endpoints.promises.schemas import object_with
from functions.http.oauth_errors import error_of


def oauth_errors_by_status(operation: Operation) -> Mapping[int, Sequence[tuple[str, str]]]:
    """Return the codes of an operation and when they occur, by status; none without OAuth errors.

    A code can be there several times.
    """
    found: defaultdict[int, list[tuple[str, str]]] = defaultdict(list)
    for name in operation.problems if operation.oauth_errors else ():
        for usual in OCCURRENCES[name].statuses:
            status, code = error_of(name, usual)
            found[status].append((code, OCCURRENCES[name].description))
    for code, when in operation.oauth_errors.items():
        found[400].append((code, when))
    return found


def oauth_error_schema(codes: Sequence[str]) -> Schema:
    """Describe an error with one of these codes."""
    return object_with(
        {
            "error": {"type": "string", "enum": codes},
            "error_description": {
                "type": "string",
                # RFC 6749 §5.2.
                "pattern": r"^[ !#-\[\]-~]+$",
                "description": "The explanation and the next step, for a person.",
            },
        },
        "An error of RFC 6749 §5.2.",
    )
