"""A link to log in with says what it was made for, and nothing else can be made of it."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.login_link import LINK_LIFETIME, LoginLink, read_link
from domain.tokens import MAX_CLOCK_SKEW
from ports.store import LONGEST_WINDOW
from tests.domain.examples import DAY, T0

KEYS = [bytes([number]) * 32 for number in range(3)]
LINK = LoginLink(connection="default", id="an-id", expires_at=T0 + LINK_LIFETIME)


@given(
    connection=st.text(),
    id_=st.text(),
    key=st.sampled_from(KEYS),
    read=st.none() | st.integers(min_value=0),
    renews=st.booleans(),
)
def test_a_link_reads_back_as_it_was_signed_with_any_of_the_keys(
    connection: str, id_: str, key: bytes, read: int | None, *, renews: bool
) -> None:
    link = replace(LINK, connection=connection, id=id_, read=read, renews=renews)
    assert read_link(link.sign(key), KEYS) == link


def test_a_link_is_one_word_that_those_which_were_handed_out_before_are_written_like() -> None:
    said = "WyJkZWZhdWx0IiwgImFuLWlkIiwgMTc2NzMxMjAwMF0"
    assert LINK.sign(KEYS[0]) == f"{said}.vupBQWXg5295tExhQr-8YrVYMGhso3FBRCzN2g7tqGI"


def test_a_link_is_valid_for_exactly_a_day() -> None:
    a_second_less_a_tick = timedelta(microseconds=999_999)
    link = replace(LINK, expires_at=LINK.expires_at + a_second_less_a_tick)
    assert read_link(link.sign(KEYS[0]), KEYS) == LINK
    assert LINK_LIFETIME == DAY


TICK = timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("now", "is_valid"),
    [
        pytest.param(LINK.expires_at, False, id="expired"),
        pytest.param(LINK.expires_at - TICK, True, id="about-to-expire"),
        pytest.param(T0, True, id="new"),
        pytest.param(T0 - MAX_CLOCK_SKEW, True, id="other-clock"),
        pytest.param(T0 - MAX_CLOCK_SKEW - TICK, False, id="wrong-clock"),
    ],
)
def test_a_link_is_valid_up_to_its_expiry_by_a_clock_that_may_be_behind(
    now: datetime, *, is_valid: bool
) -> None:
    assert LINK.is_valid(now) is is_valid


def test_a_link_of_another_key_is_invalid() -> None:
    assert read_link(LINK.sign(KEYS[0]), KEYS[1:]) is None
    assert read_link(LINK.sign(KEYS[0]), []) is None


@pytest.mark.parametrize("text", ["", ".", "a.b", "a", "ключ.ключ", "\ud800.x", "." * 9])
def test_a_text_without_a_signature_is_no_link(text: str) -> None:
    assert read_link(text, KEYS) is None


@given(data=st.data())
def test_a_link_with_one_changed_character_is_invalid(data: st.DataObject) -> None:
    text = LINK.sign(KEYS[0])
    place = data.draw(st.integers(min_value=0, max_value=len(text) - 1))
    other = data.draw(st.characters(exclude_characters=text[place]))
    assert read_link(text[:place] + other + text[place + 1 :], KEYS) is None


def test_parts_of_two_links_make_no_valid_link() -> None:
    one, other = LINK.sign(KEYS[0]), replace(LINK, connection="other").sign(KEYS[0])
    assert read_link(one.partition(".")[0] + "." + other.partition(".")[2], KEYS) is None


def test_the_use_of_a_link_is_stored_until_the_link_expires() -> None:
    assert LINK_LIFETIME <= LONGEST_WINDOW
