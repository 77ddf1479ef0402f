"""The errors of a simulated provider: RFC 6749's, or in the provider's own words."""

import uuid

from domain.provider import Provider
from functions.http.messages import Response
from infra.local.simulated.refusals import Refusal

# For reasons that RFC 6749 §5.2 does not name.
_CODES = {"invalid_redirect_uri": "invalid_request", "too_early": "temporarily_unavailable"}
_STATUSES = {"invalid_client": 401, "too_early": 429}


def refusal_response(
    provider: Provider, refusal: Refusal, *, status: int | None = None
) -> Response:
    """Return the response to a refused request.

    If the preset has an alias for its code, then the response has that instead of the code.
    """
    code = _CODES.get(refusal.reason, refusal.reason)
    own = next((words for words, meant in provider.error_aliases.items() if meant == code), None)
    if own is None:
        members = {"error": code, "error_description": refusal.description}
    elif " " in own:
        # The code alone would mean something else, as at X.
        members = {"error": "invalid_request", "error_description": own}
    else:
        members = {"error": own}
    wait = refusal.retry_after
    return Response.json(
        status or _STATUSES.get(refusal.reason, 400),
        members,
        headers=() if wait is None else (("retry-after", str(wait)),),
    )


def problem(
    status: int, title: str, detail: str, *, headers: tuple[tuple[str, str], ...] = ()
) -> Response:
    """Return an error of the simulation itself, or of Digi-Key's API version 4.

    It is RFC 9457 with a `correlationId`.
    """
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
