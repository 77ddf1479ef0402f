"""Identity tokens: their times, audiences and claims."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from domain.identity_token import (
    LEEWAY,
    Glob,
    IdentityRule,
    TokenRefusedError,
    check_times,
    subject_of,
)

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
AT = int(NOW.timestamp())
SKEW = int(LEEWAY.total_seconds())


def refused(**claims: object) -> str | None:
    try:
        check_times(claims, NOW)
    except TokenRefusedError as error:
        return str(error)
    return None


@pytest.mark.parametrize(
    ("claims", "why"),
    [
        pytest.param({"exp": AT - SKEW + 1}, None, id="expires within the leeway"),
        pytest.param({"exp": AT - SKEW}, "has expired", id="expires at the end of the leeway"),
        pytest.param({"exp": AT + 1.5, "nbf": AT + SKEW}, None, id="begins within the leeway"),
        pytest.param({"exp": AT + 90, "nbf": AT + SKEW + 1}, "not valid yet", id="begins later"),
        pytest.param({"exp": AT + 90, "iat": AT + SKEW + 1}, "not valid yet", id="issued later"),
        pytest.param({}, "no `exp`", id="never expires"),
        pytest.param({"exp": None}, "no `exp`", id="null"),
        pytest.param({"exp": True}, "`exp` is not a time", id="a boolean"),
        pytest.param({"exp": str(AT + 9)}, "`exp` is not a time", id="a text"),
        pytest.param({"exp": float("nan")}, "`exp` is not a time", id="NaN"),
        pytest.param({"exp": float("inf")}, "`exp` is not a time", id="infinity"),
        pytest.param({"exp": 253_402_300_799, "nbf": 0}, None, id="the first and the last time"),
        pytest.param({"exp": 253_402_300_800}, "`exp` is not a time", id="in the year 10000"),
        pytest.param({"exp": 10**400}, "`exp` is not a time", id="beyond a float"),
        pytest.param({"exp": AT + 9, "nbf": -1}, "`nbf` is not a time", id="before 1970"),
        pytest.param({"exp": AT + 9, "iat": [AT]}, "`iat` is not a time", id="a list"),
    ],
)
def test_checklist_66_token_is_valid_between_its_times(
    claims: dict[str, object], why: str | None
) -> None:
    found = refused(**claims)
    assert (found is None) == (why is None)
    assert (why or "") in (found or "")


@pytest.mark.parametrize(
    ("pattern", "text", "matches"),
    [
        pytest.param("repo:acme/*", "repo:acme/shop:ref:x", True, id="the rest"),
        pytest.param("repo:acme/*", "repo:acme", False, id="too short"),
        pytest.param("repo:acme/*", "repo:acme-evil/shop", False, id="another owner"),
        pytest.param("a*a", "a", False, id="ends do not overlap"),
        pytest.param("a?[b]*", "axb", False, id="nothing else is special"),
        pytest.param("a*\n*", "a\n\n", True, id="line feeds"),
        pytest.param("ab", "ab", True, id="the text itself"),
        pytest.param("ab", "a", False, id="another text"),
        pytest.param("*b*", "b", True, id="nothing around it"),
        pytest.param("a*x*b", "ab", False, id="a part is missing"),
        pytest.param("a*a*b", "ab", False, id="a part is only in the beginning"),
        pytest.param("a*b*b", "ab", False, id="a part is only in the end"),
        pytest.param("*b*a*", "ab", False, id="parts in another order"),
        pytest.param("*b*b*", "b", False, id="a part counts once"),
        pytest.param("a*b*c*d", "abcbd", True, id="the first place of a part counts"),
    ],
)
def test_glob(pattern: str, text: str, matches: bool) -> None:  # noqa: FBT001 - the expectation
    assert Glob(pattern).matches(text) is matches


def test_fixed_start_is_before_the_first_star() -> None:
    assert Glob("a/*b*").fixed_start == "a/"


def test_checklist_66_claims_match_by_type_and_value() -> None:
    rule = IdentityRule(
        issuer="https://issuer.example",
        audience="us",
        claims={"sub": "a", "one": 1, "yes": True, "glob": Glob("x*")},
    )
    good: dict[str, Any] = {"sub": "a", "one": 1, "yes": True, "glob": "x", "more": []}
    assert rule.mismatches(good) == []
    assert rule.mismatches({}) == ["sub", "one", "yes", "glob"]
    wrong: dict[str, Any] = {"sub": ["a"], "one": True, "yes": 1, "glob": 0}
    assert rule.mismatches(wrong) == ["sub", "one", "yes", "glob"]
    assert rule.mismatches({**good, "one": 1.0}) == ["one"]
    assert rule.mismatches({**good, "sub": "b", "glob": "y"}) == ["sub", "glob"]


@pytest.mark.parametrize(
    ("audience", "fits"),
    [
        pytest.param("us", True, id="the text"),
        pytest.param(["them", "us"], True, id="in a list"),
        pytest.param([], False, id="no audience"),
        pytest.param(None, False, id="null"),
        pytest.param(["them", ["us"]], False, id="in a list of lists"),
        pytest.param({"us": 1}, False, id="an object"),
        pytest.param("us ", False, id="a longer text"),
    ],
)
def test_audience(audience: object, fits: bool) -> None:  # noqa: FBT001 - the expectation
    rule = IdentityRule(issuer="https://issuer.example", audience="us", claims={})
    assert rule.is_for({"aud": audience}) is fits


@pytest.mark.parametrize(
    ("claims", "shown"),
    [
        pytest.param({"sub": "a", "repository": "b"}, "a", id="the subject"),
        pytest.param({"repository": "b"}, "b", id="the repository"),
        pytest.param({"sub": "", "repository": 1}, "unknown", id="neither"),
        pytest.param({"sub": "é\r\n\u202e (x)"}, "?????(x)", id="not printable"),
        pytest.param({"sub": "!~"}, "!~", id="the first and the last character"),
        pytest.param({"sub": "x" * 999}, "x" * 100, id="long"),
    ],
)
def test_subject_is_short_and_printable(claims: dict[str, object], shown: str) -> None:
    assert subject_of(claims) == shown


def test_leeway_is_small() -> None:
    assert timedelta(seconds=30) == LEEWAY
