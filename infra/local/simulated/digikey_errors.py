"""The four forms of Digi-Key's errors, as public bug reports show them."""

import uuid
from typing import assert_never

from domain.provider import Provider
from functions.http.messages import Response
from infra.local.simulated import errors
from infra.local.simulated.refusals import Refusal


def refusal_response(
    provider: Provider, refusal: Refusal, *, status: int | None = None
) -> Response:
    """Return the response to a refused authorization or token request."""
    match refusal.reason:
        case "invalid_client":
            return gateway_error("Invalid clientId", refusal.description)
        case "invalid_redirect_uri" | "invalid_request":
            return request_error(refusal.description, status=status or 400)
        case "invalid_grant" | "unsupported_grant_type" | "too_early":
            return errors.refusal_response(provider, refusal, status=status)
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
