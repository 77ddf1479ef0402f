"""The connection of a request, and the parameters that an endpoint knows."""

from domain.connection import DEFAULT_CONNECTION, is_connection
from functions.http.messages import Request
from functions.http.problems import problem


def connection_of(
    request: Request, *, extra_params: tuple[str, ...] = (), has_body: bool = False
) -> str:
    """Return the `connection` of the query, `default` if it is missing.

    Other parameters than `extra_params` are refused, and so is a body, but for an endpoint that
    `has_body`. A misspelt or misplaced `connection` would otherwise return the token of the default
    one, or revoke it.

    Raises ProblemError.
    """
    check_parameters(request, frozenset({"connection", *extra_params}), has_body=has_body)
    connection = request.parameters.get("connection", DEFAULT_CONNECTION)
    if not is_connection(connection):
        raise problem(
            "invalid-request",
            "Invalid connection name. Use up to 128 letters, digits and . _ - @, starting with a "
            "letter or digit. An account of a client is CLIENT:ACCOUNT.",
        )
    return connection


def check_parameters(request: Request, known: frozenset[str], *, has_body: bool = False) -> None:
    """Refuse parameters that are not `known`, and a body, unless the endpoint `has_body`.

    Raises ProblemError.
    """
    if not has_body:
        _refuse_body(request)
    if unknown := request.parameters.keys() - known:
        allowed = ", ".join(sorted(known)) or "none"
        detail = f"Unknown parameter {min(unknown)!r:.40}. Allowed: {allowed}."
        raise problem("invalid-request", detail)


def _refuse_body(request: Request) -> None:
    # Many clients send an empty object instead of no body.
    if request.body and b"".join(request.body.split()) not in {b"", b"{}"}:
        # Its length only: a misplaced value may be a secret.
        raise problem(
            "invalid-request",
            f"This endpoint reads no body (length {len(request.body)}). Send parameters in the "
            "query, as in ?connection=ID.",
        )
