"""The four forms of Digi-Key's errors, as public bug reports show them."""

import uuid
from typing import assert_never

from functions.http.messages import Response
from infra.local.digikey_rules import Refusal


def refusal_response(refusal: Refusal) -> Response:
    """Return the response to a refused authorization or token request."""
    match refusal.reason:
        case "invalid_client":
            return gateway_error("Invalid clientId", refusal.description)
        case "invalid_redirect_uri" | "invalid_request":
            return request_error(refusal.description)
        case "invalid_grant" | "unsupported_grant_type":
            # RFC 6749 §5.2
            return Response.json(
                400, {"error": refusal.reason, "error_description": refusal.description}
            )
        case _:
            assert_never(refusal.reason)


def gateway_error(message: str, details: str) -> Response:
    """Return the 401 for an unknown client."""
    return Response.json(
        401,
        {
            "ErrorResponseVersion": "3.0.0.0",
            "StatusCode": 401,
            "ErrorMessage": message,
            "ErrorDetails": details,
            "RequestId": str(uuid.uuid4()),
            "ValidationErrors": [],
        },
    )


def request_error(error: str, *, status: int = 400) -> Response:
    """Return the error for invalid parameters."""
    return Response.json(status, {"ErrorCode": "invalid_request", "Error": error})


def problem(
    status: int, title: str, detail: str, *, headers: tuple[tuple[str, str], ...] = ()
) -> Response:
    """Return an error of Digi-Key's API version 4: RFC 9457 with a `correlationId`."""
    return Response.json(
        status,
        {
            "type": f"https://www.rfc-editor.org/rfc/rfc9110#status.{status}",
            "title": title,
            "status": status,
            "detail": detail,
            "correlationId": str(uuid.uuid4()),
        },
        content_type="application/problem+json",
        headers=headers,
    )
