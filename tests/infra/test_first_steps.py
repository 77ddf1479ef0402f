"""The page and the greeting of the first steps."""

import asyncio
import re
from html import unescape
from pathlib import Path

import httpx
import pytest

from functions.application import Application
from functions.asgi import ALL_ROUTES
from functions.settings.settings import Settings
from infra.local.environment import LocalEnvironment
from infra.local.first_steps import FirstSteps, provider_name
from infra.local.run import LocalApplication

CLIENT = {"CLIENT_ID": "client", "CLIENT_SECRET": "not-a-real-secret"}
ISSUER = {"PROVIDER": "custom", "ISSUER": "https://accounts.google.com"}
ENDPOINTS = {
    "PROVIDER": "custom",
    "AUTHORIZATION_ENDPOINT": "https://github.com/login/oauth/authorize",
    "TOKEN_ENDPOINT": "https://github.com/login/oauth/access_token",
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def started(given: dict[str, str]) -> tuple[FirstSteps, Settings]:
    local = LocalEnvironment.complete({"PORT": "8123", **given})
    settings = Settings.from_environ(local.variables)
    return FirstSteps.of(local, settings), settings


def get(
    given: dict[str, str], path: str, *, method: str = "GET", host: str, cookie: str = ""
) -> httpx.Response:
    steps, settings = started(given)
    application = LocalApplication(Application(ALL_ROUTES, lambda: settings), steps, None)

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(application)
        async with httpx.AsyncClient(transport=transport, base_url=f"http://{host}") as client:
            return await client.request(method, path, headers={"cookie": cookie})

    return asyncio.run(ask())


@pytest.mark.parametrize("given", [{}, CLIENT, {"API_KEY": "5f1d9c3b7a2e4860b9d7c1f3"}])
def test_the_page_has_the_commands_of_the_greeting_and_no_secret(given: dict[str, str]) -> None:
    steps, settings = started(given)
    greeting, page = steps.text(), unescape(steps.page().body.decode())
    commands = re.findall("curl .*", greeting)
    key = "$API_KEY" if "API_KEY" in given else "$(cat .local/api-key)"
    assert [command.rsplit("/", 1)[1] for command in commands] == ["login", "token", "verify"]
    assert all(f'-H "x-api-key: {key}" http://localhost:8123/api/' in each for each in commands)
    assert re.findall("<code>(curl .*?)</code>", page) == commands
    files = [path.read_text().strip() for path in Path(".local").iterdir()]
    for secret in [*files, settings.clients.get(None).client_secret, *given.values()]:
        if secret != given.get("CLIENT_ID"):
            assert secret not in greeting + page
    assert ("your own provider" in page) is (steps.simulation is not None)


def test_the_first_path_is_the_page_on_this_machine_only() -> None:
    page = get({}, "/", host="localhost:8123")
    assert (page.status_code, "first steps" in page.text) == (200, True)
    assert get({}, "/", method="HEAD", host="127.0.0.1:8123").content == b""
    assert get({}, "/", method="POST", host="localhost:8123").status_code == 405
    # Behind a proxy, as any other server answers. Some proxies send the name of this machine.
    public = CLIENT | {"PUBLIC_URL": "https://keeper.example"}
    for host, given in [("keeper.example", CLIENT), ("localhost:8123", public)]:
        assert "first steps" not in get(given, "/", host=host).text
    assert "as a page" not in started(public)[0].text()


def test_first_path_is_the_page_of_connections_after_signing_in() -> None:
    steps = get({}, "/", host="localhost:8123").text
    assert '<a class="button main" href="/sign-in">Sign in</a>' in steps
    assert ".local/api-key" in steps
    assert 'type="password"' in get({}, "/sign-in", host="localhost:8123").text
    # A cookie, even an invalid one: the page says what to do, and deletes it.
    page = get({}, "/", host="localhost:8123", cookie="session=dead")
    assert "Your session has ended" in page.text
    assert page.headers["set-cookie"].startswith("session=; Path=/; Max-Age=0;")


@pytest.mark.parametrize(
    ("given", "name"),
    [
        pytest.param({}, "api.digikey.com (PROVIDER=digikey)", id="preset"),
        pytest.param(ISSUER, "https://accounts.google.com", id="issuer"),
        pytest.param(ENDPOINTS, "github.com (PROVIDER=custom)", id="endpoints"),
    ],
)
def test_the_greeting_names_the_provider(given: dict[str, str], name: str) -> None:
    steps, settings = started(CLIENT | given)
    assert provider_name(settings.clients.get(None)) == name
    assert f"provider: {name}\n" in steps.text()
