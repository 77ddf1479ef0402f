"""docs/providers.md: it is generated from the presets."""

import re

import pytest

from tests.docs.pages import README, page
from tests.docs.providers import PAGE, description
from tests.docs.providers import page as generated
from tests.presets import NAMES

PRESETS = [name for name in NAMES if name != "custom"]


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text() == generated(), (
        "run: python -m tests.docs.providers > docs/providers.md"
    )


def test_each_preset_has_a_section() -> None:
    assert re.findall(r"^## (\S+)$", page("providers.md"), re.MULTILINE) == PRESETS


def test_the_other_pages_refer_to_it() -> None:
    assert "docs/providers.md" in README
    assert "(providers.md)" in page("configuration.md")


@pytest.mark.parametrize("text", ["Register an app", "Unknown: x", "register: x"])
def test_a_line_without_a_known_label_is_noticed(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ast.get_docstring", lambda _module: f"A name.\n\n{text}")
    with pytest.raises(ValueError, match="a line without a label"):
        description("digikey")
