"""`make run`: the application on this machine, by default with a simulated provider."""

import logging
import os
import sys
from contextlib import suppress

import uvicorn

from functions.application import Application
from functions.asgi import ROUTES
from functions.http.messages import Receive, Response, Scope, Send
from functions.observability.log_lines import TextLine
from functions.settings.settings import Settings, SettingsError
from infra.local.digikey import SimulatedDigiKey
from infra.local.digikey_file import StateFileError
from infra.local.environment import (
    API_KEY_FILE,
    SIMULATION_PREFIX,
    SIMULATION_STATE,
    LocalEnvironment,
    LocalEnvironmentError,
)
from infra.local.listener import loopback_listener
from infra.local.patience import BACKLOG, LimitedProtocol, raise_descriptor_limit


class WithSimulation:
    """The application and the simulated Digi-Key behind one port."""

    def __init__(self, application: Application, simulation: SimulatedDigiKey) -> None:
        self._application = application
        self._simulation = simulation

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Route a scope by its path."""
        path = scope.get("path", "")
        if path == "/":
            where = (("location", f"{SIMULATION_PREFIX}/"),)
            await Response(status=307, headers=where).send(send)
        elif path.startswith(SIMULATION_PREFIX):
            await self._simulation(scope, receive, send)
        else:
            await self._application(scope, receive, send)


def main() -> str | None:
    """Serve until interrupted. Return the error that prevents it, if any."""
    _log_as_text()
    try:
        local = LocalEnvironment.complete(os.environ)
        settings = Settings.from_environ(local.variables)
        application = _application(local, settings)
        listener = loopback_listener(local.port)
    except SettingsError as error:
        return f"The environment cannot be used: {error}."
    except (LocalEnvironmentError, StateFileError, OSError) as error:
        return f"Cannot start: {error}."
    print(_welcome(local), flush=True)
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


def _log_as_text() -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(TextLine())
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    logging.getLogger("httpx").setLevel(logging.WARNING)
    # The simulation does so on purpose, and logs it itself.
    logging.getLogger("uvicorn.error").addFilter(
        lambda record: "without completing response" not in record.getMessage()
    )


def _application(local: LocalEnvironment, settings: Settings) -> Application | WithSimulation:
    application = Application(ROUTES, lambda: settings)
    if not local.is_simulated:
        return application
    simulation = SimulatedDigiKey(
        client_id=settings.client_id,
        client_secret=settings.client_secret,
        redirect_uris=(str(settings.redirect_uri),),
        state_path=SIMULATION_STATE,
        prefix=SIMULATION_PREFIX,
    )
    return WithSimulation(application, simulation)


def _welcome(local: LocalEnvironment) -> str:
    address = local.variables["PUBLIC_URL"]
    served = f"http://localhost:{local.port}"
    key = f"$(cat {API_KEY_FILE})" if local.keeps_api_key else "$API_KEY"
    where = "in this folder" if local.keeps_api_key else "with API_KEY as you have set it"
    provider = (
        f"a simulated Digi-Key (settings and faults: {served}{SIMULATION_PREFIX}/)"
        if local.is_simulated
        else local.variables.get("PROVIDER", "digikey")
    )
    return f"""
oauth-callback serves at {served}; the provider is {provider}.
Callbacks come back to {address}/api/callback. Try next, {where}:

  1. log in: open in a browser the authorization_url that this answers
     curl -sS -X POST -H "x-api-key: {key}" {served}/api/login

  2. get a token
     curl -sS -H "x-api-key: {key}" {served}/api/token

  3. verify how the tokens stand
     curl -sS -H "x-api-key: {key}" {served}/api/verify
"""


if __name__ == "__main__":
    sys.exit(main())
