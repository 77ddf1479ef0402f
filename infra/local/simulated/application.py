"""A simulated provider for development, as one ASGI application.

`python -m infra.local.simulated` serves it alone. Another server mounts it by passing it,
unchanged, each scope below its prefix.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TypeAlias, assert_never

from domain.provider import Provider
from functions.http.messages import Receive, Request, Response, Scope, Send
from functions.http.parameters import MalformedRequestError
from functions.settings.presets import load, names
from infra.local.simulated.callers import refuse_strangers
from infra.local.simulated.codes import Client
from infra.local.simulated.control import Change, Fault, InvalidChangeError, Settings
from infra.local.simulated.digikey import DigiKey
from infra.local.simulated.errors import problem
from infra.local.simulated.front_page import FrontPage, rotation_in_words
from infra.local.simulated.oauth import Answer, DelayedResponse, LostResponse, OAuthEndpoints
from infra.local.simulated.pages import error_page, page_response
from infra.local.simulated.paths import Paths, prefix_of
from infra.local.simulated.refusals import Refusal
from infra.local.simulated.requests import read_form
from infra.local.simulated.rules import AuthorizationServer
from infra.local.simulated.state import State
from infra.local.simulated.state_file import load_state, save_state
from infra.local.simulated.vendor import Vendor

Handler: TypeAlias = Callable[[Request], Answer]
Routes: TypeAlias = Mapping[str, Handler]

# Those with more than a preset.
_VENDORS: Mapping[str, type[Vendor]] = {"digikey": DigiKey, "digikey-sandbox": DigiKey}

_log = logging.getLogger(__name__)


class SimulatedProvider:
    """The ASGI application. It has one registered client.

    `provider`: the data to play; `prefix`: the path below which it is mounted.
    `now`: returns seconds since the epoch.
    `state_path`: a file that keeps codes and grants. Other settings are lost at a restart.

    Raises StateFileError if the file is invalid, OSError if it cannot be read.
    """

    def __init__(
        self,
        *,
        provider: Provider,
        client: Client,
        state_path: Path | None = None,
        prefix: str | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.prefix = prefix_of(provider.name) if prefix is None else prefix
        self._state_path = state_path
        self._rules = AuthorizationServer(
            provider=provider,
            client=client,
            lifetimes=_vendor_of(provider).lifetimes_of(provider),
            state=State() if state_path is None else load_state(state_path),
            now=now,
        )
        self._saved = self._rules.state
        self._settings = Settings()
        self._own: dict[str, Routes] = {
            "": {"GET": self._front_page},
            "/": {"GET": self._front_page},
            "/settings": {"POST": self._change_by_form},
            "/_control": {"GET": self._show_settings, "POST": self._change_by_json},
        }
        self._first = provider
        self._started = self._played = Paths.of(provider, prefix=self.prefix)
        self._vendor, self._endpoints = self._play(provider)

    def _play(self, provider: Provider) -> tuple[Vendor, dict[str, Routes]]:
        """Play a provider. The paths of the first one stay: the deployment uses them."""
        self._rules.provider = provider
        self._rules.lifetimes = _vendor_of(provider).lifetimes_of(provider)
        self._played = Paths.of(provider, prefix=self.prefix)
        vendor = _vendor_of(provider)(self._rules)
        oauth = OAuthEndpoints(rules=self._rules, settings=self._settings, vendor=vendor)
        endpoints = _routes(self._started, oauth) | _routes(self._played, oauth)
        return vendor, endpoints

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request, or the server's lifespan."""
        if scope["type"] == "lifespan":
            await _answer_lifespan(receive, send)
            return
        try:
            answer = self._answer(await Request.from_asgi(scope, receive))
        except MalformedRequestError as error:
            refusal = Refusal(reason="invalid_request", description=str(error))
            answer = self._vendor.refuse(refusal, status=error.status)
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
        below = request.path.startswith(self.prefix)
        handlers = self._handlers_at(request.path[len(self.prefix) :]) if below else None
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

    def _handlers_at(self, path: str) -> Routes | None:
        return self._own.get(path) or self._endpoints.get(path) or self._vendor.routes_at(path)

    def _front_page(self, _request: Request) -> Response:
        content = FrontPage(
            title=title_of(self._rules.provider),
            prefix=self.prefix,
            provider=self._rules.provider,
            paths=self._played,
            resource=self._vendor.resource,
            presets=names(),
            now=self._rules.now(),
            lifetimes=self._rules.lifetimes,
            state=self._rules.state,
            planned_faults=self._settings.planned_faults(),
            known_faults=[*Fault, "delay:2", "delay:20"],
            statistics=self._settings.statistics(),
        )
        return page_response(200, content.html())

    def _show_settings(self, _request: Request) -> Response:
        return Response.json(
            200,
            {
                "preset": self._rules.provider.name,
                "rotation": rotation_in_words(self._rules.provider),
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
        location = ("location", f"{self.prefix}/")
        return Response(status=303, content_type="text/plain", headers=(location,))

    def _apply(self, change: Change) -> None:
        if change.preset is not None:
            # The first one may differ from its preset, by the deployment's variables.
            is_first = change.preset == self._first.name
            provider = self._first if is_first else load(change.preset) or self._first
            self._vendor, self._endpoints = self._play(provider)
        self._rules.lifetimes = change.apply_to(self._rules.lifetimes)
        self._settings.change(change)
        if change.shift_clock:
            self._rules.shift_clock(change.shift_clock)
        if change.revoke_grants:
            self._rules.revoke_all()


def title_of(provider: Provider) -> str:
    """Return the provider's name for people."""
    return _vendor_of(provider).title_of(provider)


def _vendor_of(provider: Provider) -> type[Vendor]:
    return _VENDORS.get(provider.name, Vendor)


def _routes(paths: Paths, oauth: OAuthEndpoints) -> dict[str, Routes]:
    routes: dict[str, Routes] = {
        paths.authorization: {"GET": oauth.show_page, "POST": oauth.apply_decision},
        paths.token: {"POST": oauth.token},
    }
    if paths.refresh != paths.token:
        routes[paths.refresh] = {"POST": oauth.refresh}
    if paths.revocation is not None:
        # DELETE as at GitHub.
        routes[paths.revocation] = {"POST": oauth.revoke, "DELETE": oauth.revoke}
    return routes


async def _drop_response(send: Send) -> None:
    """Announce a body and send none, so that the server closes the connection (as uvicorn does).

    Other ways differ between ASGI servers. Without any message they answer 500. A hook into
    uvicorn's transport fails when another server mounts this application.
    The client reads a status, then loses the connection. As after a timeout, it cannot know
    whether the request took effect.
    """
    _log.info("simulated provider: response dropped, as planned")
    headers = [(b"content-type", b"application/json"), (b"content-length", b"1")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})


async def _answer_lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
