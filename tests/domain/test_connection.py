"""The names of connections."""

import pytest

from domain.connection import DEFAULT_CONNECTION, is_connection


def test_a_request_without_a_connection_means_the_default_one() -> None:
    assert DEFAULT_CONNECTION == "default"


@pytest.mark.parametrize("name", ["default", "a", "7", "A.Z-c_d@e", "Z", "x" * 128])
def test_letters_digits_and_some_marks_name_a_connection(name: str) -> None:
    assert is_connection(name)


@pytest.mark.parametrize(
    "name", ["", ".a", "-a", "_a", "@a", "x" * 129, "a b", "a/b", "\u00e4", "a\n"]
)
def test_no_other_characters_name_a_connection(name: str) -> None:
    assert not is_connection(name)
