"""docs/clients.md: its example can be used, and its names are those of the code."""

import json

import pytest

from domain.connection import is_connection
from functions.settings.api_keys import read_api_keys
from functions.settings.environment import EnvReader
from functions.settings.settings import Settings
from tests.docs.pages import blocks, page

PAGE = page("clients.md")
ENVIRON = {
    "API_KEY": "the-api-key-of-this-test",
    "SQLITE_PATH": "x",
    "ENCRYPTION_KEYS": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
    "PUBLIC_URL": "https://keeper.example",
    "GOOGLE_SECRET": "a-secret",
}


def example() -> Settings:
    (clients,) = blocks("json", PAGE)
    return Settings.from_environ({**ENVIRON, "CLIENTS": clients.replace("…", "text")})


def test_the_example_can_be_used() -> None:
    clients = example().clients
    assert clients.names == ("digikey", "google", "books", "erp")
    google = clients.get("google")
    assert google.client_secret == "a-secret"
    assert google.provider.name == "google"
    assert clients.get("books").provider.name == "quickbooks"
    assert clients.get("erp").provider.token_params == (("audience", "https://erp.example"),)
    assert not list(clients.faults())


def test_the_redirect_uri_is_the_one_on_the_page() -> None:
    settings = example()
    uri = settings.redirect_uri(settings.clients.get("google"))
    assert uri == "https://keeper.example/api/callback/google"
    assert "`PUBLIC_URL` + `/api/callback/google`" in PAGE


@pytest.mark.parametrize("name", ["google", "google:alice"])
def test_the_connections_on_the_page_belong_to_the_client(name: str) -> None:
    assert f"`{name}`" in PAGE
    assert is_connection(name)
    assert example().clients.name_for(name) == "google"


def test_the_scope_of_a_key_on_the_page_is_for_the_accounts_only() -> None:
    assert "list `google:*`" in PAGE
    entry = {"name": "ci", "sha256": "0" * 64, "connections": ["google:*"]}
    (key,) = read_api_keys(EnvReader({"API_KEYS": json.dumps([entry])}))
    assert [key.is_for(name) for name in ("google:alice", "google")] == [True, False]
