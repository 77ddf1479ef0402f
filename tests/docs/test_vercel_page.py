"""docs/vercel.md: its steps lead to a token, with the deployed functions."""

import json
import os
import re
import subprocess
from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import pytest

from functions.settings.settings import Settings
from functions.settings.store import UpstashSettings
from tests.docs.pages import DOCUMENTS, blocks, page
from tests.system.loopback import free_port, http
from tests.system.redis_peer import redis_server
from tests.system.simulated_digikey import press, simulated_digikey
from tests.system.upstash_front import upstash_front
from tests.system.vercel_deployment import vercel_deployment
from tests.system.vercel_door import vercel_door

PAGE = page("vercel.md")
BUTTON = re.search(r"^\[deploy\]: (.*)$", PAGE, re.MULTILINE)


@pytest.fixture(scope="module")
def environ() -> Iterator[dict[str, str]]:
    """Deploy with the variables of the button, and those that Vercel and Upstash add."""
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    with (
        redis_server() as redis,
        upstash_front(redis) as front,
        simulated_digikey(redirect_uri=f"{address}/api/callback") as digikey,
    ):
        asked_for = {
            "CLIENT_ID": digikey.client_id,
            "CLIENT_SECRET": digikey.client_secret,
            "API_KEY": secret(),
            "CRON_SECRET": secret(),
        }
        assert list(asked_for) == parameters()["env"].split(",")
        brought = {"KV_REST_API_URL": front.url, "KV_REST_API_TOKEN": front.token}
        # The test has neither Digi-Key nor https.
        local = {
            "PUBLIC_URL": address,
            "AUTHORIZATION_ENDPOINT": digikey.authorization_endpoint,
            "TOKEN_ENDPOINT": digikey.token_endpoint,
        }
        with vercel_deployment({**asked_for, **brought, **local}) as deployment:
            with vercel_door(deployment.transport, port):
                yield {**asked_for, **local}
            deployment.stop()


def test_the_steps_lead_to_a_token(environ: dict[str, str]) -> None:
    log_in, check = blocks("sh", PAGE)
    authorization_url = json.loads(shell(log_in, environ))["authorization_url"]
    page = http.get(press(authorization_url, "allow"), headers={"accept": "text/html"})
    assert "Logged in" in page.text
    verified, token = map(json.loads, shell(check, environ).replace("}{", "}\n{").splitlines())
    assert verified["state"] == "fresh"
    assert token["access_token"]


def test_the_cron_is_let_in(environ: dict[str, str]) -> None:
    answer = http.get(
        f"{environ['PUBLIC_URL']}/api/sweep",
        headers={"authorization": f"Bearer {environ['CRON_SECRET']}", "user-agent": "vercel-cron"},
    )
    assert answer.json() == {
        "refreshed": 0,
        "skipped": 0,
        "failed": 0,
        "left": 0,
        "is_complete": True,
    }


def test_the_button_asks_for_what_is_needed_and_for_a_store() -> None:
    environ = {name: secret() for name in parameters()["env"].split(",")}
    # The Upstash integration adds these.
    environ |= {"KV_REST_API_URL": "https://eu1.upstash.io", "KV_REST_API_TOKEN": "made-up"}
    environ |= {"VERCEL_PROJECT_PRODUCTION_URL": "name.vercel.app"}
    settings = Settings.from_environ(environ)
    assert isinstance(settings.store, UpstashSettings)
    assert (
        settings.redirect_uri(settings.clients.get(None)) == "https://name.vercel.app/api/callback"
    )
    (store,) = json.loads(parameters()["stores"])
    assert (store["integrationSlug"], store["productSlug"]) == ("upstash", "upstash-kv")


def test_the_address_of_the_repository_is_a_placeholder_in_one_place() -> None:
    assert sum(document.read_text().count("YOUR-ACCOUNT") for document in DOCUMENTS) == 1
    assert urlsplit(parameters()["repository-url"]).path == "/YOUR-ACCOUNT/oauth-callback"


def parameters() -> dict[str, str]:
    assert BUTTON is not None
    parts = urlsplit(BUTTON.group(1))
    assert (parts.netloc, parts.path) == ("vercel.com", "/new/clone")
    return {name: value for name, (value,) in parse_qs(parts.query, strict_parsing=True).items()}


def secret() -> str:
    (command,) = set(re.findall(r"`(openssl [^`]+)`", PAGE))
    assert command in parameters()["envDescription"]
    return shell(command, {}).strip()


def shell(commands: str, environ: dict[str, str]) -> str:
    # A failed command ends the script.
    script = f"set -eu\n{commands}"
    environ = {"PATH": os.environ["PATH"], "NO_PROXY": "127.0.0.1", **environ}
    return subprocess.check_output(["bash", "-c", script], env=environ, text=True)
