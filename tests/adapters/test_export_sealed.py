"""The form of an export: it opens as a whole, for its client and its keys, or not at all."""

import json
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.export_sealed import SealedExport, _sum
from adapters.sealing import KeyRing
from domain.grant import Authorized, Moved
from ports.export import ExportedGrant, UnreadableExportError
from tests.domain.examples import LEDGER, T0, TOKENS
from tests.strategies import ids, json_values, ledgers, moved
from tests.thorough import times

KEY, OTHER = bytes(range(32)), bytes(32)
EXPORT = SealedExport(
    KeyRing([KEY]), client_of=lambda _: "client at https://provider.example/token"
)
MOVED = Moved(grant=Authorized(tokens=TOKENS), since=datetime(2026, 1, 2, tzinfo=UTC))
HANDED_OVER = ExportedGrant(moved=MOVED, ledger=LEDGER)
GRANTS = {
    "default": HANDED_OVER,
    "a@b.example": ExportedGrant(moved=Moved(grant=MOVED.grant, since=T0), ledger=()),
    "ž 🐎\u2028\n": HANDED_OVER,
}
LINES = EXPORT.write(GRANTS)
handed_over = st.builds(ExportedGrant, moved=moved, ledger=ledgers)


def refusal(lines: list[str], export: SealedExport = EXPORT) -> str:
    with pytest.raises(UnreadableExportError) as caught:
        export.read(lines)
    return str(caught.value)


@settings(max_examples=times(50))
@given(grants=st.dictionaries(ids, handed_over, max_size=3))
def test_an_export_reads_back_as_it_was_written(grants: dict[str, ExportedGrant]) -> None:
    lines = EXPORT.write(grants)
    assert len(lines) == len(grants) + 1
    read = EXPORT.read("".join(f"{line}\n" for line in lines).splitlines())
    assert list(read.items()) == list(grants.items())


def test_no_token_is_visible() -> None:
    text = "".join(LINES)
    assert "access-7" not in text
    assert "refresh-7" not in text


@pytest.mark.parametrize("kept", range(len(LINES)))
def test_a_file_that_is_cut_off_is_refused_wherever_that_is(kept: int) -> None:
    assert "it is incomplete" in refusal(LINES[:kept])
    assert "it is incomplete" in refusal([*LINES[:kept], LINES[kept][:-1]])


@pytest.mark.parametrize(
    "change",
    [
        lambda lines: lines[1:],
        lambda lines: [lines[0], lines[0], *lines[1:]],
        lambda lines: [lines[1], lines[0], *lines[2:]],
        lambda lines: [*lines, *lines],
        lambda lines: [*EXPORT.write({"default": GRANTS["a@b.example"]})[:-1], *lines[1:]],
        lambda lines: ["{}", *lines[1:]],
        lambda lines: [lines[0].replace("default", "another"), *lines[1:]],
    ],
    ids=["without one", "one twice", "another order", "twice", "another one", "no line", "renamed"],
)
def test_a_file_that_was_changed_is_refused(change: Callable[[list[str]], list[str]]) -> None:
    assert "missing or changed" in refusal(change(LINES))


def with_end(body: list[str]) -> list[str]:
    """Write a last line that fits the others, as nobody can without the keys."""
    end = json.dumps({**_sum(body), "client": EXPORT._client_of("a")}).encode()
    return [*body, json.dumps({"end": KeyRing([KEY]).seal(end, "export's end")})]


def test_a_line_opens_as_that_connections_only_and_only_if_it_was_handed_over() -> None:
    renamed = json.dumps({**json.loads(LINES[0]), "connection": "another"})
    assert "line 2 cannot be opened: it is damaged, or belongs" in refusal(
        with_end([LINES[1], renamed])
    )
    assert "line 1 does not hold a connection" in refusal(with_end(["{}"]))
    stored = KeyRing([KEY]).seal(b'{"version":1,"state":"unauthorized"}', "export", "c")
    line = json.dumps({"connection": "c", "sealed": stored})
    assert "line 1 is of a grant that was not handed over" in refusal(with_end([line]))


def test_a_record_of_a_store_does_not_open_as_a_line() -> None:
    sealed = KeyRing([KEY]).seal(b'{"version":1,"state":"unauthorized"}', "grant", "c", "etag")
    line = json.dumps({"connection": "c", "sealed": sealed})
    assert "line 1 cannot be opened" in refusal(with_end([line]))


def test_the_error_of_another_key_ring_names_the_variables() -> None:
    error = refusal(LINES, SealedExport(KeyRing([OTHER]), client_of=EXPORT._client_of))
    assert "a key that is not in the key ring" in error
    assert "CLIENT_SECRET" in error
    assert "ENCRYPTION_KEYS" in error


def test_the_first_key_of_a_ring_seals_and_each_of_them_opens() -> None:
    both = SealedExport(KeyRing([OTHER, KEY]), client_of=EXPORT._client_of)
    assert both.read(LINES) == GRANTS
    assert "key" in refusal(both.write(GRANTS))


def test_the_error_of_another_client_names_the_right_one() -> None:
    error = refusal(
        LINES, SealedExport(KeyRing([KEY]), client_of=lambda _: "another at https://p.example/t")
    )
    assert "client client at https://provider.example/token exported it" in error
    assert "another at https://p.example/t" in error


@given(lines=st.lists(st.text() | json_values.map(json.dumps), max_size=3))
def test_any_text_is_refused(lines: list[str]) -> None:
    refusal(lines)
