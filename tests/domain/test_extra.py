"""Members next to the tokens: the names that are refused, and the values that are kept."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.extra import (
    MAX_BYTES,
    Extra,
    is_secret,
    merge_extra,
    pick_members,
    usable_text,
    usable_value,
)
from tests.presets import NAMES, preset_named
from tests.strategies import json_values


@pytest.mark.parametrize(
    "name",
    [
        *("access_token", "refresh_token", "id_token", "code", "state", "client_secret"),
        *("accessToken", "Access-Token", "authed_user.access_token", "[code]", "code_verifier"),
        *("bot.bot_access_token", "x_token", "password", "oauth_token_secret", "api_key"),
        *("client_assertion", "authed_user.code", "a.b.state"),
    ],
)
def test_a_name_of_a_secret_is_recognized_in_any_spelling(name: str) -> None:
    assert is_secret(name)


@pytest.mark.parametrize(
    "name",
    [
        *("instance_url", "realmId", "accounts-server", "api_domain", "authed_user.id", "id"),
        *("stripe_user_id", "token_type", "country_code", "state_name", "code.id"),
    ],
)
def test_other_names_are_allowed(name: str) -> None:
    assert not is_secret(name)


def test_no_preset_keeps_a_secret() -> None:
    for provider in map(preset_named, NAMES):
        assert not any(map(is_secret, (*provider.response_members, *provider.callback_members)))


@pytest.mark.parametrize(
    "value",
    [
        *("https://eu12.example", "0", "žluťoučký 🐎", "x" * MAX_BYTES, "é" * (MAX_BYTES // 2)),
        *(0, -5, 2**64, True, False, 0.5, -0.0, 1e300),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_texts_numbers_and_booleans_are_kept(value: object) -> None:
    assert repr(usable_value(value)) == repr(value)


@pytest.mark.parametrize(
    "value",
    [
        *(None, "", "a\nb", "a\rb", "a\0b", "a\x85b", "a\u2028b", "a\u2029b", "\ud800"),
        *("x" * (MAX_BYTES + 1), "é" * (MAX_BYTES // 2 + 1), "🐎" * MAX_BYTES),
        *(float("nan"), float("inf"), -float("inf"), 10**400, [], ["a"], {}, {"a": 1}),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_other_values_are_ignored(value: object) -> None:
    assert usable_value(value) is None


@given(value=json_values | st.text())
def test_a_value_that_is_kept_can_be_stored_and_sent(value: object) -> None:
    found = usable_value(value)
    if found is not None:
        assert found == value
        assert json.loads(json.dumps(found)) == value
        assert len(json.dumps(found, ensure_ascii=False).encode()) <= 2 * MAX_BYTES + 2
    assert usable_text(value) == (value if isinstance(value, str) and found else None)


def test_missing_members_and_secrets_are_left_out_and_the_order_is_that_of_the_names() -> None:
    members: dict[str, Any] = {"a": 1, "b": " secret ", "c": None, "d": "text"}
    found = pick_members(["d", "x", "c", "b", "a"], members.get, secrets={"secret", None})
    assert found == (("d", "text"), ("a", 1))


@pytest.mark.parametrize(
    ("before", "after", "merged"),
    [
        pytest.param((), (), (), id="none"),
        pytest.param((("a", 1),), (), (("a", 1),), id="missing-later"),
        pytest.param((("a", 1), ("b", 2)), (("a", 3),), (("a", 3), ("b", 2)), id="replaced"),
        pytest.param((("a", 1),), (("b", False),), (("a", 1), ("b", False)), id="added"),
    ],
)
def test_a_later_value_replaces_an_earlier_one(before: Extra, after: Extra, merged: Extra) -> None:
    assert merge_extra(before, after) == merged
