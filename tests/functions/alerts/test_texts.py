"""The texts of alerts for people: complete, short, and on one line each."""

import unicodedata
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.alerts import AlertKind
from domain.grant import Cause, Failure
from functions.alerts import words
from functions.alerts.message import AlertMessage
from functions.alerts.texts import Urgency, notice_of, one_line
from tests.functions.alerts.messages import AT, EXAMPLES, LINK, SOURCE, with_texts

ALL = [pytest.param(message, id=kind.value) for kind, message in EXAMPLES.items()]


def test_there_is_an_example_of_each_kind() -> None:
    assert set(EXAMPLES) == set(AlertKind)


@pytest.mark.parametrize("message", ALL)
def test_a_text_names_where_what_and_what_to_do(message: AlertMessage) -> None:
    notice = notice_of(message)
    assert notice.title.endswith(f": {message.connection or SOURCE}")
    assert all(text.endswith(".") for text in (notice.event, notice.action))
    labels = dict(notice.facts)
    assert labels["Deployment"] == SOURCE
    assert labels.get("Provider") == message.provider
    assert labels["Time"] == "2026-12-01 09:30 UTC"
    assert list(notice.lines()).count(LINK) == (message.link is not None)


@pytest.mark.parametrize(
    ("left", "title", "urgency"),
    [
        pytest.param(timedelta(days=14), "in 14 days", Urgency.SOON, id="as-the-threshold"),
        pytest.param(
            timedelta(days=13, hours=23, minutes=59), "in 14 days", Urgency.SOON, id="late"
        ),
        pytest.param(timedelta(days=2), "in 2 days", Urgency.NOW, id="two-days"),
        pytest.param(timedelta(days=2, seconds=1), "in 2 days", Urgency.SOON, id="above-two-days"),
        pytest.param(timedelta(hours=23), "in 1 day", Urgency.NOW, id="one-day"),
        pytest.param(timedelta(hours=21), "in 21 hours", Urgency.NOW, id="hours"),
        pytest.param(timedelta(minutes=10), "in 1 hour", Urgency.NOW, id="minutes"),
        pytest.param(timedelta(hours=-1), "in 1 hour", Urgency.NOW, id="over"),
        pytest.param(None, "soon", Urgency.SOON, id="unknown"),
    ],
)
def test_a_login_that_expires_says_by_when(
    left: timedelta | None, title: str, urgency: Urgency
) -> None:
    message = EXAMPLES[AlertKind.EXPIRES_SOON]
    expires_at = None if left is None else AT + left
    notice = notice_of(replace(message, alert=replace(message.alert, expires_at=expires_at)))
    assert notice.title == f"The login expires {title}: google:alice"
    assert notice.urgency is urgency


def test_each_cause_and_failure_has_its_own_sentence() -> None:
    causes = {cause.value for cause in Cause}
    failures = {failure.value for failure in Failure} - {Failure.MISCONFIGURED.value}
    assert set(words._LOGIN_CAUSES) == causes
    assert set(words._REFRESH_CAUSES) == failures


def test_without_a_link_the_text_says_which_request_logs_in() -> None:
    message = replace(EXAMPLES[AlertKind.LOGIN_NEEDED], link=None)
    assert f"POST {SOURCE}/api/login" in notice_of(message).action


@given(st.text(max_size=2000))
def test_a_text_from_outside_stays_on_its_line_and_is_short(text: str) -> None:
    notice = notice_of(with_texts(text))
    values = [notice.title, *(value for _, value in notice.facts)]
    assert all(len(value) <= 300 for value in values)
    shown = "".join(values).replace(" ", "")
    assert not [each for each in shown if unicodedata.category(each)[0] in "CZ"]


def test_a_change_of_direction_is_removed() -> None:
    assert one_line("\u202egro.live\u2066 a\tb\r\nc\x00") == "gro.live a b c"
