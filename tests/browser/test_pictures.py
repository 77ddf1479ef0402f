"""The pictures of docs/page.md show the page as it is."""

from typing import TYPE_CHECKING

import pytest

from tests.docs.pages import page
from tests.docs.pictures import (
    IMAGES,
    LARGEST,
    PICTURES,
    SCALE,
    file_of,
    lines_of,
    shown,
    size_of,
    texts,
)

if TYPE_CHECKING:
    from playwright.sync_api import Browser


@pytest.mark.usefixtures("showcase")
@pytest.mark.parametrize("name", PICTURES)
def test_the_picture_has_the_text_of_the_page(browser: "Browser", name: str) -> None:
    with shown(browser, PICTURES[name]) as visitor:
        assert lines_of(visitor) == texts()[name], "python -m tests.docs.pictures"


def test_the_documentation_shows_each_picture() -> None:
    assert {*IMAGES.iterdir()} == {*map(file_of, PICTURES)}
    for name, picture in PICTURES.items():
        file = file_of(name)
        assert size_of(file) == (SCALE * picture.width, SCALE * picture.height)
        assert file.stat().st_size < LARGEST
        assert f"](images/{file.name})" in page("page.md")
