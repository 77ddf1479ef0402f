"""`python -m functions.admin keys new`: a key that is printed once, and the entry that knows it."""

import json
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import pytest

from functions.admin.keys import faults_of
from functions.settings.settings import Settings
from tests.functions.access.test_api_keys import OTHERS, with_key
from tests.functions.commands import run_admin
from tests.functions.conftest import Deploy
from tests.functions.deployment import at
from tests.functions.expect import expect_problem, expect_token
from tests.functions.grants import fresh


def made(*arguments: str) -> tuple[str, dict[str, object]]:
    """Make a key, and return it with its entry."""
    status, out, error = run_admin({}, "keys", "new", *arguments)
    assert status == 0, error
    key, end = out.split("\n")
    assert not end
    assert key not in error
    entry: dict[str, object] = json.loads(error.splitlines()[-1])
    return key, entry


def test_key_is_printed_alone_and_its_entry_has_its_hash_only() -> None:
    key, entry = made("ci")
    assert len(key) >= 43
    assert entry == {"name": "ci", "sha256": sha256(key.encode()).hexdigest()}
    assert made("ci")[0] != key


def test_new_key_works_within_its_restrictions_only(deploy: Deploy) -> None:
    key, entry = made("ci", "--connections", "a,b", "--endpoints", "token,verify")
    deployment = deploy(API_KEYS=json.dumps([entry]), API_KEY=None)
    deployment.put("b", fresh())
    expect_token(deployment.call("GET", "/api/token?connection=b", with_key(key)))
    for method, path, connection in (("GET", "/api/token", "c"), ("POST", "/api/login", "a")):
        answer = deployment.call(method, at(path, connection=connection), with_key(key))
        expect_problem(answer, 403, "key-not-allowed")


def test_last_day_of_a_key_is_in_its_entry() -> None:
    _, entry = made("ci", "--expires", "2999-12-31")
    settings = Settings.from_environ({**OTHERS, "API_KEYS": json.dumps([entry])})
    assert str(settings.api_keys[0].expires_at) == "3000-01-01 00:00:00+00:00"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["c i"], "name"),
        (["API_KEY"], "name"),
        (["ci", "--connections", "a,,b"], "connections"),
        (["ci", "--connections", ""], "connections"),
        (["ci", "--endpoints", "tokens"], "endpoints"),
        (["ci", "--expires", "31.1.2027"], "expires"),
        (["ci", "--expires", "2020-01-01"], "expires is in the past"),
    ],
    ids=str,
)
def test_no_key_is_made_where_its_entry_would_be_refused(arguments: list[str], said: str) -> None:
    status, out, error = run_admin({}, "keys", "new", *arguments)
    assert (status, out) == (1, "")
    assert said in error
    assert "No key was made" in error


def test_last_day_of_a_key_is_good_through_its_end() -> None:
    entry = json.dumps({"name": "ci", "sha256": "ab" * 32, "expires": "2027-01-31"})
    end = datetime(2027, 2, 1, tzinfo=UTC)
    assert faults_of(entry, end - timedelta(microseconds=1)) == []
    assert faults_of(entry, end) == ["expires is in the past, in UTC"]
