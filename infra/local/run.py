"""`make run`: the application on this machine, by default with a simulated provider."""

import asyncio
import logging
import os
import sys
from contextlib import suppress

import uvicorn

from functions.access.sessions import has_session_cookie
from functions.application import Application
from functions.asgi import ALL_ROUTES
from functions.http.messages import Receive, Request, Scope, Send
from functions.observability.log_lines import TextLine
from functions.settings.client import ClientSettings
from functions.settings.settings import Settings, SettingsError
from functions.settings.store import PostgresSettings
from functions.wiring import migrate_store
from infra.local.environment import LocalEnvironment, LocalEnvironmentError
from infra.local.first_steps import FirstSteps
from infra.local.listener import loopback_listener
from infra.local.simulated.application import SimulatedProvider
from infra.local.simulated.assertions import ClientKey
from infra.local.simulated.callers import is_local
from infra.local.simulated.codes import Client
from infra.local.simulated.state_file import StateFileError
from infra.local.slow_clients import BACKLOG, LimitedProtocol, raise_descriptor_limit
from ports.client_key import ClientKeyError
from ports.store import StoreUnavailableError

_START_ERRORS = (
    ClientKeyError,
    LocalEnvironmentError,
    OSError,
    StateFileError,
    StoreUnavailableError,
)


class LocalApplication:
    """The application, the page of first steps, and a simulated provider, behind one port."""

    def __init__(
        self, application: Application, steps: FirstSteps, simulation: SimulatedProvider | None
    ) -> None:
        self._application = application
        self._address = steps.address
        self._page = steps.page() if steps.is_local else None
        self._simulation = simulation

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Route a scope by its path."""
        path, page = scope.get("path", ""), self._page
        if page is not None and path == "/" and self._is_first_visit(scope):
            await page.send(send, without_body=scope["method"] == "HEAD")
        elif self._simulation is not None and path.startswith(self._simulation.prefix):
            await self._simulation(scope, receive, send)
        else:
            await self._application(scope, receive, send)

    def _is_first_visit(self, scope: Scope) -> bool:
        """Whether a browser of this machine reads a page, and is not signed in."""
        request = Request.head(scope)
        is_read = request.method in {"GET", "HEAD"}
        return is_read and is_local(request) and not has_session_cookie(request, self._address)


def main() -> str | None:
    """Serve until interrupted. Return the error that prevents it, if any."""
    _log_as_text()
    try:
        local = LocalEnvironment.complete(os.environ)
        settings = Settings.from_environ(local.variables, allows_programs=True)
        settings.alerts()
        _migrate(settings)
        steps = FirstSteps.of(local, settings)
        application = LocalApplication(
            Application(ALL_ROUTES, lambda: settings), steps, _simulation(local, settings)
        )
        listener = loopback_listener(local.port)
    except SettingsError as error:
        return f"The environment cannot be used: {error}."
    except _START_ERRORS as error:
        return f"Cannot start: {error}."
    print(steps.text(), flush=True)
    raise_descriptor_limit()
    config = uvicorn.Config(
        application,
        http=LimitedProtocol,
        backlog=BACKLOG,
        log_config=None,
        access_log=False,
    )
    with suppress(KeyboardInterrupt):
        uvicorn.Server(config).run(sockets=[listener])
    return None


def _migrate(settings: Settings) -> None:
    """Create the tables of a Postgres store. Raises SettingsError, StoreUnavailableError."""
    if isinstance(settings.store, PostgresSettings):
        asyncio.run(migrate_store(settings.store))


def _log_as_text() -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(TextLine())
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    logging.getLogger("httpx").setLevel(logging.WARNING)
    # The simulation does so on purpose, and logs it itself.
    logging.getLogger("uvicorn.error").addFilter(
        lambda record: "without completing response" not in record.getMessage()
    )


def _simulation(local: LocalEnvironment, settings: Settings) -> SimulatedProvider | None:
    if not local.is_simulated:
        return None
    client = settings.clients.get(None)
    callback = local.address + client.callback_path
    # A provider may have a name instead of the redirect URI.
    name = client.redirect_uri_name
    return SimulatedProvider(
        provider=client.provider,
        client=Client(
            client_id=client.client_id,
            client_secret=client.client_secret,
            redirect_uris=(callback,),
            redirect_names={} if name is None else {name: callback},
            key=_key_of(client),
        ),
        state_path=local.simulation_state,
        prefix=local.simulation_prefix,
    )


def _key_of(client: ClientSettings) -> ClientKey | None:
    """Return the key that the client would have registered. Raises ClientKeyError."""
    key = client.private_key
    if key is None:
        return None
    audience = key.audience or client.provider.token_endpoint
    return ClientKey.of(key.pem, algorithm=key.algorithm, audience=audience)


if __name__ == "__main__":
    sys.exit(main())
