"""Logins and rescued tokens: rules 8 and 9 of `decide.py`."""

from dataclasses import replace
from datetime import timedelta

import pytest

from domain.commands import AskForAuthorization
from domain.decide import apply
from domain.events import LoginCompleted, Precedence, TokensRescued
from domain.grant import (
    AuthorizationRequired,
    Authorized,
    Cause,
    Grant,
    Moved,
    Revoked,
    Unauthorized,
    tokens_of,
)
from domain.provider import UNDECLARED_ACCESS_TOKEN_LIFETIME
from domain.token_endpoint import RevocationResult
from domain.tokens import Tokens
from tests.domain.examples import (
    DAY,
    DIGIKEY,
    EXPIRED,
    MINUTE,
    POLICY,
    RESPONSE,
    SECOND,
    T0,
    TOKENS,
    UNKNOWN,
    ask,
    authorized,
    begin,
    fail,
)

GRANT = Authorized(tokens=TOKENS)
REVOKED = Revoked(at=T0, result=RevocationResult.REVOKED, place=5)


# 8. Logins.

YEARS = 4 * 365 * DAY
# By how much a clock may be wrong that was ahead, or behind, and is put right.
CLOCKS = [-YEARS, -DAY, timedelta(hours=3), DAY, YEARS]


def log_in(grant: Grant, **changes: object) -> Grant:
    response = replace(RESPONSE, **changes)  # type: ignore[arg-type]
    login = LoginCompleted(response=response, requested_at=EXPIRED)
    return apply(grant, login, POLICY, EXPIRED + SECOND).grant


def test_the_first_login_is_generation_zero_counted_from_before_its_request() -> None:
    grant = authorized(log_in(Unauthorized()))
    assert (grant.tokens.generation, grant.tokens.issued_at) == (0, EXPIRED)


@pytest.mark.parametrize(
    "grant",
    [
        GRANT,
        begin(GRANT, EXPIRED)[0],
        fail(UNKNOWN),
        AuthorizationRequired(
            tokens=TOKENS, cause=Cause.REFRESH_TOKEN_REJECTED, client="c", since=T0
        ),
    ],
)
def test_a_login_replaces_what_there_was_and_starts_a_new_generation(grant: Grant) -> None:
    fresh = authorized(log_in(grant))
    assert (fresh.tokens.generation, fresh.tokens.refresh_token) == (8, "refresh-8")
    assert fresh.failure_state is None


def test_a_login_keeps_no_label_and_no_member_of_the_one_before() -> None:
    before = replace(TOKENS, account="a@a.example", extra=(("realmId", "1"), ("id", 2)))
    after = authorized(log_in(Authorized(tokens=before), extra=(("id", 3),))).tokens
    assert (after.account, after.extra) == (None, (("id", 3),))


def test_a_login_that_is_applied_late_or_twice_replaces_no_later_one() -> None:
    grant = authorized(log_in(Unauthorized()))
    refreshed = Authorized(
        tokens=grant.tokens.refreshed(
            replace(RESPONSE, refresh_token="newer"), issued_at=EXPIRED + DAY, provider=DIGIKEY
        )
    )
    assert log_in(refreshed) is refreshed
    later = Authorized(tokens=replace(refreshed.tokens, authorized_at=EXPIRED + SECOND, place=2))
    assert log_in(later) is later


@pytest.mark.parametrize("by", CLOCKS)
def test_a_login_replaces_the_grant_that_it_read_at_any_difference_of_clocks(by: timedelta) -> None:
    there = Authorized(tokens=replace(TOKENS, authorized_at=EXPIRED + by, issued_at=EXPIRED + by))
    for place in (0, 7):
        before = replace(there, tokens=replace(there.tokens, place=place))
        login = LoginCompleted(response=RESPONSE, requested_at=EXPIRED, read=before)
        after = authorized(apply(before, login, POLICY, EXPIRED + SECOND).grant)
        assert (after.tokens.access_token, after.tokens.place) == ("access-8", place + 1)
        assert after.tokens.authorized_at > before.tokens.authorized_at
        assert after.tokens.issued_at == EXPIRED
        # Noted again, it finds itself.
        assert apply(after, login, POLICY, EXPIRED + SECOND).grant is after


@pytest.mark.parametrize("precedence", [Precedence.RENEWS, Precedence.REPLACES])
@pytest.mark.parametrize("first_stored", [0, 1])
def test_of_two_logins_that_read_the_same_the_one_that_was_sent_last_stays(
    first_stored: int, precedence: Precedence
) -> None:
    logins = [
        LoginCompleted(
            response=replace(RESPONSE, refresh_token=name),
            requested_at=at,
            read=GRANT,
            precedence=precedence,
        )
        for name, at in (("first", EXPIRED), ("second", EXPIRED + SECOND))
    ]
    now = EXPIRED + 2 * SECOND
    grants = [apply(GRANT, login, POLICY, now).grant for login in logins]
    after = apply(grants[first_stored], logins[1 - first_stored], POLICY, now).grant
    tokens, lost = tokens_of(after), tokens_of(grants[0])
    assert tokens is not None
    assert lost is not None
    assert tokens.refresh_token == "second"
    # Nor does one that lies in a log come back over it.
    assert apply(after, TokensRescued(tokens=lost), POLICY, now).grant is after


