"""The stored format of alerts: a book reads back as written, and a part of a later version is lost.

It never costs the grant.
"""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.alerts_json import alerts_from_json, alerts_to_json
from adapters.grant_json import dump_record, load_record, load_stored
from adapters.redaction import LONGEST_QUOTE
from adapters.sealed_records import SealedRecords
from domain.alert_book import AlertBook, ChannelWait, Claim, Condition, EndingLogin, Owed
from domain.alert_delivery import MAX_OWED
from domain.alerts import Alert, AlertKind
from domain.extra import MAX_BYTES
from domain.grant import AuthorizationRequired, Authorized, Cause
from ports.store import Record
from tests.domain.alert_stories import Connection
from tests.domain.examples import EXPIRED, LEDGER, T0, TOKENS
from tests.ports.store_contract import KEYS
from tests.strategies import books, json_values

NOW = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)
GRANT = Authorized(tokens=TOKENS)
ALERT = Alert(
    id="id-1",
    kind=AlertKind.LOGIN_NEEDED,
    at=NOW,
    cause="refresh-token-rejected",
    since=NOW,
    expires_at=NOW,
    account="a@example.org",
    quote="no",
)
BOOK = AlertBook(
    open=(Condition(kind=AlertKind.LOGIN_NEEDED, since=NOW, issued_at=NOW),),
    ending=EndingLogin(since=NOW, authorized_at=NOW, expires_at=NOW, threshold=timedelta(days=7)),
    owed=(Owed(alert=ALERT, since=NOW, done=frozenset({"two", "one"})),),
    check_at=NOW,
    failing_since=NOW,
    unprolonged=NOW,
    prolonged=NOW,
    waits=(ChannelWait(channel="three", tries=2, next_try_at=NOW),),
    claim=Claim(id="id-1", until=NOW),
)
AT = "2026-03-01T12:00:00.123456+00:00"


def read(members: object) -> AlertBook | None:
    return alerts_from_json(json.loads(json.dumps(members)))


def test_the_format_is_the_one_that_earlier_records_have() -> None:
    # A change of this breaks records of this release.
    assert alerts_to_json(BOOK) == {
        "open": [{"kind": "connection.login-needed", "since": AT, "issued_at": AT}],
        "ending": {"since": AT, "authorized_at": AT, "expires_at": AT, "threshold": 604800.0},
        "owed": [
            {
                "id": "id-1",
                "kind": "connection.login-needed",
                "at": AT,
                "cause": "refresh-token-rejected",
                "since": AT,
                "expires_at": AT,
                "account": "a@example.org",
                "quote": "no",
                "owed_since": AT,
                "done": ["one", "two"],
            }
        ],
        "waits": [{"channel": "three", "tries": 2, "next_try_at": AT}],
        "claim": {"id": "id-1", "until": AT},
        "check_at": AT,
        "failing_since": AT,
        "unprolonged": AT,
        "prolonged": AT,
    }
    assert read(alerts_to_json(BOOK)) == BOOK
    assert alerts_to_json(AlertBook(check_at=NOW)) == {"check_at": AT}


@given(book=books)
def test_any_book_reads_back_as_it_was_written(book: AlertBook) -> None:
    assert read(alerts_to_json(book)) == book
    assert load_stored(dump_record(GRANT, LEDGER, book)) == (GRANT, LEDGER, book, {}, ())


def test_a_record_without_alerts_is_the_text_of_the_last_release() -> None:
    text = dump_record(GRANT, LEDGER)
    assert b"alerts" not in text
    assert load_stored(text) == (GRANT, LEDGER, None, {}, ())
    # That release reads a record with alerts, and ignores them.
    assert json.loads(dump_record(GRANT, LEDGER, BOOK)).keys() - json.loads(text).keys() == {
        "alerts"
    }
    assert load_record(dump_record(GRANT, LEDGER, BOOK)) == (GRANT, LEDGER)


WITHOUT: list[Any] = [
    pytest.param("open", [{"kind": "from.the-future", "since": AT}], id="kind"),
    pytest.param("open", [{"kind": "connection.login-needed"}], id="no-date"),
    pytest.param("open", {"kind": "connection.login-needed"}, id="no-list"),
    pytest.param("ending", {"since": AT}, id="ending"),
    pytest.param("owed", [{"id": 1}, None, "x", []], id="owed"),
    pytest.param("waits", [{"channel": "a", "tries": -1, "next_try_at": AT}], id="tries"),
    pytest.param("waits", [{"channel": 7, "tries": 1, "next_try_at": AT}], id="channel"),
    pytest.param("claim", {"id": None, "until": AT}, id="claim"),
    pytest.param("check_at", "2026-03-01T12:00:00", id="no-zone"),
    pytest.param("check_at", "0001-01-01T00:00:00+14:00", id="before-the-first-year"),
    pytest.param("claim", {"id": "a", "until": "9999-12-31T23:59:59-14:00"}, id="after-the-last"),
    pytest.param("unprolonged", 7, id="number"),
]


@pytest.mark.parametrize(("name", "value"), WITHOUT)
def test_a_part_that_cannot_be_read_is_left_out(name: str, value: object) -> None:
    members = alerts_to_json(BOOK)
    assert read({**members, name: value}) == read({**members, name: None})
    assert read({**members, name: value}) != BOOK


def test_an_owed_alert_of_a_later_version_costs_no_other() -> None:
    members = alerts_to_json(BOOK)
    later = {**members["owed"][0], "kind": "from.the-future"}
    assert read({**members, "owed": [later, *members["owed"]]}) == BOOK


@given(value=json_values)
def test_nothing_in_the_place_of_alerts_costs_the_grant(value: object) -> None:
    text = json.dumps({**json.loads(dump_record(GRANT, LEDGER)), "alerts": value}).encode()
    assert load_record(text) == (GRANT, LEDGER)


@given(name=st.sampled_from(sorted(alerts_to_json(BOOK))), value=json_values)
def test_no_value_of_a_member_is_an_error(name: str, value: object) -> None:
    book = read({**alerts_to_json(BOOK), name: value})
    # The next write of the record, which may have new tokens.
    assert book is not None
    alerts_to_json(book)


def test_as_many_alerts_as_a_record_owes_fit_into_an_item_of_dynamodb() -> None:
    # The longest texts that a provider can cause, and 6 bytes for each character.
    tokens = replace(TOKENS, account="é" * (MAX_BYTES // 2))
    lost = AuthorizationRequired(
        tokens=tokens,
        cause=Cause.REFRESH_TOKEN_REJECTED,
        client="c",
        since=T0,
        quote="é" * 2 * LONGEST_QUOTE,
    )
    connection = Connection()
    for hour in range(MAX_OWED):
        at = EXPIRED + hour * timedelta(hours=1)
        connection.change(Authorized(tokens=replace(tokens, issued_at=at)), at)
        connection.change(lost, at)
    book = connection.book
    assert book is not None
    assert len(book.owed) == MAX_OWED
    record = Record(grant=lost, etag="e", ledger=LEDGER, alerts=book)
    sealed = SealedRecords(KEYS).seal_record("c", record)
    # Half of the limit of an item: the rest is for the longest tokens and a history.
    assert len(sealed) < 200 * 1024
