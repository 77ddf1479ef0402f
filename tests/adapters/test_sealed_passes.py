"""Passes to the page: what was written is read, and nothing else."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from adapters.sealed_passes import SealedPasses
from domain.page_session import Pass, key_fingerprint
from ports.passes import PassKind

KEYS = [bytes([number]) * 32 for number in range(3)]
PASS = Pass(
    secret="the-secret",
    expires_at=datetime(2026, 11, 30, 12, tzinfo=UTC),
    key=key_fingerprint(b"the digest"),
)


def with_keys(*keys: bytes) -> SealedPasses:
    async def current() -> tuple[bytes, ...]:
        return keys

    return SealedPasses(current)


def write(pass_: Pass = PASS, kind: PassKind = PassKind.SESSION, key: bytes = KEYS[0]) -> str:
    return asyncio.run(with_keys(key).write(pass_, kind))


def read(text: str, kind: PassKind = PassKind.SESSION, *keys: bytes) -> Pass | None:
    return asyncio.run(with_keys(*(keys or KEYS)).read(text, kind))


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("kind", PassKind)
def test_pass_is_read_with_any_of_the_keys_and_ends_in_whole_seconds(
    kind: PassKind, key: bytes
) -> None:
    late = Pass(
        secret=PASS.secret,
        expires_at=PASS.expires_at + timedelta(microseconds=999_999),
        key=PASS.key,
    )
    assert read(write(late, kind, key), kind) == PASS
    others = [other for other in KEYS if other != key]
    assert read(write(late, kind, key), kind, *others) is None


def test_checklist_72_session_is_no_link_and_link_is_no_session() -> None:
    session, link = PassKind
    assert read(write(kind=session), link) is None
    assert read(write(kind=link), session) is None


def test_checklist_69_nothing_of_a_pass_is_seen_and_each_text_is_new() -> None:
    texts = {write() for _ in range(10)}
    assert len(texts) == 10
    for text in texts:
        assert PASS.secret not in text
        assert PASS.key not in text


@pytest.mark.parametrize(
    "spoil",
    [
        lambda _: "",
        lambda text: text[:-1],
        lambda text: text + "0",
        lambda text: text + "=",
        lambda text: text + "\n",
        lambda text: "ж" + text,
        lambda text: text.replace(".", ".!", 2),
        lambda text: text.replace("v1", "v2"),
        lambda text: text.swapcase(),
    ],
)
def test_another_text_is_no_pass(spoil: Callable[[str], str]) -> None:
    text = write()
    assert read(text) == PASS
    assert read(spoil(text)) is None


def test_every_other_letter_is_noticed() -> None:
    text = write()
    for place, letter in enumerate(text):
        other = "A" if letter != "A" else "B"
        # The last letter may have bits that mean nothing.
        if place < len(text) - 1:
            assert read(text[:place] + other + text[place + 1 :]) is None