def test_a_login_without_a_refresh_token_does_not_cost_one_that_works() -> None:
    refreshing, _ = begin(GRANT, EXPIRED)
    assert log_in(GRANT, refresh_token=None) is GRANT
    assert log_in(refreshing, refresh_token=None) is refreshing


def test_a_login_without_a_refresh_token_replaces_a_grant_that_requires_a_login() -> None:
    dead = Authorized(tokens=replace(TOKENS, refresh_token_expires_at=EXPIRED))
    required = AuthorizationRequired(
        tokens=TOKENS, cause=Cause.REFRESH_TOKEN_REJECTED, client="c", since=T0
    )
    for grant in (dead, required, Unauthorized()):
        after = authorized(log_in(grant, refresh_token=None))
        assert after.tokens.refresh_token is None


MINE, OTHER = "a fingerprint", "another fingerprint"
OF_MINE = replace(TOKENS, subject=MINE)
WORKING: dict[str, Grant] = {
    "authorized": Authorized(tokens=OF_MINE),
    "access token over": Authorized(tokens=replace(OF_MINE, expires_at=T0 + SECOND)),
    "for ever": Authorized(tokens=replace(OF_MINE, expires_at=None, refresh_token=None)),
    "in doubt": replace(fail(UNKNOWN), tokens=OF_MINE),
    "refreshing": begin(Authorized(tokens=OF_MINE), EXPIRED)[0],
    "handed over": Moved(grant=Authorized(tokens=OF_MINE), since=T0),
}
DEAD: dict[str, Grant] = {
    "refresh token over": Authorized(tokens=replace(OF_MINE, refresh_token_expires_at=EXPIRED)),
    "no refresh token": Authorized(tokens=replace(OF_MINE, refresh_token=None)),
    "refused": AuthorizationRequired(
        tokens=OF_MINE, cause=Cause.REFRESH_TOKEN_REJECTED, client="c", since=T0
    ),
}


@pytest.mark.parametrize("subject", [OTHER, None], ids=["another", "hidden"])
@pytest.mark.parametrize("grant", WORKING.values(), ids=WORKING)
def test_a_login_of_another_account_keeps_a_grant_that_works_unless_it_replaces(
    grant: Grant, subject: str | None
) -> None:
    response = replace(RESPONSE, subject=subject)
    login = LoginCompleted(response=response, requested_at=EXPIRED)
    assert apply(grant, login, POLICY, EXPIRED + SECOND).grant is grant
    after = apply(
        grant, replace(login, precedence=Precedence.REPLACES), POLICY, EXPIRED + SECOND
    ).grant
    assert isinstance(after, Authorized)
    assert after.tokens.subject == subject


@pytest.mark.parametrize("subject", [MINE, OTHER, None])
@pytest.mark.parametrize("grant", WORKING.values(), ids=WORKING)
def test_a_login_that_yields_keeps_a_grant_that_works(grant: Grant, subject: str | None) -> None:
    login = LoginCompleted(
        response=replace(RESPONSE, subject=subject),
        requested_at=EXPIRED,
        precedence=Precedence.YIELDS,
    )
    assert apply(grant, login, POLICY, EXPIRED + SECOND).grant is grant


@pytest.mark.parametrize("grant", [*DEAD.values(), Unauthorized()], ids=[*DEAD, "nobody's"])
def test_a_login_that_yields_replaces_a_grant_that_requires_a_login(grant: Grant) -> None:
    login = LoginCompleted(response=RESPONSE, requested_at=EXPIRED, precedence=Precedence.YIELDS)
    after = authorized(apply(grant, login, POLICY, EXPIRED + SECOND).grant)
    assert after.tokens.access_token == "access-8"


@pytest.mark.parametrize("grant", DEAD.values(), ids=DEAD)
def test_a_login_of_another_account_replaces_a_grant_that_requires_a_login(grant: Grant) -> None:
    after = authorized(log_in(grant, subject=OTHER))
    assert after.tokens.subject == OTHER


@pytest.mark.parametrize(("before", "subject"), [(MINE, MINE), (None, OTHER), (None, None)])
def test_a_login_replaces_a_working_grant_of_the_same_or_an_unknown_account(
    before: str | None, subject: str | None
) -> None:
    after = authorized(log_in(Authorized(tokens=replace(TOKENS, subject=before)), subject=subject))
    assert (after.tokens.access_token, after.tokens.subject) == ("access-8", subject)


