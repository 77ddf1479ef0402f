"""A simulated Digi-Key for development, as one ASGI application.

`python -m infra.local.digikey --port 0` serves it alone on a loopback port and prints its address.
Another server mounts it by passing it, unchanged, each scope below its prefix.
"""

import argparse
import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TypeAlias, assert_never

import uvicorn

from functions.http.messages import Receive, Request, Response, Scope, Send
from functions.http.parameters import MalformedRequestError
from infra.local.digikey_callers import refuse_strangers
from infra.local.digikey_control import Change, Fault, InvalidChangeError, Settings
from infra.local.digikey_errors import problem, request_error
from infra.local.digikey_file import load_state, save_state
from infra.local.digikey_oauth import (
    Answer,
    DelayedResponse,
    LostResponse,
    OAuthEndpoints,
    read_form,
)
from infra.local.digikey_pages import FrontPage, error_page, page_response
from infra.local.digikey_rules import DIGIKEY_LIFETIMES, AuthorizationServer, Client, Lifetimes
from infra.local.digikey_state import State
from infra.local.listener import loopback_listener

Handler: TypeAlias = Callable[[Request], Answer]

DEFAULT_PREFIX = "/simulated-digikey"

_log = logging.getLogger(__name__)


class SimulatedDigiKey:
    """The ASGI application. It has one registered client.

    `now`: returns seconds since the epoch.
    `state_path`: a file that keeps codes and grants. Other settings are lost at a restart.

    Raises StateFileError if the file is invalid, OSError if it cannot be read.
    """

    def __init__(
        self,
        *,
        client_id: str,
        client_secret: str,
        redirect_uris: tuple[str, ...],
        state_path: Path | None = None,
        prefix: str = DEFAULT_PREFIX,
        lifetimes: Lifetimes = DIGIKEY_LIFETIMES,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._prefix = prefix
        self._state_path = state_path
        self._rules = AuthorizationServer(
            client=Client(
                client_id=client_id, client_secret=client_secret, redirect_uris=redirect_uris
            ),
            lifetimes=lifetimes,
            state=State() if state_path is None else load_state(state_path),
            now=now,
        )
        self._saved = self._rules.state
        self._settings = Settings()
        oauth = OAuthEndpoints(rules=self._rules, settings=self._settings)
        self._routes: dict[str, dict[str, Handler]] = {
            "": {"GET": self._front_page},
            "/": {"GET": self._front_page},
            "/settings": {"POST": self._change_by_form},
            "/_control": {"GET": self._show_settings, "POST": self._change_by_json},
            "/v1/oauth2/authorize": {"GET": oauth.show_page, "POST": oauth.apply_decision},
            "/v1/oauth2/token": {"POST": oauth.token},
            "/products/v4/search/example": {"GET": oauth.example_product},
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request, or the server's lifespan."""
        if scope["type"] == "lifespan":
            await _answer_lifespan(receive, send)
            return
        try:
            answer = self._answer(await Request.from_asgi(scope, receive))
        except MalformedRequestError as error:
            answer = request_error(str(error), status=error.status)
        without_body = scope["method"] == "HEAD"
        match answer:
            case Response():
                await answer.send(send, without_body=without_body)
            case DelayedResponse():
                await asyncio.sleep(answer.seconds)
                await answer.response.send(send, without_body=without_body)
            case LostResponse():
                await _drop_response(send)
            case _:
                assert_never(answer)

    def _answer(self, request: Request) -> Answer:
        if (refusal := refuse_strangers(request)) is not None:
            return refusal
        below = request.path.startswith(self._prefix)
        handlers = self._routes.get(request.path[len(self._prefix) :]) if below else None
        if handlers is None:
            return problem(404, "Not Found", "There is nothing at this path.")
        handler = handlers.get("GET" if request.method == "HEAD" else request.method)
        if handler is None:
            allowed = ", ".join(handlers).replace("GET", "GET, HEAD")
            detail = f"Only {allowed} is allowed here."
            return problem(405, "Method Not Allowed", detail, headers=(("allow", allowed),))
        answer = handler(request)
        if self._state_path is not None and self._rules.state is not self._saved:
            save_state(self._state_path, self._rules.state)
            self._saved = self._rules.state
        return answer

    def _front_page(self, _request: Request) -> Response:
        page = FrontPage(
            prefix=self._prefix,
            now=self._rules.now(),
            lifetimes=self._rules.lifetimes,
            state=self._rules.state,
            planned_faults=self._settings.planned_faults(),
            known_faults=[*Fault, "delay:2", "delay:20"],
            statistics=self._settings.statistics(),
        )
        return page_response(200, page.html())

    def _show_settings(self, _request: Request) -> Response:
        return Response.json(
            200,
            {
                "lifetimes": asdict(self._rules.lifetimes),
                "faults": self._settings.planned_faults(),
                "statistics": self._settings.statistics(),
                "clock_shift": self._rules.state.clock_shift,
            },
        )

    def _change_by_json(self, request: Request) -> Response:
        try:
            self._apply(Change.from_json(request.body))
        except InvalidChangeError as error:
            return problem(400, "Bad Request", str(error))
        return self._show_settings(request)

    def _change_by_form(self, request: Request) -> Response:
        try:
            self._apply(Change.from_form(read_form(request)))
        except InvalidChangeError as error:
            return page_response(400, error_page("Invalid setting", str(error)))
        location = ("location", f"{self._prefix}/")
        return Response(status=303, content_type="text/plain", headers=(location,))

    def _apply(self, change: Change) -> None:
        self._rules.lifetimes = change.apply_to(self._rules.lifetimes)
        self._settings.change(change)
        if change.shift_clock:
            self._rules.shift_clock(change.shift_clock)


async def _drop_response(send: Send) -> None:
    """Announce a body and send none, so that the server closes the connection (as uvicorn does).

    Other ways differ between ASGI servers. Without any message they answer 500. A hook into
    uvicorn's transport fails when another server mounts this application.
    The client reads a status, then loses the connection. As after a timeout, it cannot know
    whether the request took effect.
    """
    _log.info("simulated Digi-Key: response dropped, as planned")
    headers = [(b"content-type", b"application/json"), (b"content-length", b"1")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})


async def _answer_lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the address, then serve a simulated Digi-Key on a loopback port until interrupted."""
    parser = argparse.ArgumentParser(description="A simulated Digi-Key, for development only.")
    parser.add_argument("--port", type=int, default=0, help="default 0: any free port")
    parser.add_argument("--client-id", default="simulated-client")
    parser.add_argument("--client-secret", default="simulated-secret")
    parser.add_argument("--redirect-uri", action="append", default=[], help="can be repeated")
    parser.add_argument("--prefix", default=DEFAULT_PREFIX)
    parser.add_argument("--state", type=Path, help="a file that keeps codes and grants")
    options = parser.parse_args(arguments)
    application = SimulatedDigiKey(
        client_id=options.client_id,
        client_secret=options.client_secret,
        redirect_uris=tuple(options.redirect_uri),
        state_path=options.state,
        prefix=options.prefix,
    )
    config = uvicorn.Config(
        application,
        lifespan="off",
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=1,
    )
    # The socket listens already, so clients can connect as soon as the address is printed.
    with loopback_listener(options.port) as listener:
        host, port = listener.getsockname()
        print(f"http://{host}:{port}{options.prefix}", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
