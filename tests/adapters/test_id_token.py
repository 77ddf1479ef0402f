"""The account of an ID token: a fingerprint of its issuer and subject, and a label."""

import json
from base64 import urlsafe_b64encode

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.id_token import read_account
from adapters.token_response import read_answer
from domain.providers.custom import PROVIDER as CUSTOM
from domain.token_endpoint import TokenResponse
from tests.strategies import json_values

ISSUER = "https://issuer.test"
ALICE: dict[str, object] = {"iss": ISSUER, "sub": "alice", "aud": "client", "exp": 1}


def encoded(text: bytes) -> str:
    return urlsafe_b64encode(text).rstrip(b"=").decode()


def id_token(claims: object) -> str:
    return ".".join(map(encoded, (b'{"alg":"RS256"}', json.dumps(claims).encode(), b"signature")))


def read_subject(token: str, issuer: str | None) -> str | None:
    return read_account(token, issuer).subject


def test_the_same_account_has_the_same_fingerprint() -> None:
    one = read_subject(id_token(ALICE), ISSUER)
    assert one
    assert read_subject(id_token({**ALICE, "exp": 2, "email": "x"}), None) == one
    assert "alice" not in one


@pytest.mark.parametrize(
    "changes",
    [{"sub": "bob"}, {"iss": "https://other.test"}, {"iss": f"{ISSUER}a", "sub": "lice"}],
    ids=str,
)
def test_another_account_has_another_fingerprint(changes: dict[str, object]) -> None:
    one, other = (read_subject(id_token(claims), None) for claims in (ALICE, {**ALICE, **changes}))
    assert other
    assert one != other


def test_another_issuers_token_is_ignored() -> None:
    assert read_subject(id_token(ALICE), f"{ISSUER}/") is None


@pytest.mark.parametrize(
    "token",
    [
        "",
        "a.b.c",
        "..",
        f"{encoded(b'{}')}.{encoded(json.dumps(ALICE).encode())}",
        f"{id_token(ALICE)}.x.y",
        id_token([]),
        id_token({**ALICE, "sub": ""}),
        id_token({**ALICE, "sub": 5}),
        id_token({**ALICE, "iss": None}),
        id_token({"sub": "alice"}),
        f"x.{encoded(bytes([255]))}.y",
        "x.ключ.y",
    ],
)
def test_an_invalid_token_has_no_fingerprint(token: str) -> None:
    assert read_account(token, None) == (None, None)


@given(text=st.text() | json_values.map(id_token))
def test_no_text_is_an_error(text: str) -> None:
    read_account(text, ISSUER)


@pytest.mark.parametrize(
    ("claims", "label"),
    [
        pytest.param({}, None, id="none"),
        pytest.param(
            {"name": "N", "preferred_username": "p", "email": "e@a.example"},
            "e@a.example",
            id="all",
        ),
        pytest.param({"name": "N", "preferred_username": "p"}, "p", id="without-email"),
        pytest.param({"name": "Žofie N."}, "Žofie N.", id="name-only"),
        pytest.param({"email": "", "name": "N"}, "N", id="empty"),
        pytest.param({"email": 5, "name": ["N"], "preferred_username": None}, None, id="types"),
        pytest.param({"email": "a\r\nb", "name": "x" * 2049}, None, id="unusable"),
        pytest.param({"email": "\ud800", "preferred_username": "p"}, "p", id="lone-surrogate"),
    ],
)
def test_the_label_is_the_first_usable_one(claims: dict[str, object], label: str | None) -> None:
    account = read_account(id_token({**ALICE, **claims}), ISSUER)
    # The claims that name it do not change which account it is.
    assert account == (read_account(id_token(ALICE), ISSUER).subject, label)


def test_another_issuers_label_is_ignored() -> None:
    token = id_token({**ALICE, "email": "e@a.example"})
    assert read_account(token, "https://other.test") == (None, None)


@given(
    claims=st.dictionaries(st.sampled_from(["email", "preferred_username", "name"]), json_values)
)
def test_no_claim_costs_the_account(claims: dict[str, object]) -> None:
    account = read_account(id_token({**ALICE, **claims}), ISSUER)
    assert account.subject == read_account(id_token(ALICE), ISSUER).subject
    assert account.label is None or account.label in claims.values()


def test_the_answers_id_token_is_read_and_an_invalid_one_is_ignored() -> None:
    values: list[object] = [None, 5, [], "not a token", "\ud800"]
    for value in values:
        assert subject_of({"id_token": value}) is None
    assert subject_of({"id_token": id_token(ALICE)}) == read_subject(id_token(ALICE), None)
    assert subject_of({}) is None
    named = response_to({"id_token": id_token({**ALICE, "email": "e@a.example"})})
    assert named.account == "e@a.example"
    assert "e@a.example" not in repr(named)


def subject_of(members: dict[str, object]) -> str | None:
    return response_to(members).subject


def response_to(members: dict[str, object]) -> TokenResponse:
    body = json.dumps({"access_token": "access", "token_type": "Bearer", **members}).encode()
    response = httpx.Response(200, headers={"content-type": "application/json"})
    outcome = read_answer(response, body, CUSTOM)
    assert isinstance(outcome, TokenResponse)
    return outcome
