"""Where the address and the key come from, and what is wrong with them."""

import json
import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from oauth_callback import NotConfigured, Settings, TokenSource, load_settings

KEY = "not-a-real-key-of-anything"
URL = "https://keeper.example"


def test_arguments_win_over_the_environment() -> None:
    environ = {"OAUTH_CALLBACK_URL": "https://other.example", "OAUTH_CALLBACK_KEY": "other"}
    settings = load_settings(url=f"{URL}/", key=KEY, environ=environ)
    assert (settings.url, settings.key()) == (URL, KEY)


def test_the_environment_has_the_key_or_its_file(tmp_path: Path) -> None:
    by_value = {"OAUTH_CALLBACK_URL": URL, "OAUTH_CALLBACK_KEY": KEY}
    assert load_settings(environ=by_value).key() == KEY
    file = tmp_path / "key"
    file.write_text(f"{KEY}\n")
    by_file = {"OAUTH_CALLBACK_URL": URL, "OAUTH_CALLBACK_KEY_FILE": str(file)}
    settings = load_settings(environ=by_file)
    assert settings.key() == KEY
    file.write_text("a-rotated-key")
    assert settings.key() == "a-rotated-key"


@pytest.mark.parametrize(
    ("url", "allow_http"),
    [
        pytest.param("http://127.0.0.1:8000", None, id="IPv4 loopback"),
        pytest.param("http://[::1]:8000", None, id="IPv6 loopback"),
        pytest.param("http://localhost:8000", None, id="localhost"),
        pytest.param("http://keeper:8000", True, id="allowed"),
        pytest.param("https://host.example/keeper", None, id="a path"),
    ],
)
def test_a_url_that_is_safe_for_the_key(url: str, *, allow_http: bool | None) -> None:
    assert load_settings(url=url, key=KEY, allow_http=allow_http, environ={}).url == url


def test_the_environment_may_allow_http() -> None:
    environ = {
        "OAUTH_CALLBACK_URL": "http://keeper:8000",
        "OAUTH_CALLBACK_KEY": KEY,
        "OAUTH_CALLBACK_ALLOW_HTTP": "1",
    }
    assert load_settings(environ=environ).allow_http


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        pytest.param({}, "OAUTH_CALLBACK_URL and OAUTH_CALLBACK_KEY are not set", id="nothing"),
        pytest.param({"OAUTH_CALLBACK_URL": URL}, "OAUTH_CALLBACK_KEY_FILE", id="no key"),
        pytest.param({"OAUTH_CALLBACK_KEY": KEY}, "OAUTH_CALLBACK_URL is not set", id="no URL"),
        pytest.param(
            {
                "OAUTH_CALLBACK_URL": URL,
                "OAUTH_CALLBACK_KEY": KEY,
                "OAUTH_CALLBACK_KEY_FILE": "/x",
            },
            "one of the two",
            id="key and file",
        ),
        pytest.param(
            {"OAUTH_CALLBACK_URL": URL, "OAUTH_CALLBACK_KEY": KEY, "OAUTH_CALLBACK_PROFILE": "x"},
            "OAUTH_CALLBACK_PROFILE, not both",
            id="URL and profile",
        ),
        pytest.param(
            {
                "OAUTH_CALLBACK_URL": "http://10.0.0.1",
                "OAUTH_CALLBACK_KEY": KEY,
                "OAUTH_CALLBACK_ALLOW_HTTP": "yes",
            },
            "OAUTH_CALLBACK_ALLOW_HTTP is neither 1 nor 0",
            id="allow",
        ),
    ],
)
def test_an_incomplete_environment(
    environ: Mapping[str, str], message: str, tmp_path: Path
) -> None:
    with pytest.raises(NotConfigured, match=message):
        load_settings(environ={"XDG_CONFIG_HOME": str(tmp_path), **environ})


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http://10.0.0.1", "unencrypted to 10.0.0.1"),
        ("http://127.example", "unencrypted"),
        ("http://127.0.0.1.evil.example", "unencrypted"),
        ("ftp://keeper.example", "begin with https"),
        ("keeper.example", "malformed"),
        ("https://", "malformed"),
        ("https://keeper.example:port", "malformed"),
        ("https://[::1", "malformed"),
        ("https://keeper.example\n", "malformed"),
        ("https://keeper example", "malformed"),
        ("https://user:secret@keeper.example", "a user, a query or a fragment"),
        ("https://keeper.example?key=secret", "a user, a query or a fragment"),
        ("https://keeper.example#secret", "a user, a query or a fragment"),
    ],
)
def test_a_wrong_url(url: str, message: str) -> None:
    with pytest.raises(NotConfigured, match=message) as raised:
        Settings(url, KEY)
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize(
    ("key", "message"),
    [
        pytest.param(" \n", "is empty", id="empty"),
        pytest.param("two keys", "characters that no API key has", id="a space"),
        pytest.param("k\r\nx-other: 1", "characters that no API key has", id="a line"),
        pytest.param("ключ", "characters that no API key has", id="letters"),
    ],
)
def test_a_wrong_key(key: str, message: str) -> None:
    with pytest.raises(NotConfigured, match=message) as raised:
        Settings(URL, key)
    assert key.strip() == "" or key not in str(raised.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(None, "No such file", id="missing"),
        pytest.param(b"", "is empty", id="empty"),
        pytest.param(b"\xff\xfe", "not a text", id="not a text"),
    ],
)
def test_a_wrong_key_file(content: bytes | None, message: str, tmp_path: Path) -> None:
    file = tmp_path / "key"
    if content is not None:
        file.write_bytes(content)
    settings = Settings(URL, key_file=str(file))
    with pytest.raises(NotConfigured, match=message) as raised:
        settings.key()
    assert str(file) in str(raised.value)


