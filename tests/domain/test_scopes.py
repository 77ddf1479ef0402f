"""Missing scopes: what was asked for, less what was granted in any spelling."""

from dataclasses import replace

import pytest

from domain.providers.custom import PROVIDER as CUSTOM
from domain.scopes import asked_scope, missing_scopes
from tests.domain.examples import TOKENS


@pytest.mark.parametrize(
    ("asked", "granted", "missing"),
    [
        pytest.param("read write", "read write", [], id="all"),
        pytest.param("read write", "write", ["read"], id="one-is-missing"),
        pytest.param("c a b a", "b", ["c", "a"], id="in-the-order-of-the-request"),
        pytest.param("read", None, [], id="no-answer-means-all"),
        pytest.param("read", "read write admin", [], id="more-than-asked"),
        pytest.param("repo gist", "gist,repo", [], id="commas"),
        pytest.param("repo,user", "repo", ["user"], id="asked-with-commas"),
        pytest.param("repo gist", ", gist ,", ["repo"], id="separators-only-separate"),
        pytest.param("User.Read", "user.read", [], id="another-case"),
        pytest.param("read", "readonly", ["read"], id="part-of-another"),
        pytest.param("Mail.Read", "https://graph.microsoft.com/Mail.Read", [], id="long-name"),
        pytest.param("https://a.example/x", "x", ["https://a.example/x"], id="asked-by-long-name"),
        pytest.param("read", "files/read", ["read"], id="no-url"),
        pytest.param(
            "openid email profile",
            "openid https://www.googleapis.com/auth/userinfo.email",
            ["profile"],
            id="google",
        ),
        pytest.param("read offline_access", "read", [], id="a-refresh-token-proves-its-scope"),
    ],
)
def test_missing_scopes(asked: str, granted: str | None, missing: list[str]) -> None:
    assert missing_scopes(asked, replace(TOKENS, scope=granted)) == missing


def test_without_a_refresh_token_its_scope_is_missing() -> None:
    tokens = replace(TOKENS, scope="read", refresh_token=None)
    assert missing_scopes("read offline_access", tokens) == ["offline_access"]


@pytest.mark.parametrize(
    ("scope", "parameters", "asked"),
    [
        pytest.param("read", (), "read", id="scope"),
        pytest.param(None, (("scope", "write"),), "write", id="parameter"),
        pytest.param(None, (("prompt", "consent"),), None, id="none"),
    ],
)
def test_the_scope_that_is_asked_for(
    scope: str | None, parameters: tuple[tuple[str, str], ...], asked: str | None
) -> None:
    assert asked_scope(replace(CUSTOM, scope=scope, authorization_params=parameters)) == asked
