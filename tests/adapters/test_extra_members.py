"""Members of a token response next to the tokens: found, checked, and never at a token's cost."""

import json
import logging
from dataclasses import replace

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.token_response import read_answer
from domain.extra import MAX_BYTES, Extra
from domain.providers.custom import PROVIDER as CUSTOM
from domain.token_endpoint import TokenResponse
from functions.settings.members import MAX_MEMBERS
from tests.strategies import json_values

TOKENS = {
    "access_token": "the-access-token",
    "refresh_token": "the-refresh-token",
    "token_type": "Bearer",
    "expires_in": 1800,
}
NAMES = ("instance_url", "authed_user.id", "x.y", "accounts-server")


def response_to(members: dict[str, object], *names: str) -> TokenResponse:
    provider = replace(CUSTOM, response_members=names)
    body = json.dumps(members).encode()
    outcome = read_answer(httpx.Response(200), body, provider)
    assert isinstance(outcome, TokenResponse)
    return outcome


@pytest.mark.parametrize(
    ("name", "members", "found"),
    [
        pytest.param(
            "instance_url", {"instance_url": "https://a.example"}, "https://a.example", id="text"
        ),
        pytest.param("expires_in", {}, 1800, id="number"),
        pytest.param("is_sandbox", {"is_sandbox": False}, False, id="boolean"),
        pytest.param("realmId", {"realmId": "1", "realm_id": "2"}, "1", id="as-it-is-written"),
        pytest.param("api_domain", {"apiDomain": "a"}, "a", id="camel-case"),
        pytest.param("authed_user.id", {"authed_user": {"id": "U1"}}, "U1", id="path"),
        pytest.param("a.b.c", {"a": {"b": {"c": 1}}}, 1, id="longer-path"),
        pytest.param("a.b.c", {"a": {"b.c": 1}}, 1, id="name-with-a-dot-in-an-object"),
        pytest.param(".issued", {".issued": "now"}, "now", id="name-with-a-dot"),
        pytest.param("a.b", {"a": "text"}, None, id="path-into-a-text"),
        pytest.param("a.", {"a": {"": 1}}, None, id="path-without-an-end"),
        pytest.param("a", {"a": None}, None, id="null"),
        pytest.param("a", {"a": {"b": 1}}, None, id="object"),
        pytest.param("a", {"a": [1]}, None, id="list"),
        pytest.param("a", {"a": "x\ny"}, None, id="control"),
        pytest.param("a", {"a": "x" * (MAX_BYTES + 1)}, None, id="too-long"),
        pytest.param("a", {"a": float("inf")}, None, id="infinite"),
        pytest.param("key", {"key": " the-access-token"}, None, id="the-access-token"),
        pytest.param("a", {"a": "the-refresh-token"}, None, id="the-refresh-token"),
        pytest.param("a", {"a": "x.y.z", "id_token": "x.y.z"}, None, id="the-id-token"),
    ],
)
def test_a_named_member_is_found_or_ignored(
    name: str, members: dict[str, object], found: object
) -> None:
    response = response_to({**TOKENS, **members}, name)
    assert repr(response.extra) == repr(() if found is None else ((name, found),))
    assert (response.access_token, response.refresh_token) == (
        "the-access-token",
        "the-refresh-token",
    )


def test_a_member_next_to_nested_tokens_is_found() -> None:
    members: dict[str, object] = {"ok": True, "id": "outer", "data": {**TOKENS, "id": "inner"}}
    assert dict(response_to(members, "id", "ok", "data.id").extra) == {
        "id": "inner",
        "ok": True,
        "data.id": "inner",
    }


def test_members_that_are_not_named_are_not_kept() -> None:
    assert response_to({**TOKENS, "instance_url": "https://a.example"}).extra == ()


def test_an_unusable_member_is_logged_by_name_and_a_missing_one_is_not(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    kept = {"kept": "a-value-of-theirs"}
    members = {**TOKENS, "odd": ["a-value-of-theirs"], **kept}
    response = response_to(members, "odd", "missing", "kept")
    assert dict(response.extra) == kept
    assert "member odd is ignored" in caplog.text
    assert "missing" not in caplog.text
    assert "a-value-of-theirs" not in caplog.text + repr(response)


@given(
    members=st.dictionaries(
        st.sampled_from([*NAMES, "authed_user", "x", "id_token", "scope", "token_type"]),
        json_values,
    )
)
def test_no_member_costs_the_tokens(members: dict[str, object]) -> None:
    usual = {name: value for name, value in members.items() if name != "token_type"}
    response = response_to({**TOKENS, **usual}, *NAMES)
    assert (response.access_token, response.refresh_token) == (
        "the-access-token",
        "the-refresh-token",
    )
    _expect_usable(response.extra)


def _expect_usable(extra: Extra) -> None:
    assert len(extra) <= MAX_MEMBERS
    assert len(dict(extra)) == len(extra)
    for name, value in extra:
        assert name in NAMES
        assert isinstance(value, str | int | float)
        assert len(json.dumps(value, allow_nan=False)) <= 6 * MAX_BYTES + 2
