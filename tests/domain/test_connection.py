"""The names of connections."""

import pytest

from domain.connection import DEFAULT_CONNECTION, is_connection


def test_requests_without_a_name_are_about_this_one() -> None:
    assert DEFAULT_CONNECTION == "default"


@pytest.mark.parametrize("name", ["default", "a", "7", "a.b-c_d@e", "x" * 128])
def test_letters_digits_and_some_marks_name_a_connection(name: str) -> None:
    assert is_connection(name)


@pytest.mark.parametrize(
    "name", ["", ".a", "-a", "_a", "@a", "x" * 129, "a b", "a/b", "\u00e4", "a\n"]
)
def test_nothing_else_does(name: str) -> None:
    assert not is_connection(name)
