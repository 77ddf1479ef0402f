"""`oauth-callback list` against scripted pages; tests/docs runs it against a real deployment."""

import json
from collections.abc import Sequence
from urllib.parse import parse_qs, urlsplit

import pytest

from oauth_callback.cli import exits
from tests.client.cli.rig import Cli, Ended
from tests.ports.scripted_server import answer, in_turn, serving

Page = dict[str, object]


def page(*names: str, following: object = None) -> Page:
    return {"connections": [{"connection": name, "state": "fresh"} for name in names]} | {
        "next": following
    }


def run(
    cli: Cli,
    patch: pytest.MonkeyPatch,
    pages: Sequence[Page],
    *options: str,
    status: str = "200 OK",
    kind: str = "application/json",
) -> tuple[Ended, list[dict[str, list[str]]]]:
    """Run the command, and return its end and the parameters of its requests."""
    scripts = [answer(status, json.dumps(each).encode(), content_type=kind) for each in pages]
    with serving(in_turn(scripts)) as server:
        patch.setenv("OAUTH_CALLBACK_URL", server.endpoint.removesuffix("/token"))
        ended = cli("list", *options)
        targets = [urlsplit(request.line.split()[1]) for request in server.requests]
    assert {target.path for target in targets} == {"/api/connections"}
    return ended, [parse_qs(target.query) for target in targets]


def test_all_pages_are_printed_in_their_order(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    pages = [page("b", "a", following="b"), page(following="k"), page("z", "c:x")]
    ended, asked = run(cli, monkeypatch, pages, "--state", "fresh")
    assert ended == Ended(0, "b\na\nz\nc:x\n", "")
    always = {"limit": ["1000"], "state": ["fresh"]}
    assert asked == [always, {**always, "after": ["b"]}, {**always, "after": ["k"]}]


def test_json_has_the_members_of_each_connection(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    ended, _ = run(cli, monkeypatch, [page("a", following="a"), page("b")], "--json")
    expected = [{"connection": name, "state": "fresh"} for name in ("a", "b")]
    assert json.loads(ended.out) == expected
    ended, _ = run(cli, monkeypatch, [page()], "--json")
    assert (ended.code, ended.out) == (0, "[]\n")


@pytest.mark.parametrize(
    ("pages", "word"),
    [
        pytest.param([{"next": None}], "'connections'", id="nothing"),
        pytest.param([{"connections": [{}], "next": None}], "'connections'", id="no-name"),
        pytest.param([{"connections": ["a"], "next": None}], "'connections'", id="no-object"),
        pytest.param([page("a", following=1)], "'next'", id="next-of-another-type"),
        pytest.param([page("a", following="a"), page("a", following="a")], "'next'", id="endless"),
    ],
)
def test_a_malformed_page_is_reported_and_nothing_is_printed(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, pages: list[Page], word: str
) -> None:
    ended, _ = run(cli, monkeypatch, pages)
    assert (ended.code, ended.out) == (exits.MISCONFIGURED, "")
    assert word in ended.err


def test_a_deployment_of_an_earlier_version_cannot_list(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    problem: Page = {"type": "urn:oauth-callback:problem:not-found", "detail": "Not found."}
    options = {"status": "404 Not Found", "kind": "application/problem+json"}
    ended, _ = run(cli, monkeypatch, [problem], **options)
    assert (ended.code, ended.out) == (exits.OTHER, "")
    assert "oauth-callback status CONNECTION" in ended.err
