"""The end of a login and that of its refresh token: the earlier one counts."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from domain.provider import LifetimeStart, Provider
from domain.tokens import Tokens
from tests.domain.examples import DAY, DIGIKEY, MINUTE, RESPONSE, T0, TICK

ISSUE, USE, LOGIN = LifetimeStart.ISSUE, LifetimeStart.USE, LifetimeStart.LOGIN
# Without a lifetime of the refresh token.
SILENT = replace(RESPONSE, refresh_token_expires_in=None)
KEPT = replace(SILENT, refresh_token=None)


def provider(
    idle: timedelta | None, login: timedelta | None, counted: LifetimeStart = ISSUE
) -> Provider:
    return replace(
        DIGIKEY,
        refresh_token_lifetime=idle,
        refresh_token_counted=counted,
        login_lifetime=login,
    )


def logged_in(by: Provider) -> Tokens:
    return Tokens.first(SILENT, generation=0, issued_at=T0, provider=by)


# As Atlassian: it expires unused, and at the end of the login all the same.
ATLASSIAN = provider(90 * DAY, 365 * DAY)


@pytest.mark.parametrize(
    ("by", "expires_at", "counted", "login_end", "due_at"),
    [
        pytest.param(ATLASSIAN, T0 + 90 * DAY, ISSUE, T0 + 365 * DAY, T0 + 60 * DAY, id="idle"),
        pytest.param(
            provider(90 * DAY, 60 * DAY), T0 + 60 * DAY, LOGIN, T0 + 60 * DAY, T0 + 60 * DAY,
            id="the login ends first",
        ),
        pytest.param(
            provider(90 * DAY, 90 * DAY), T0 + 90 * DAY, LOGIN, T0 + 90 * DAY, T0 + 90 * DAY,
            id="both at once",
        ),
        pytest.param(
            provider(None, 365 * DAY), T0 + 365 * DAY, ISSUE, T0 + 365 * DAY, T0 + 3 * DAY,
            id="idle limit unknown",
        ),
        pytest.param(
            provider(90 * DAY, 365 * DAY, USE), T0 + 90 * DAY, USE, T0 + 365 * DAY, T0 + 60 * DAY,
            id="sliding",
        ),
        pytest.param(
            provider(7 * DAY, None, LOGIN), T0 + 7 * DAY, LOGIN, T0 + 7 * DAY, T0 + 7 * DAY,
            id="as Schwab",
        ),
        pytest.param(
            provider(90 * DAY, None), T0 + 90 * DAY, ISSUE, None, T0 + 60 * DAY, id="none"
        ),
        pytest.param(provider(None, None), None, ISSUE, None, T0 + 3 * DAY, id="unknown"),
    ],
)  # fmt: skip
def test_the_earlier_end_counts(
    by: Provider,
    expires_at: datetime | None,
    counted: LifetimeStart,
    login_end: datetime | None,
    due_at: datetime,
) -> None:
    tokens = logged_in(by)
    assert (tokens.refresh_token_expires_at, tokens.refresh_token_counted) == (expires_at, counted)
    assert (tokens.login_end, tokens.keep_alive_at()) == (login_end, due_at)


@pytest.mark.parametrize(
    ("by", "after", "expires_at", "counted", "due_at"),
    [
        pytest.param(
            ATLASSIAN, 100 * DAY, T0 + 190 * DAY, ISSUE, T0 + 160 * DAY, id="a refresh extends it"
        ),
        pytest.param(
            ATLASSIAN, 300 * DAY, T0 + 365 * DAY, LOGIN, T0 + 365 * DAY, id="up to the login's end"
        ),
        pytest.param(
            provider(None, 365 * DAY), 300 * DAY, T0 + 365 * DAY, ISSUE, T0 + 303 * DAY,
            id="idle limit unknown",
        ),
        pytest.param(
            provider(7 * DAY, None, LOGIN), 5 * DAY, T0 + 7 * DAY, LOGIN, T0 + 7 * DAY,
            id="as Schwab",
        ),
        pytest.param(
            ATLASSIAN, 365 * DAY - TICK, T0 + 365 * DAY, LOGIN, T0 + 365 * DAY, id="the last moment"
        ),
        pytest.param(
            ATLASSIAN, 365 * DAY, T0 + 455 * DAY, ISSUE, T0 + 425 * DAY, id="it was not over"
        ),
    ],
)  # fmt: skip
def test_a_refresh_extends_no_login(
    by: Provider, after: timedelta, expires_at: datetime, counted: LifetimeStart, due_at: datetime
) -> None:
    renewed = logged_in(by).refreshed(
        replace(SILENT, refresh_token="another"), issued_at=T0 + after, provider=by
    )
    assert (renewed.refresh_token_expires_at, renewed.refresh_token_counted) == (
        expires_at,
        counted,
    )
    assert renewed.keep_alive_at() == due_at


@pytest.mark.parametrize(
    ("by", "after", "expires_at", "counted"),
    [
        pytest.param(ATLASSIAN, DAY, T0 + 90 * DAY, ISSUE, id="idle limit of the same token"),
        pytest.param(ATLASSIAN, 90 * DAY, T0 + 365 * DAY, ISSUE, id="it was not over"),
        pytest.param(provider(90 * DAY, 60 * DAY), DAY, T0 + 60 * DAY, LOGIN, id="the login first"),
        pytest.param(provider(None, 60 * DAY), DAY, T0 + 60 * DAY, ISSUE, id="idle limit unknown"),
    ],
)
def test_a_refresh_token_that_stays_keeps_its_end(
    by: Provider, after: timedelta, expires_at: datetime, counted: LifetimeStart
) -> None:
    kept = logged_in(by).refreshed(KEPT, issued_at=T0 + after, provider=by)
    assert (kept.refresh_token_expires_at, kept.refresh_token_counted) == (expires_at, counted)


@pytest.mark.parametrize(
    ("after", "known", "expires_at"),
    [
        pytest.param(DAY, None, T0 + 7 * DAY, id="declared since the login"),
        pytest.param(DAY, T0 + 6 * DAY, T0 + 6 * DAY, id="known from the login"),
        pytest.param(7 * DAY, None, None, id="it was not over"),
    ],
)
def test_a_declared_end_counts_from_a_login_before_it_was_declared(
    after: timedelta, known: datetime | None, expires_at: datetime | None
) -> None:
    fixed = provider(7 * DAY, None, LOGIN)
    before = replace(logged_in(provider(None, None)), refresh_token_expires_at=known)
    renewed = before.refreshed(SILENT, issued_at=T0 + after, provider=fixed)
    assert renewed.refresh_token_expires_at == expires_at


def test_an_end_of_the_login_is_not_taken_for_the_approaching_end_of_an_idle_limit() -> None:
    """A caller's request refreshes early only if that extends something."""
    unknown = logged_in(provider(None, 7 * DAY))
    assert not unknown.is_refresh_token_near_end(T0 + 7 * DAY - TICK)
    assert logged_in(ATLASSIAN).is_refresh_token_near_end(T0 + 60 * DAY)


def test_a_login_without_a_refresh_token_has_no_end() -> None:
    tokens = Tokens.first(
        replace(RESPONSE, refresh_token=None), generation=0, issued_at=T0, provider=ATLASSIAN
    )
    assert (tokens.refresh_token_expires_at, tokens.login_end) == (None, None)


def test_the_end_counts_from_the_login_and_not_from_the_tokens() -> None:
    tokens = Tokens.first(
        SILENT, generation=0, issued_at=T0, authorized_at=T0 + MINUTE, provider=ATLASSIAN
    )
    assert tokens.login_expires_at == T0 + MINUTE + 365 * DAY
