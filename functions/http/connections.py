"""Which connection a request is about."""

from domain.connection import DEFAULT_CONNECTION, is_connection
from functions.http.messages import Request
from functions.http.problems import problem


def connection_of(request: Request, *, extra_params: tuple[str, ...] = ()) -> str:
    """Return the connection that a request names; it may have the parameters `beside` as well.

    Any other is refused, and so is a body: where `connection` was misspelt, or put into a form, the
    token of another one would be given, or another one be revoked.

    Raises ProblemError.
    """
    _refuse_body(request)
    known = {"connection", *extra_params}
    if unknown := request.parameters.keys() - known:
        told = ", ".join(sorted(known))
        raise problem("invalid-request", f"{min(unknown)!r:.40} is no parameter here: {told}")
    connection = request.parameters.get("connection", DEFAULT_CONNECTION)
    if not is_connection(connection):
        raise problem(
            "invalid-request",
            "a connection is named by up to 128 letters, digits and . _ - @, of which the first "
            "is a letter or digit",
        )
    return connection


def _refuse_body(request: Request) -> None:
    # Many clients send an empty object where they have nothing to say.
    if b"".join(request.body.split()) not in {b"", b"{}"}:
        # Its length only: what was sent in a wrong place may be a secret.
        raise problem(
            "invalid-request",
            f"the request has a body (length {len(request.body)}), and none is read here: "
            "parameters belong into the query, as in ?connection=ID",
        )
