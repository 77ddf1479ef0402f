"""A pass to the page: what it was made for, and nothing else can be made of it."""

import hmac
from dataclasses import replace
from datetime import datetime, timedelta
from hashlib import sha256

import pytest

from domain.page_session import (
    SESSION_LIFETIME,
    SIGN_IN_LINK_LIFETIME,
    Pass,
    form_token,
    key_fingerprint,
    read_pass,
)
from domain.tokens import MAX_CLOCK_SKEW
from tests.domain.examples import MINUTE, T0

KEYS = [bytes([number]) * 32 for number in range(3)]
FINGERPRINT = key_fingerprint(b"the digest of a key")
PASS = Pass(id="an-id", expires_at=T0 + SESSION_LIFETIME, key=FINGERPRINT)
TICK = timedelta(microseconds=1)


def mac(text: str, key: bytes) -> str:
    return hmac.digest(key, text.encode(), "sha256").hex()


def test_a_session_lasts_a_working_day_and_a_link_ten_minutes() -> None:
    assert SESSION_LIFETIME == 8 * 60 * MINUTE
    assert SIGN_IN_LINK_LIFETIME == 10 * MINUTE


@pytest.mark.parametrize("key", KEYS)
def test_a_pass_reads_back_as_it_was_signed_with_any_of_the_keys(key: bytes) -> None:
    for id_ in ("an-id", "An_ID-9"):
        signed_in = replace(PASS, id=id_)
        assert read_pass(signed_in.sign(key), KEYS) == signed_in


def test_a_pass_is_one_word_with_its_end_in_whole_seconds() -> None:
    text = f"an-id.{int(PASS.expires_at.timestamp())}.{FINGERPRINT}"
    late = replace(PASS, expires_at=PASS.expires_at + timedelta(microseconds=999_999))
    assert PASS.sign(KEYS[0]) == late.sign(KEYS[0]) == f"{text}.{mac(text, KEYS[0])}"


@pytest.mark.parametrize(
    ("now", "is_valid"),
    [
        pytest.param(PASS.expires_at, False, id="expired"),
        pytest.param(PASS.expires_at - TICK, True, id="about-to-expire"),
        pytest.param(T0, True, id="new"),
        pytest.param(T0 - MAX_CLOCK_SKEW, True, id="other-clock"),
        pytest.param(T0 - MAX_CLOCK_SKEW - TICK, False, id="wrong-clock"),
    ],
)
def test_a_pass_is_valid_up_to_its_end_by_a_clock_that_may_be_behind(
    now: datetime, *, is_valid: bool
) -> None:
    assert PASS.is_valid(now, SESSION_LIFETIME) is is_valid


def signed(text: str) -> str:
    return f"{text}.{mac(text, KEYS[0])}"


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("ж" + PASS.sign(KEYS[0]), id="other-letters"),
        pytest.param(PASS.sign(b"a stranger's key"), id="stranger"),
        pytest.param(PASS.sign(KEYS[0])[:-1], id="cut"),
        pytest.param(PASS.sign(KEYS[0]) + "\n", id="more"),
        pytest.param(signed(f".1.{FINGERPRINT}"), id="without-an-id"),
        pytest.param(signed(f"{'a' * 65}.1.{FINGERPRINT}"), id="long-id"),
        pytest.param(signed(f"a..{FINGERPRINT}"), id="without-an-end"),
        pytest.param(signed(f"a.{'1' * 12}.{FINGERPRINT}"), id="far-end"),
        pytest.param(signed(f"a.1.{FINGERPRINT[:-1]}"), id="short-fingerprint"),
        pytest.param(signed(f"a.1.{FINGERPRINT.upper()}"), id="other-case"),
    ],
)
def test_another_text_is_no_pass(text: str) -> None:
    assert read_pass(text, KEYS) is None


def test_a_pass_needs_a_key() -> None:
    assert read_pass(PASS.sign(KEYS[0]), KEYS[1:]) is None
    assert read_pass(PASS.sign(KEYS[0]), []) is None


def test_the_fingerprint_is_of_the_digest_and_not_the_digest() -> None:
    assert key_fingerprint(b"digest") == sha256(b"page digest").hexdigest()


def test_the_form_token_is_bound_to_the_session_and_signed() -> None:
    assert form_token(PASS, KEYS[0]) == mac("form an-id", KEYS[0])
    assert form_token(replace(PASS, id="other"), KEYS[0]) != form_token(PASS, KEYS[0])
