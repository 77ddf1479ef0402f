"""Identity tokens: their times, audiences and claims."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.identity_token import (
    LEEWAY,
    LONGEST_SUBJECT,
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


@given(pattern=st.text("a*", min_size=1, max_size=9), text=st.text("ab", max_size=9))
def test_glob_matches_as_a_regular_expression_does(pattern: str, text: str) -> None:
    expected = re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), text, re.DOTALL)
    assert Glob(pattern).matches(text) == (expected is not None)


@pytest.mark.parametrize(
    ("pattern", "text", "matches"),
    [
        pytest.param("repo:acme/*", "repo:acme/shop:ref:x", True, id="the rest"),
        pytest.param("repo:acme/*", "repo:acme", False, id="too short"),
        pytest.param("repo:acme/*", "repo:acme-evil/shop", False, id="another owner"),
        pytest.param("a*a", "a", False, id="ends do not overlap"),
        pytest.param("a?[b]*", "axb", False, id="nothing else is special"),
        pytest.param("a*\n*", "a\n\n", True, id="line feeds"),
    ],
)
def test_glob(pattern: str, text: str, matches: bool) -> None:  # noqa: FBT001 - the expectation
    assert Glob(pattern).matches(text) is matches


def test_checklist_66_claims_match_by_type_and_value() -> None:
    rule = IdentityRule(
        issuer="https://issuer.example",
        audience="us",
        claims={"sub": "a", "one": 1, "yes": True, "glob": Glob("*")},
    )
    good: dict[str, Any] = {"sub": "a", "one": 1, "yes": True, "glob": "", "more": []}
    assert rule.mismatches(good) == []
    assert rule.mismatches({}) == ["sub", "one", "yes", "glob"]
    wrong: dict[str, Any] = {"sub": ["a"], "one": True, "yes": 1, "glob": 0}
    assert rule.mismatches(wrong) == ["sub", "one", "yes", "glob"]
    assert rule.mismatches({**good, "one": 1.0}) == ["one"]


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
        pytest.param({"sub": "x" * 999}, "x" * LONGEST_SUBJECT, id="long"),
    ],
)
def test_subject_is_short_and_printable(claims: dict[str, object], shown: str) -> None:
    assert subject_of(claims) == shown


def test_leeway_is_small() -> None:
    assert timedelta(0) < LEEWAY <= timedelta(minutes=1)
