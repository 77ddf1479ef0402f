"""The Lambda function for HTTP: the whole application.

Behind an HTTP API, a Function URL, a REST API or a load balancer.
"""

import asyncio
from http import HTTPStatus
from typing import Any

from mangum import Mangum

from functions.application import Application
from functions.aws.events import (
    Event,
    UnknownEventError,
    require_http_event,
    unreadable_part,
    without_sender_parts,
)
from functions.aws.load_balancer import LoadBalancer
from functions.aws.routes import TokenFirst
from functions.aws.settings import InstanceSettings
from functions.http.messages import Receive, Scope, Send
from functions.http.problems import problem
from functions.observability.log_lines import write_json_lines
from functions.observability.tracing import request_id_of_context, trace_request

# Types to return as text; others go in base64, which not every front end decodes.
_TEXT = ["text/", "application/json", "application/problem+json"]


class HttpHandler:
    """A Lambda handler over the whole application, for one thread.

    It returns after the application's background work, because AWS freezes the instance then.
    """

    def __init__(self, settings: InstanceSettings) -> None:
        self._settings = settings
        self._application = Application(TokenFirst(), settings.current)
        # Mangum runs every call on the thread's loop, so that connections stay open. Without
        # a loop, it gets one in a way that Python 3.12 deprecates.
        self._loop = asyncio.new_event_loop()
        asyncio.set_event_loop(self._loop)
        self._mangum = _mangum(self._application)
        # Before the first event, while Lambda gives a whole processor.
        settings.update()
        self._loop.run_until_complete(self._application.prepare())

    def __call__(self, event: object, context: Any) -> dict[str, Any]:  # noqa: ANN401 - AWS's
        """Answer one event, in its own format. Raises UnknownEventError."""
        write_json_lines()
        known = require_http_event(event)
        if (part := unreadable_part(known)) is not None:
            return _refuse(known, context, part)
        # The application traces the rest.
        with trace_request(request_id_of_context(context)):
            is_changed = self._settings.update()
        if is_changed:
            # No request is in flight between two events.
            self._loop.run_until_complete(self._application.close())
        try:
            answer = self._mangum(known, context)
        except Exception as error:
            # The application raises nothing, so Mangum could not read the event.
            reason = type(error).__name__
            raise UnknownEventError(f"unreadable HTTP event: {reason}") from error
        if answer["statusCode"] == HTTPStatus.NO_CONTENT:
            # Mangum adds a type to a 204 (RFC 9110 §8.3: only for content).
            answer.get("headers", {}).pop("content-type", None)
        return answer


def _mangum(application: Any) -> Mangum:  # noqa: ANN401 - Mangum's ASGI has types of its own
    # With its lifespan, the application would start and stop in every call.
    return Mangum(
        application, lifespan="off", text_mime_types=_TEXT, custom_handlers=[LoadBalancer]
    )


def _refuse(event: Event, context: Any, part: str) -> dict[str, Any]:  # noqa: ANN401 - AWS's
    async def answer(_scope: Scope, _receive: Receive, send: Send) -> None:
        found = problem("invalid-request", f"The request has {part}. Correct it and send it again.")
        await found.problem.response(request_id=None).send(send)

    return _mangum(answer)(without_sender_parts(event), context)


handler = HttpHandler(InstanceSettings())
