"""Logins whose callback is cut off, or cannot exchange its code."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from adapters.clock_system import SystemClock
from adapters.entropy_system import SystemEntropy
from domain.authorization import AuthorizationResponse
from domain.grant import Authorized, Unauthorized
from domain.provider import Provider
from domain.providers.digikey import PROVIDER as DIGIKEY
from domain.token_endpoint import Outcome
from functions.application import Application
from functions.asgi import ROUTES
from functions.http.problems import ProblemError
from functions.login.links import LoginLinks
from functions.login.logins import Logins
from functions.settings.settings import Settings
from functions.wiring import Wiring
from ports.authorization_server import AuthorizationServer
from tests.domain.examples import RESPONSE
from tests.functions.conftest import environ_for
from tests.functions.deployment import query_of
from tests.functions.keeper_rig import KeeperRig, some_keys
from tests.functions.token_endpoint import TokenEndpoint
from tests.system.simulated_digikey import SimulatedDigiKeyPeer

pytestmark = pytest.mark.anyio


async def digikey() -> Provider:
    return DIGIKEY


def logins_on(rig: KeeperRig, server: Callable[[], AuthorizationServer] | None = None) -> Logins:
    clock, entropy, keeper = SystemClock(), SystemEntropy(), rig.instance()
    url = "https://keeper.test"
    links = LoginLinks(
        keys=some_keys, public_url=url, store=rig.store, clock=clock, entropy=entropy
    )
    return Logins(
        keeper=keeper,
        recorder=rig.recorder_of(keeper),
        store=rig.store,
        server=server or (lambda: rig.server),
        clock=clock,
        entropy=entropy,
        provider=digikey,
        client_id="a-client",
        redirect_uri=f"{url}/api/callback",
        static_state=None,
        owns=lambda _: True,
        links=links,
        state_keys=some_keys,
    )


async def response_to(logins: Logins) -> AuthorizationResponse:
    begun = await logins.begin("c")
    state = query_of(begun.authorization_url)["state"]
    return AuthorizationResponse(state=state, code="a-code", issuer=None)


async def test_login_whose_callback_is_cut_off_goes_to_its_end() -> None:
    is_asked, may_answer = asyncio.Event(), asyncio.Event()

    async def reply() -> Outcome:
        is_asked.set()
        await may_answer.wait()
        return RESPONSE

    rig = KeeperRig(reply)
    logins = logins_on(rig)
    callback = asyncio.create_task(logins.complete(await response_to(logins)))
    await is_asked.wait()
    callback.cancel()
    await asyncio.wait({callback})
    assert callback.cancelled()
    may_answer.set()
    await logins.finish()
    grant = await rig.grant()
    assert isinstance(grant, Authorized)
    assert grant.tokens.access_token == RESPONSE.access_token


@pytest.mark.parametrize("steps", range(8))
async def test_callback_cut_off_at_any_moment_costs_no_login(steps: int) -> None:
    rig = KeeperRig()
    logins = logins_on(rig)
    response = await response_to(logins)
    callback = asyncio.create_task(logins.complete(response))
    for _ in range(steps):
        await asyncio.sleep(0)
    callback.cancel()
    await asyncio.wait({callback})
    await logins.finish()
    # Either the state is still good, or the login went to its end.
    with suppress(ProblemError):
        await logins.complete(response)
    assert isinstance(await rig.grant(), Authorized)
    assert len(rig.server.requests) == 1


async def test_provider_client_is_created_before_the_state_is_used_up() -> None:
    def broken() -> AuthorizationServer:
        raise FileNotFoundError("no certificate authorities")

    rig = KeeperRig()
    logins = logins_on(rig, broken)
    response = await response_to(logins)
    with pytest.raises(FileNotFoundError):
        await logins.complete(response)
    assert isinstance(await rig.grant(), Unauthorized)
    # The same redirect, once that is mended.
    completed = await logins_on(rig).complete(response)
    assert completed.is_new


async def test_application_that_is_cut_off_waits_for_the_login_it_has_begun(
    endpoint: TokenEndpoint, running_digikey: SimulatedDigiKeyPeer, tmp_path: Path
) -> None:
    environ = environ_for(running_digikey, tmp_path) | endpoint.environ
    application = Application(ROUTES, lambda: Settings.from_environ(environ))

    wiring = Wiring(Settings.from_environ(environ))
    begun = await wiring.client(None).logins.begin("default")
    query = f"code=a-code&state={query_of(begun.authorization_url)['state']}".encode()
    scope = {"type": "http", "method": "GET", "path": "/api/callback", "headers": []}
    with endpoint.held() as may_answer:
        task = asyncio.create_task(
            application({**scope, "query_string": query}, nothing_comes, nobody_listens)
        )
        while not endpoint.seen:  # noqa: ASYNC110 - the endpoint is of another thread
            await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.sleep(0)
        may_answer.set()
        await asyncio.wait({task})
    assert task.cancelled()
    assert isinstance((await wiring.client(None).keeper.load("default")).grant, Authorized)
    await wiring.store.close()


async def nothing_comes() -> dict[str, object]:
    return {"type": "http.request"}


async def nobody_listens(_message: object) -> None:
    raise AssertionError("the caller has gone")
