"""`ENCRYPTION_KEYS`: what is read, and what is refused without being repeated."""

from base64 import b64encode, urlsafe_b64encode
from pathlib import Path

import pytest

from functions.settings.settings import Settings, SettingsError
from tests.functions.commands import environ_in

FIRST, SECOND, THIRD = (bytes([number]) * 32 for number in (1, 2, 3))


def text_of(*keys: bytes, separator: str = ",") -> str:
    return separator.join(b64encode(key).decode() for key in keys)


def keys_in(text: str) -> tuple[bytes, ...]:
    environ = environ_in(Path(), ENCRYPTION_KEYS=text)
    return Settings.from_environ(environ).encryption_keys


def test_empty_variable_has_no_keys() -> None:
    assert keys_in("") == keys_in("  ") == ()


@pytest.mark.parametrize("separator", [",", " ", ", ", "\n", " ,\t"], ids=repr)
def test_keys_are_separated_by_commas_or_spaces_and_keep_their_order(separator: str) -> None:
    text = text_of(SECOND, FIRST, THIRD, separator=separator)
    assert keys_in(text) == keys_in(f" {text}\n") == (SECOND, FIRST, THIRD)


def test_keys_may_be_in_either_alphabet_of_base64() -> None:
    key = b"\xfb\xff" * 16
    assert keys_in(urlsafe_b64encode(key).decode()) == keys_in(b64encode(key).decode()) == (key,)


@pytest.mark.parametrize(
    "text",
    [
        " , ",
        text_of(b"k" * 31),
        text_of(b"k" * 33),
        text_of(b"k" * 16),
        text_of(FIRST, b"k" * 31),
        "hunter2-hunter2-hunter2-hunter2!",
        "k" * 43,
        "ključ" * 9,
        text_of(FIRST) + "=",
        "k" * 64,
    ],
    ids=repr,
)
def test_keys_that_cannot_be_used_are_refused_without_being_repeated(text: str) -> None:
    with pytest.raises(SettingsError, match="ENCRYPTION_KEYS") as caught:
        keys_in(text)
    error: BaseException | None = caught.value
    while error is not None:
        assert not [part for part in text.replace(",", " ").split() if part in str(error)]
        error = error.__cause__ or error.__context__