# Profiles


def _write(folder: Path, profiles: object, mode: int = 0o600) -> dict[str, str]:
    file = folder / "oauth-callback" / "profiles.json"
    file.parent.mkdir(exist_ok=True)
    file.write_text(profiles if isinstance(profiles, str) else json.dumps(profiles))
    file.chmod(mode)
    return {"XDG_CONFIG_HOME": str(folder)}


PROFILES = {
    "default": {"url": URL, "key": KEY},
    "work": {"url": "http://work:8000", "key": "work-key", "allow_http": True},
}


def test_a_profile_is_used_without_variables(tmp_path: Path) -> None:
    environ = _write(tmp_path, PROFILES)
    assert load_settings(environ=environ).key() == KEY
    assert load_settings(profile="work", environ=environ).key() == "work-key"
    by_name = load_settings(environ={**environ, "OAUTH_CALLBACK_PROFILE": "work"})
    assert by_name.url == "http://work:8000"


def test_the_profiles_are_in_the_home_folder(tmp_path: Path) -> None:
    (tmp_path / ".config").mkdir()
    _write(tmp_path / ".config", PROFILES)
    environ = {"HOME": str(tmp_path), "XDG_CONFIG_HOME": "relative"}
    assert load_settings(environ=environ).url == URL


def test_the_key_of_a_profile_is_not_sent_to_another_address(tmp_path: Path) -> None:
    environ = {**_write(tmp_path, PROFILES), "OAUTH_CALLBACK_URL": "https://other.example"}
    with pytest.raises(NotConfigured, match="OAUTH_CALLBACK_KEY"):
        load_settings(environ=environ)
    with pytest.raises(NotConfigured, match="not both"):
        load_settings(url="https://other.example", profile="default", environ=environ)


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o620])
def test_a_profile_file_that_others_can_read(mode: int, tmp_path: Path) -> None:
    environ = _write(tmp_path, PROFILES, mode)
    with pytest.raises(NotConfigured, match="chmod 600"):
        load_settings(environ=environ)


@pytest.mark.parametrize(
    ("profiles", "message"),
    [
        pytest.param("{", "is not a JSON object", id="not JSON"),
        pytest.param("[" * 100_000, "is not a JSON object", id="deep"),
        pytest.param([PROFILES], "is not a JSON object", id="a list"),
        pytest.param({"work": {}}, "no profile 'default'. It has: work", id="another name"),
        pytest.param({"default": 1}, "'default' .* is not a JSON object", id="a number"),
        pytest.param({"default": {"url": URL}}, "one of `key` and `key_file`", id="no key"),
        pytest.param(
            {"default": {"url": URL, "key": KEY, "key_file": "x"}}, "one of", id="two keys"
        ),
        pytest.param({"default": {"url": 1, "key": KEY}}, "'url' is not a text", id="URL"),
        pytest.param(
            {"default": {"url": URL, "key": KEY, "allow_http": "yes"}}, "`allow_http`", id="allow"
        ),
        pytest.param(
            {"default": {"url": URL, "kee": KEY}}, "unknown member 'kee'. Allowed", id="misspelt"
        ),
    ],
)
def test_a_malformed_profile_file(profiles: object, message: str, tmp_path: Path) -> None:
    with pytest.raises(NotConfigured, match=message) as raised:
        load_settings(environ=_write(tmp_path, profiles))
    assert KEY not in str(raised.value)
    assert raised.value.__context__ is None


def test_a_profile_file_that_is_a_folder(tmp_path: Path) -> None:
    (tmp_path / "oauth-callback" / "profiles.json").mkdir(parents=True)
    with pytest.raises(NotConfigured, match="Is a directory"):
        load_settings(environ={"XDG_CONFIG_HOME": str(tmp_path)})


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can chown")
def test_a_profile_file_of_another_user(tmp_path: Path) -> None:
    environ = _write(tmp_path, PROFILES)
    os.chown(tmp_path / "oauth-callback" / "profiles.json", 65534, -1)
    with pytest.raises(NotConfigured, match="belongs to another user"):
        load_settings(environ=environ)


def test_no_repr_has_the_key() -> None:
    source = TokenSource(URL, KEY, "crm")
    for shown in (source, source.keeper.settings, load_settings(url=URL, key=KEY, environ={})):
        assert KEY not in repr(shown)
        assert URL in repr(shown)
