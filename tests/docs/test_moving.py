"""docs/moving.md: its commands run unchanged, one after the other."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from domain.grant import Authorized, Moved
from tests.docs.pages import ROOT, blocks, page
from tests.domain.examples import TOKENS
from tests.functions.admin.test_admin_move import Place

PAGE = page("moving.md")
GRANT = Authorized(tokens=TOKENS)
NAMES = ("alice", "default")


EXPORT, IMPORT, DELETE, TAKE_BACK, RETURN = blocks("sh", PAGE)
EXPORTED, IMPORTED = blocks("text", PAGE)


class Checkout:
    """A folder for the commands, with the two files of the page."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.old, self.new = (self._deployment(name) for name in ("old", "new"))
        self.old.keep(**dict.fromkeys(NAMES, GRANT))

    def type(self, commands: str) -> str:
        """Run commands in a shell that stops at the first failure. Return their output."""
        there = commands.replace(".venv/bin/python", sys.executable)
        return subprocess.check_output(
            ["bash", "-ec", there],
            cwd=self.folder,
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)},
            text=True,
        )

    def _deployment(self, name: str) -> Place:
        environ = {
            "CLIENT_ID": "client",
            "CLIENT_SECRET": "not a real $ecret",
            "API_KEY": "the-api-key-of-this-test",
            "SQLITE_PATH": str(self.folder / f"{name}.sqlite"),
        }
        lines = (f"{variable}='{value}'\n" for variable, value in environ.items())
        (self.folder / f"{name}.env").write_text("".join(lines))
        return Place(environ)


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


def test_the_commands_move_everything_there_and_back(checkout: Checkout) -> None:
    assert checkout.type(EXPORT) == EXPORTED
    assert checkout.type(IMPORT) == IMPORTED
    checkout.type(DELETE)
    assert not (checkout.folder / "grants.export").exists()
    assert checkout.new.kept(*NAMES) == [GRANT, GRANT]
    assert all(isinstance(grant, Moved) for grant in checkout.old.kept(*NAMES))
    assert checkout.type(RETURN).endswith(IMPORTED)
    assert checkout.old.kept(*NAMES) == [GRANT, GRANT]
    assert all(isinstance(grant, Moved) for grant in checkout.new.kept(*NAMES))


def test_connections_that_nobody_has_imported_are_taken_back(checkout: Checkout) -> None:
    checkout.type(EXPORT)
    assert checkout.type(TAKE_BACK) == "".join(f"{name}: taken back\n" for name in NAMES)
    assert checkout.old.kept(*NAMES) == [GRANT, GRANT]


def test_one_connection_may_go_first(checkout: Checkout) -> None:
    [arguments] = re.findall(r"name it: `(export [^`]+)`", PAGE)
    checkout.type(EXPORT.replace("export grants.export", arguments))
    assert checkout.old.kept("alice") == [GRANT]
    assert isinstance(checkout.old.kept("default")[0], Moved)
