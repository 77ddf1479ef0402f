"""docs/client.md and client/README.md: their programs run, and the names are the code's."""

import inspect
import json
import re

import pytest

import oauth_callback
from oauth_callback import KeeperError, TokenSource, adapters, load_settings, settings
from oauth_callback.profiles import Profile
from oauth_callback.testing import FakeKeeper
from tests.client.guarded_api import guarded_api
from tests.docs.pages import ROOT, blocks, first_cells, page

PAGE = page("client.md")
README = (ROOT / "client" / "README.md").read_text()
PROGRAMS = [*blocks("python", PAGE), *blocks("python", README)]
_IMPORT = re.compile(r"^(?:import|from) (\w+)", re.MULTILINE)


@pytest.mark.parametrize("program", PROGRAMS, ids=range(1, len(PROGRAMS) + 1))
def test_the_program_runs(program: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for library in _IMPORT.findall(program):
        pytest.importorskip(library)
    with FakeKeeper() as keeper, guarded_api("token-1") as api:
        for name, value in keeper.environ.items():
            monkeypatch.setenv(name, value)
        there = program.replace("https://api.example", api.url)
        exec(compile(there, "the page", "exec"), {"__name__": "__main__"})  # noqa: S102
        assert {status for _, status in api.seen} <= {200}
        assert bool(api.seen) == (api.url in there)


def test_the_tables_have_every_name() -> None:
    variables = {settings.URL, settings.KEY, settings.KEY_FILE, settings.PROFILE}
    variables.add(settings.ALLOW_HTTP)
    assert set(first_cells("## Settings", PAGE)) == variables
    errors = {
        name
        for name in oauth_callback.__all__
        if issubclass(type(kind := getattr(oauth_callback, name)), type)
        and issubclass(kind, KeeperError)
    }
    assert {*first_cells("## Errors", PAGE), "KeeperError"} == errors
    for name in adapters.__all__:
        assert f"{name}(source)" in PAGE


def test_the_arguments_are_named() -> None:
    documented = set(re.findall(r"`(\w+)`", PAGE))
    arguments = set(inspect.signature(TokenSource).parameters) - {"keeper", "clock", "sleep"}
    assert arguments <= documented
    looked_up = set(inspect.signature(load_settings).parameters) - {"environ"}
    assert looked_up <= documented


def test_the_profiles_of_the_page_are_valid() -> None:
    (example,) = blocks("json", PAGE)
    members = {name for profile in json.loads(example).values() for name in profile}
    assert members <= set(Profile.__slots__)
