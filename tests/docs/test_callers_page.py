"""docs/callers.md: its entries accept the claims that the page lists, and its limits are right."""

import re
from datetime import timedelta

import pytest

from adapters.compact_token import MAX_TOKEN_BYTES
from adapters.issuer_keys_httpx import FRESH_FOR, LONGEST_USE, READ_LIMIT, READ_PAUSE
from domain.identity_token import LEEWAY
from domain.jwk_set import KEY_TYPES
from functions.settings.callers import CallerEntry
from functions.settings.settings import Settings
from tests.docs.pages import blocks, first_cells, page

PAGE = page("callers.md")
ENVIRON = {"CLIENT_ID": "c", "CLIENT_SECRET": "s", "SQLITE_PATH": "x"}
SECTIONS = ["GitHub Actions", "GitLab", "Vercel", "Kubernetes"]
ROW = re.compile(r"^\| (`.+`) \| (`.+) \|$", re.MULTILINE)


def section(title: str) -> str:
    """Return a section of the page."""
    return PAGE.split(f"## {title}\n", 1)[1].split("\n## ", 1)[0]


def entry_of(title: str) -> CallerEntry:
    (text,) = blocks("json", section(title))
    (entry,) = Settings.from_environ({**ENVIRON, "CALLERS": text}).callers
    return entry


def claims_of(title: str) -> dict[str, object]:
    """Return the first example of each claim in the table of a section."""
    found: dict[str, object] = {}
    for names, examples in ROW.findall(section(title)):
        words = re.findall(r"`([^`]+)`", names)
        values = re.findall(r"`([^`]+)`", examples)
        found |= dict(zip(words, values, strict=False))
    return found


@pytest.mark.parametrize("title", SECTIONS)
def test_the_entry_accepts_the_claims_of_its_section(title: str) -> None:
    rule, claims = entry_of(title).rule, claims_of(title)
    assert rule.mismatches(claims) == []
    assert set(rule.claims) & {"sub", "repository"}
    # The page uses what it recommends.
    assert rule.audience in {"https://keeper.example", "https://vercel.com/acme"}


def test_the_keys_of_the_cluster_are_usable() -> None:
    keys = entry_of("Kubernetes").keys
    assert keys is not None
    assert keys.find("first", "ES256") is not None


def test_the_members_are_those_of_an_entry() -> None:
    assert first_cells("## Entries", PAGE) == [
        *("name", "issuer", "audience", "claims"),
        *("connections", "endpoints", "jwks"),
    ]


def test_the_limits_are_those_of_the_code() -> None:
    checked = section("What is checked")  # plain words: a heading
    for text, limit in {
        "within 5 seconds": READ_LIMIT,
        "again after 10 minutes": FRESH_FOR,
        "every 30 seconds": READ_PAUSE,
        "for up to an hour": LONGEST_USE,
        "differ by 30 s": LEEWAY,
    }.items():
        assert text in checked.replace("\n", " ")
        number = re.search(r"\d+", text)
        unit = "hours" if "hour" in text else "minutes" if "minutes" in text else "seconds"
        assert limit == timedelta(**{unit: int(number[0]) if number else 1})
    assert f"at most {MAX_TOKEN_BYTES // 1024} KiB" in checked
    for algorithm in ("RS256", "PS256", "ES256", "ES384", "ES512", "EdDSA"):
        assert f"`{algorithm}`" in checked
        assert algorithm in KEY_TYPES
