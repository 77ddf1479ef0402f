"""Passes to the page: how long each is valid, and what of it may be seen."""

from dataclasses import replace
from datetime import datetime, timedelta
from hashlib import sha256

import pytest

from domain.page_session import SESSION_LIFETIME, SIGN_IN_LINK_LIFETIME, Pass, key_fingerprint
from domain.tokens import MAX_CLOCK_SKEW
from tests.domain.examples import MINUTE, T0

PASS = Pass(
    secret="the secret", expires_at=T0 + SESSION_LIFETIME, key=key_fingerprint(b"the digest")
)
TICK = timedelta(microseconds=1)


def test_a_session_lasts_a_working_day_and_a_link_ten_minutes() -> None:
    assert SESSION_LIFETIME == 8 * 60 * MINUTE
    assert SIGN_IN_LINK_LIFETIME == 10 * MINUTE


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


def test_the_name_of_a_pass_and_its_repr_do_not_reveal_its_secret() -> None:
    assert PASS.id == sha256(b"page pass the secret").hexdigest()
    assert replace(PASS, secret="other").id != PASS.id
    assert "the secret" not in repr(PASS)


def test_the_fingerprint_is_of_the_digest_and_not_the_digest() -> None:
    assert key_fingerprint(b"digest") == sha256(b"page digest").hexdigest()
