"""docs/architecture.md: its pictures are valid, and its states are those of the code."""

from xml.etree import ElementTree as ET

import pytest

from domain.grant import Grant
from tests.docs.pages import ROOT, first_cells, page
from tests.docs.transitions import members

PAGE = page("architecture.md")


@pytest.mark.parametrize("name", ["grant-states.svg", "token-request.svg"])
def test_the_pictures_are_well_formed_and_have_colours_for_light_and_dark(name: str) -> None:
    text = (ROOT / "docs" / name).read_text()
    root = ET.fromstring(text)  # noqa: S314 - our own file
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert "@media (prefers-color-scheme: dark)" in text
    assert f"]({name})" in PAGE


def test_the_states_on_the_page_are_those_of_the_code() -> None:
    states = [state.__name__ for state in members(Grant)]
    assert sorted(first_cells("## The states of a grant", PAGE)) == sorted(states)