def test_a_login_that_replaces_does_so_without_a_refresh_token() -> None:
    login = LoginCompleted(
        response=replace(RESPONSE, refresh_token=None),
        requested_at=EXPIRED,
        precedence=Precedence.REPLACES,
    )
    after = authorized(apply(GRANT, login, POLICY, EXPIRED + SECOND).grant)
    assert after.tokens.refresh_token is None


def test_a_login_that_replaces_does_not_replace_a_later_one() -> None:
    later = Authorized(tokens=replace(OF_MINE, authorized_at=EXPIRED + SECOND, place=2))
    login = LoginCompleted(
        response=replace(RESPONSE, subject=OTHER),
        requested_at=EXPIRED,
        precedence=Precedence.REPLACES,
    )
    assert apply(later, login, POLICY, EXPIRED + SECOND).grant is later


def test_a_login_whose_access_token_never_expires_needs_no_refresh_token() -> None:
    for_ever = replace(POLICY, provider=replace(DIGIKEY, access_token_lifetime=None))
    login = LoginCompleted(
        response=replace(RESPONSE, refresh_token=None, expires_in=None), requested_at=EXPIRED
    )
    after = authorized(apply(GRANT, login, for_ever, EXPIRED).grant)
    assert after.tokens.access_token == "access-8"
    # An assumed lifetime is not a reason to lose a valid refresh token.
    assumed = replace(DIGIKEY, access_token_lifetime=UNDECLARED_ACCESS_TOKEN_LIFETIME)
    undeclared = replace(POLICY, provider=assumed)
    assert apply(GRANT, login, undeclared, EXPIRED).grant is GRANT
    # One that does expire is not endless because others of this provider are.
    ends = replace(login, response=replace(RESPONSE, refresh_token=None))
    assert apply(GRANT, ends, for_ever, EXPIRED).grant is GRANT


@pytest.mark.parametrize(
    ("there", "read", "place"),
    [
        (replace(TOKENS, place=3), Unauthorized(), None),
        (replace(TOKENS, place=3, authorized_at=T0 - DAY), Unauthorized(), 4),
        (replace(TOKENS, place=3), REVOKED, 6),
        # An older record was put back under a login that had read a later one.
        (replace(TOKENS, place=3, authorized_at=T0 + YEARS), REVOKED, 6),
        # The release that stored these did not count.
        (replace(TOKENS, place=0, authorized_at=T0 + YEARS), Unauthorized(), 1),
    ],
)
def test_a_login_has_a_higher_count_than_the_grants_that_it_read_and_replaced(
    there: Tokens, read: Grant, place: int | None
) -> None:
    """Where both have read the same, the later instant is the later login."""
    login = LoginCompleted(response=RESPONSE, requested_at=T0 - MINUTE, read=read)
    grant = Authorized(tokens=there)
    after = apply(grant, login, POLICY, EXPIRED).grant
    if place is None:
        assert after is grant
    else:
        assert isinstance(after, Authorized)
        assert (after.tokens.refresh_token, after.tokens.place) == ("refresh-8", place)


@pytest.mark.parametrize(
    ("grant", "read"),
    [
        (Unauthorized(), 0),
        (REVOKED, 5),
        (Authorized(tokens=replace(TOKENS, place=4, refresh_token_expires_at=EXPIRED)), 4),
    ],
)
def test_a_request_for_a_login_has_the_count_of_the_record(grant: Grant, read: int) -> None:
    command = ask(grant, EXPIRED).command
    assert isinstance(command, AskForAuthorization)
    assert command.read == read


# 9. Rescue.


@pytest.mark.parametrize(
    ("grant", "is_kept"),
    [
        (Unauthorized(), True),
        (begin(GRANT, EXPIRED)[0], True),
        (GRANT, True),
        (Authorized(tokens=replace(TOKENS, generation=8, refresh_token="other")), False),
        (Authorized(tokens=replace(TOKENS, generation=9)), False),
        # A later login by the count, with either clock, and one that was stored since.
        (Authorized(tokens=replace(TOKENS, authorized_at=T0 - YEARS, place=2)), False),
        (Authorized(tokens=replace(TOKENS, authorized_at=T0 + YEARS, place=1)), False),
        # Logins over what nobody could read begin at generation zero; these were not counted yet.
        (Authorized(tokens=replace(TOKENS, generation=0, authorized_at=T0 + SECOND)), False),
        (Authorized(tokens=replace(TOKENS, generation=99, authorized_at=T0 - SECOND)), True),
    ],
)
def test_rescued_tokens_replace_an_older_login_or_generation_only(
    grant: Grant, *, is_kept: bool
) -> None:
    counted = tokens_of(grant)
    rescued = replace(
        TOKENS,
        generation=8,
        access_token="access-8",
        refresh_token="refresh-8",
        place=1 if counted is not None and counted.place else 0,
    )
    after = apply(grant, TokensRescued(tokens=rescued), POLICY, EXPIRED).grant
    assert after == (Authorized(tokens=rescued) if is_kept else grant)
