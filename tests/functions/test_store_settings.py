"""Which store a deployment has: one, and one only."""

import pytest

from functions.settings import Settings, SettingsError, SqliteSettings, UpstashSettings

REQUIRED = {"CLIENT_ID": "client", "CLIENT_SECRET": "secret", "API_KEY": "key"}
KV = {"KV_REST_API_URL": "https://kv.example", "KV_REST_API_TOKEN": "kv-token"}
UPSTASH = {
    "UPSTASH_REDIS_REST_URL": "https://kv.example",
    "UPSTASH_REDIS_REST_TOKEN": "kv-token",
}


def settings(**environ: str) -> Settings:
    return Settings.from_environ({**REQUIRED, **environ})


def test_a_file_is_a_store() -> None:
    store = settings(SQLITE_PATH="grants.sqlite").store
    assert isinstance(store, SqliteSettings)
    assert store.path.name == "grants.sqlite"


@pytest.mark.parametrize("pair", [KV, UPSTASH, KV | UPSTASH])
def test_either_pair_of_names_is_the_same_database(pair: dict[str, str]) -> None:
    database = UpstashSettings(url="https://kv.example", token="kv-token")
    assert settings(**pair).store == database
    assert "kv-token" not in repr(database)


@pytest.mark.parametrize(
    ("environ", "named"),
    [
        ({}, ["SQLITE_PATH", "KV_REST_API_URL"]),
        ({"SQLITE_PATH": "x"} | KV, ["several", "SQLITE_PATH", "KV_REST_API_URL"]),
        (
            KV | UPSTASH | {"UPSTASH_REDIS_REST_TOKEN": "another"},
            ["several", "KV_REST_API_URL", "UPSTASH_REDIS_REST_URL"],
        ),
        ({"KV_REST_API_URL": "https://kv.example"}, ["KV_REST_API_TOKEN", "go together"]),
        ({"UPSTASH_REDIS_REST_TOKEN": "t"}, ["UPSTASH_REDIS_REST_URL", "go together"]),
        (KV | {"KV_REST_API_URL": "http://kv.example"}, ["KV_REST_API_URL", "https"]),
    ],
)
def test_no_store_half_a_store_or_several_are_refused_by_their_names(
    environ: dict[str, str], named: list[str]
) -> None:
    with pytest.raises(SettingsError) as caught:
        settings(**environ)
    assert [name for name in named if name not in str(caught.value)] == []
    assert "kv-token" not in str(caught.value)


@pytest.mark.parametrize("token", ["kv-\ntoken", "kv token", "kv-\u2026"])
def test_a_token_that_fits_in_no_header_is_refused_and_not_repeated(token: str) -> None:
    # Whatever sent it would quote it in its error.
    with pytest.raises(SettingsError, match="KV_REST_API_TOKEN must be printable ASCII") as caught:
        settings(**KV | {"KV_REST_API_TOKEN": token})
    assert "kv" not in str(caught.value)
