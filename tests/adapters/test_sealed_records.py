"""A stored record is bound to its place, and reports whether the first key sealed it."""

from dataclasses import replace

import pytest

from adapters.sealed_records import MOST_KEPT, SealedRecords
from adapters.sealing import KeyRing
from domain.grant import Authorized
from ports.store import UnreadableRecordError
from tests.domain.examples import SECOND, TOKENS
from tests.records import record_of

OLD, NEW = (bytes([number]) * 32 for number in (1, 2))
RECORD = replace(
    record_of(Authorized(tokens=TOKENS), "etag"),
    refreshes={"tokens": 2},
    refresh_times=(0.3 * SECOND, SECOND),
)


def records(*keys: bytes) -> SealedRecords:
    return SealedRecords(KeyRing(keys))


@pytest.mark.parametrize(
    ("writer", "reader", "is_older"),
    [
        ([OLD], [OLD], False),
        ([OLD], [OLD, NEW], False),
        ([OLD], [NEW, OLD], True),
        ([NEW, OLD], [NEW, OLD], False),
        ([NEW, OLD], [OLD, NEW], True),
        ([NEW, OLD], [NEW], False),
    ],
)
def test_a_record_reports_whether_an_older_key_sealed_it(
    writer: list[bytes], reader: list[bytes], *, is_older: bool
) -> None:
    sealed = records(*writer).seal_record("c", RECORD)
    record = records(*reader).open_record("c", "etag", sealed)
    assert record == RECORD
    assert record.is_sealed_by_older_key is is_older


@pytest.mark.parametrize(("connection", "etag"), [("other", "etag"), ("c", "other")])
def test_a_record_in_another_place_does_not_open(connection: str, etag: str) -> None:
    ours = records(OLD)
    sealed = ours.seal_record("c", RECORD)
    # The record that is kept opens in no other place.
    assert ours.open_record("c", "etag", sealed) == RECORD
    with pytest.raises(UnreadableRecordError, match=connection) as caught:
        ours.open_record(connection, etag, sealed)
    assert "belongs to another place" in str(caught.value)
    assert caught.value.etag == etag


def test_the_same_text_is_decrypted_once_and_a_damaged_one_never() -> None:
    ours = records(OLD)
    sealed = ours.seal_record("c", RECORD)
    record = ours.open_record("c", "etag", sealed)
    assert ours.open_record("c", "etag", sealed) is record
    with pytest.raises(UnreadableRecordError):
        ours.open_record("c", "etag", sealed[:-4] + "AAAA")


def test_few_texts_are_kept_and_of_a_connection_the_last_one() -> None:
    ours = records(OLD)
    first, second = (ours.seal_record("c", RECORD) for _ in range(2))
    record = ours.open_record("c", "etag", first)
    assert ours.open_record("c", "etag", second) is not record
    assert ours.open_record("c", "etag", first) is not record
    record = ours.open_record("c", "etag", first)
    for number in range(MOST_KEPT):
        name = f"c{number}"
        ours.open_record(name, "etag", ours.seal_record(name, RECORD))
    assert ours.open_record("c", "etag", first) is not record
