"""The targets of the pages' links and the named commands of make exist."""

import re
from pathlib import Path

import pytest

from tests.docs.pages import DOCUMENTS, ROOT, anchors

_LINK = re.compile(r"\]\(([^)#:]*)(?:#([^)]*))?\)")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_within_the_documents_leads_somewhere(document: Path) -> None:
    for target, anchor in _LINK.findall(document.read_text()):
        file = document.parent / target if target else document
        assert file.exists(), target
        assert not anchor or anchor in anchors(file.read_text()), f"{target}#{anchor}"


def test_the_anchors_of_earlier_readmes_still_lead_somewhere() -> None:
    there = anchors((ROOT / "README.md").read_text())
    assert {"environment-variables", "for-operators", "http", "when-something-is-wrong"} <= there


def test_every_page_is_found_from_the_readme() -> None:
    found, left = set[Path](), [ROOT / "README.md"]
    while left:
        document = left.pop().resolve()
        if document in found or document.suffix != ".md":
            continue
        found.add(document)
        targets = (target for target, _ in _LINK.findall(document.read_text()) if target)
        left += [document.parent / target for target in targets]
    assert set((ROOT / "docs").glob("*.md")) <= found


def test_the_make_commands_named_in_the_documents_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {
        command
        for document in DOCUMENTS
        for command in re.findall(r"(?:`|^)make ([a-z-]+)", document.read_text(), re.MULTILINE)
    }
    assert named <= targets
    assert {"run", "test", "check"} <= named
