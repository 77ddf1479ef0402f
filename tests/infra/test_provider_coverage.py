"""The count of served providers: each kind of provider, and files of another form."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from infra.provider_coverage import FactsError, main, obstacle, read_facts, report

URLS = {
    "authorization_endpoint": [{"value": "https://a.test/authorize"}],
    "token_endpoint": [{"value": "https://a.test/token"}],
}
PROVIDERS = {
    "google": {"name": "Google", **URLS},
    "own": {"name": "Our own", **URLS},
    "published": {"token_endpoint": [{"value": "from metadata"}], "name": "Any"}
    | {"authorization_endpoint": [{"value": "from metadata: of the issuer"}]},
    "closed": {"name": "Closed (closed to new keys since 2024)", **URLS},
    "gone": {"name": "Gone (legacy, turned down)", **URLS},
    "by-get": {
        "name": "x",
        **URLS,
        "refresh_endpoint": [{"value": "GET https://a.test/refresh?access_token=…"}],
    },
    "exchanges": {
        "name": "x",
        **URLS,
        "scopes_for_refresh": [{"value": "NO refresh tokens: exchange grant_type=x"}],
    },
    "borrowed": {
        "name": "x",
        **URLS,
        "redirect_uri": [{"value": "http://localhost:1455/callback only"}],
    },
    "unknown": {"name": "x", "authorization_endpoint": [{"value": "https://a.test/a"}]},
}
REPORT = """\
9 providers
  with a preset: 1
  described by variables alone: 2
    own
    published
  not served: 6
    closed: it accepts no new clients
    gone: it has been shut down
    by-get: it refreshes by GET, with the token in the URL
    exchanges: it has no refresh tokens, and exchanges access tokens
    borrowed: its redirect URI is another client's
    unknown: its token_endpoint is not known
"""


def written(folder: Path, content: object) -> Path:
    path = folder / "providers.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_each_provider_is_counted_once_with_its_reason(tmp_path: Path) -> None:
    path = written(tmp_path, {"legend": {}, "providers": PROVIDERS})
    assert report(read_facts(path)) == REPORT


def test_several_values_of_a_fact_are_read(tmp_path: Path) -> None:
    entry = {"redirect_uri": [{"value": "https"}, {"value": "exact"}], "contradictions": ["a"]}
    [facts] = read_facts(written(tmp_path, {"providers": {"x": entry}})).values()
    assert facts == {"redirect_uri": "https; exact", "contradictions": ""}


def test_redirect_to_loopback_is_no_obstacle_if_others_are_allowed() -> None:
    facts = {name: str(values[0]["value"]) for name, values in URLS.items()}
    assert obstacle({**facts, "redirect_uri": "http://localhost allowed"}) is None


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "JSONDecodeError"),
        ("[]", "is not a list of facts"),
        ({"providers": []}, "is not a list of facts"),
        ({"providers": {"x": {"name": 1}}}, "in name"),
        ({"providers": {"x": {"name": [{}]}}}, "KeyError 'value'"),
    ],
    ids=str,
)
def test_file_of_another_form_is_reported(tmp_path: Path, content: object, said: str) -> None:
    with pytest.raises(FactsError, match=said):
        read_facts(written(tmp_path, content))


def test_missing_file_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "none.json"
    assert main([str(path)]) == f"{path} cannot be read: No such file or directory"


def test_command_prints_the_report(tmp_path: Path) -> None:
    path = written(tmp_path, {"providers": PROVIDERS})
    command = [sys.executable, "-m", "infra.provider_coverage", str(path)]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == REPORT
