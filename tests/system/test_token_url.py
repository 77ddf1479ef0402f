"""Programs with a token URL, unmodified, until the third token: docs/token-url.md."""

import importlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from anyio.from_thread import start_blocking_portal

from tests.docs.pages import block, blocks, page
from tests.docs.test_commands import log_in
from tests.needs import cannot_run
from tests.system.local_server import LocalServer, local_server
from tests.system.loopback import http
from tests.system.waiting import wait_until

PAGE = page("token-url.md")
LIBRARIES = ("authlib", "google.auth", "httpx2", "requests", "requests_oauthlib")
PROGRAMS: Mapping[str, str] = {
    "Authlib, requests": block("python", PAGE, having="requests_client"),
    "Authlib, httpx2": block("python", PAGE, having="httpx_client"),
    "requests-oauthlib": block("python", PAGE, having="requests_oauthlib"),
    "google-auth": block("python", PAGE, having="google.auth"),
}
ASYNC = "AsyncOAuth2Client"
# Half of it suffices for a call on a busy machine.
LIFETIME = timedelta(seconds=6)
TOKENS = 3
# oauthlib rounds the end of a token to a whole second.
MARGIN = timedelta(seconds=1)
HEADERS = {"x-digikey-client-id": "simulated-client"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    """A new server: nobody has logged in."""
    with local_server(tmp_path_factory.mktemp("token-url")) as running:
        yield running


@pytest.fixture(scope="module")
def logged_in(server: LocalServer) -> LocalServer:
    """The server after a login, with short-lived tokens."""
    change = {"lifetimes": {"access_token": LIFETIME.total_seconds()}}
    http.post(f"{server.address}/simulated-digikey/_control", json=change).raise_for_status()
    log_in(server)
    return server


@pytest.fixture(autouse=True)
def environ(server: LocalServer, monkeypatch: pytest.MonkeyPatch) -> Mapping[str, str]:
    """Set the variables that the page names."""
    variables = {
        "API_KEY": server.api_key,
        "PUBLIC_URL": server.address,
        "OAUTHLIB_INSECURE_TRANSPORT": "1",
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return variables


@pytest.fixture
def libraries() -> None:
    """Require the libraries of the page."""
    for name in LIBRARIES:
        try:
            importlib.import_module(name)
        except ImportError:
            cannot_run(f"{name} is missing: pip install -r infra/locks/dev.txt")


def run(program: str, names: dict[str, Any]) -> Any:
    """Run a program of the page, and return its `api`, which is in `names` also if it fails."""
    exec(program, names)  # noqa: S102 - a program of our own page
    return names["api"]


def api_of(server: LocalServer) -> str:
    return f"{server.address}/simulated-digikey/products/v4/search/example"


@pytest.mark.usefixtures("libraries")
@pytest.mark.parametrize("name", PROGRAMS)
def test_program_shows_the_login_link_while_a_login_is_required(
    server: LocalServer, name: str
) -> None:
    names: dict[str, Any] = {}
    with pytest.raises(Exception, match="To log in, open ") as failed:
        run(PROGRAMS[name], names).get(api_of(server), headers=HEADERS)
    names["api"].close()
    _, _, rest = str(failed.value).partition("To log in, open ")
    link, *_ = rest.split("'")
    assert "<button" in http.get(link.rstrip(")"), headers={"accept": "text/html"}).text


def test_the_command_gets_what_the_page_shows(
    logged_in: LocalServer, environ: Mapping[str, str]
) -> None:
    (command,), (example,) = blocks("sh", PAGE), blocks("json", PAGE)
    members = json.loads(logged_in.shell(command, environ))
    assert members.keys() == json.loads(example).keys()
    assert logged_in.token_works(members["access_token"])


@pytest.mark.usefixtures("libraries")
def test_no_call_of_any_program_is_refused_until_the_third_token(
    logged_in: LocalServer,
) -> None:
    statuses: list[tuple[str, int]] = []
    tokens = set()
    programs = {name: run(program, {}) for name, program in PROGRAMS.items()}
    for name, api in programs.items():
        record(api, name, statuses)
    with start_blocking_portal() as portal:
        awaited = asynchronous(PROGRAMS["Authlib, httpx2"])
        record_async(awaited, statuses)
        portal.call(awaited.fetch_token)
        for number in range(TOKENS):
            if number > 0:
                let_expire(logged_in)
            for api in programs.values():
                api.get(api_of(logged_in), headers=HEADERS)
            portal.call(partial(awaited.get, api_of(logged_in), headers=HEADERS))
            tokens.add(shown_token(logged_in)["access_token"])
        portal.call(awaited.aclose)
    for api in programs.values():
        api.close()
    # Nothing was repeated after a refusal.
    assert Counter(statuses) == dict.fromkeys([(name, 200) for name in (*PROGRAMS, ASYNC)], TOKENS)
    assert len(tokens) == TOKENS


def record(api: Any, name: str, statuses: list[tuple[str, int]]) -> None:
    """Add the status of each call of an API."""

    def add(response: Any, **_options: object) -> None:
        if response.request.method == "GET":
            statuses.append((name, response.status_code))

    hooks = api.hooks if hasattr(api, "hooks") else api.event_hooks
    hooks["response"] = [add]
    if not hasattr(api, "hooks"):
        # httpx2 has a copy.
        api.event_hooks = hooks


def record_async(api: Any, statuses: list[tuple[str, int]]) -> None:
    """Add the status of each call of an API."""

    async def add(response: Any) -> None:
        if response.request.method == "GET":
            statuses.append((ASYNC, response.status_code))

    api.event_hooks = {"response": [add]}


def asynchronous(program: str) -> Any:
    """Run a program with the asynchronous client, before its first request."""
    before, _, _ = program.replace("OAuth2Client", ASYNC).partition("api.fetch_token")
    return run(before, {})


def let_expire(server: LocalServer) -> None:
    """Wait until the current token has expired, for the provider and for all programs."""
    over = datetime.fromisoformat(shown_token(server)["expires_at"]) + MARGIN
    wait_until(lambda: datetime.now(UTC) > over, every=0.1)


def shown_token(server: LocalServer) -> dict[str, str]:
    """Return the current token, even if it expires soon."""
    answer = http.get(
        f"{server.address}/api/token?min_ttl=0", headers={"x-api-key": server.api_key}
    )
    members: dict[str, str] = answer.raise_for_status().json()
    return members
