"""One provider and one deployment of each kind for all tests; more deployments where asked for."""

import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from itertools import count
from pathlib import Path

import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal

from tests.functions.deployment import (
    API_KEY,
    CRON_SECRET,
    PUBLIC_URL,
    REDIRECT_URI,
    Deployment,
    deployed,
)
from tests.functions.hosts import HOSTS, Host
from tests.functions.stores import StorePeer
from tests.functions.token_endpoint import TokenEndpoint, token_endpoint
from tests.system.simulated_digikey import SimulatedDigiKeyPeer, simulated_digikey

Deploy = Callable[..., Deployment]
"""Start a deployment with these variables beside the usual ones; None takes a variable away."""

_connections = count()


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """The event loop of tests that are coroutines."""
    return "asyncio"


@pytest.fixture(scope="session")
def portal() -> Iterator[BlockingPortal]:
    """An event loop that outlives the tests, for the hosts and their clients."""
    with start_blocking_portal("asyncio") as portal:
        yield portal


@pytest.fixture(scope="session")
def running_digikey() -> Iterator[SimulatedDigiKeyPeer]:
    """A simulated Digi-Key, for whoever leaves its settings alone."""
    secret = "a%secret+with:special/characters"
    with simulated_digikey(redirect_uri=REDIRECT_URI, client_secret=secret) as peer:
        yield peer


@pytest.fixture
def digikey(running_digikey: SimulatedDigiKeyPeer) -> Iterator[SimulatedDigiKeyPeer]:
    """The simulated Digi-Key, for tests that plan faults; none is left over."""
    yield running_digikey
    running_digikey.clear_faults()


@pytest.fixture(scope="session", params=["in-process"])
def host(request: pytest.FixtureRequest) -> Host:
    """The host of a test: this process, unless the test is marked with others."""
    return HOSTS[request.param]


def environ_for(provider: SimulatedDigiKeyPeer, store: Path | Mapping[str, str]) -> dict[str, str]:
    """All that a deployment with the simulated Digi-Key has to be told.

    The store is a folder for a file, or the variables that name another.
    """
    kept = {"SQLITE_PATH": str(store / "grants.sqlite")} if isinstance(store, Path) else store
    return {
        "CLIENT_ID": provider.client_id,
        "CLIENT_SECRET": provider.client_secret,
        "API_KEY": API_KEY,
        "CRON_SECRET": CRON_SECRET,
        # Tests fail more often than any caller should, from one address and with one key.
        "FAILURE_LIMIT": "0",
        "PROVIDER": "digikey",
        "AUTHORIZATION_ENDPOINT": provider.authorization_endpoint,
        "TOKEN_ENDPOINT": provider.token_endpoint,
        "PUBLIC_URL": PUBLIC_URL,
        **kept,
    }


@pytest.fixture(scope="session")
def deployment(
    host: Host,
    portal: BlockingPortal,
    running_digikey: SimulatedDigiKeyPeer,
) -> Iterator[Deployment]:
    """A deployment with the simulated Digi-Key; tests keep apart by their connections."""
    with host.store() as store:
        environ = environ_for(running_digikey, store.environ)
        with deployed(host, portal, environ, running_digikey) as deployment:
            yield deployment


@pytest.fixture(scope="session")
def running_endpoint() -> Iterator[TokenEndpoint]:
    """A token endpoint, for the deployment that has it as its provider."""
    with token_endpoint() as endpoint:
        yield endpoint


@pytest.fixture
def endpoint(running_endpoint: TokenEndpoint) -> TokenEndpoint:
    """The token endpoint that `scripted` has as its provider, with nothing planned."""
    running_endpoint.forget()
    return running_endpoint


@pytest.fixture(scope="session")
def scripted(
    host: Host,
    portal: BlockingPortal,
    running_digikey: SimulatedDigiKeyPeer,
    running_endpoint: TokenEndpoint,
) -> Iterator[Deployment]:
    """A deployment whose provider's answers are written by the test, in `endpoint`."""
    with host.store() as store:
        environ = environ_for(running_digikey, store.environ) | running_endpoint.environ
        with deployed(host, portal, environ, running_digikey) as deployment:
            yield deployment


@pytest.fixture
def connection() -> str:
    """A connection that no other test has."""
    return f"connection-{next(_connections)}"


@pytest.fixture(scope="session")
def store_of_deploy(host: Host) -> Iterator[StorePeer]:
    """The store of the deployments that tests make."""
    with host.store() as store:
        yield store


@pytest.fixture
def deploy(
    host: Host,
    portal: BlockingPortal,
    running_digikey: SimulatedDigiKeyPeer,
    store_of_deploy: StorePeer,
) -> Iterator[Deploy]:
    """A factory of deployments, which end with the test and share one store, empty at first."""
    store_of_deploy.clear()
    with ExitStack() as stack:

        def start(**changes: str | None) -> Deployment:
            given = {**environ_for(running_digikey, store_of_deploy.environ), **changes}
            environ = {name: value for name, value in given.items() if value is not None}
            return stack.enter_context(deployed(host, portal, environ, running_digikey))

        yield start


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Let children be interrupted also where these tests run in a shell's background.

    SIGINT is ignored there, and children inherit that.
    """
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
