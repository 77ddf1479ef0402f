"""A login that expires, although its tokens are refreshed: rule 2 of `alerts.py`."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from domain.alert_book import AlertBook, EndingLogin
from domain.alert_conditions import Watch, failures_of
from domain.grant import Active, Authorized, Grant, is_over, tokens_of
from domain.provider import GrantType, RotationKind
from domain.tokens import MAX_CLOCK_SKEW, Tokens

# A threshold counts if the login lasts so many times as long.
_THRESHOLDS_IN_LOGIN = 2


def login_end(grant: Grant, book: AlertBook, now: datetime) -> datetime | None:
    """Return when the login of a grant ends in spite of refreshes; None if unknown (rule 2)."""
    if not isinstance(grant, Active):
        return None
    tokens = grant.tokens
    if tokens.grant_type is GrantType.CLIENT_CREDENTIALS or tokens.expires_at is None:
        return None
    if tokens.refresh_token is None:
        return tokens.access_token_expiry(now)
    own = tokens.refresh_token_expires_at
    ends = (tokens.login_end, own if own == book.unprolonged else None)
    return min((end for end in ends if end is not None), default=None)


def thresholds_of(tokens: Tokens, end: datetime, watch: Watch) -> Iterator[timedelta]:
    """Yield the thresholds that count for a login with this end (rule 2)."""
    for each in watch.thresholds.expires_soon:
        if end - tokens.authorized_at >= _THRESHOLDS_IN_LOGIN * each:
            yield each


def unprolonged_after(
    book: AlertBook, before: Grant, current: Grant, watch: Watch
) -> datetime | None:
    """Return the expiry of the refresh token, if a refresh has left it as it was (rule 2)."""
    was, tokens = tokens_of(before), tokens_of(current)
    if tokens is None or is_over(current):
        return None
    end = tokens.refresh_token_expires_at
    if end is None or end == book.unprolonged:
        return end
    if was is None or not _is_unprolonged(was, tokens, end):
        return None
    # Some providers replace a refresh token only when it nears its end.
    longest = max(watch.thresholds.expires_soon, default=timedelta(0))
    is_late = end - tokens.issued_at <= longest
    never_rotates = watch.policy.provider.rotation.kind is RotationKind.NONE
    return end if is_late or never_rotates else None


def _is_unprolonged(was: Tokens, tokens: Tokens, end: datetime) -> bool:
    """Whether a refresh of one login left the expiry of its refresh token as it was."""
    by = _moved_by(was, tokens, end)
    return by is not None and abs(by) <= _inaccuracy(was, tokens)


def _moved_by(was: Tokens, tokens: Tokens, end: datetime) -> timedelta | None:
    """Return by how much a refresh of one login has moved the expiry; None if that is unknown."""
    own = was.refresh_token_expires_at
    is_refresh = was.authorized_at == tokens.authorized_at and was != tokens
    return end - own if is_refresh and own is not None else None


def _inaccuracy(was: Tokens, tokens: Tokens) -> timedelta:
    """Return by how much the same expiry may differ: providers state the seconds that are left.

    It is less than what a new lifetime moves it by: the time between the two issues.
    """
    between = tokens.issued_at - was.issued_at
    return min(MAX_CLOCK_SKEW, max(between, timedelta(0)) / 2)


# The sweep leaves an unused grant alone for longer than until a threshold.


def refresh_wanted_at(book: AlertBook, grant: Grant | None, watch: Watch) -> datetime | None:
    """Return from when a refresh must show whether it prolongs the login (rule 2).

    None if that is known, or no threshold is left, or without a grant.
    """
    if not isinstance(grant, Authorized):
        return None
    tokens, end = grant.tokens, grant.tokens.refresh_token_expires_at
    is_known = end in {book.unprolonged, book.prolonged, tokens.login_end}
    if end is None or is_known or tokens.keep_alive_at() is None:
        return None
    at, failures = _next_threshold(tokens, end, watch), failures_of(grant)
    return at if at is None or failures is None else max(at, failures.retry_at)


def _next_threshold(tokens: Tokens, end: datetime, watch: Watch) -> datetime | None:
    """Return the first threshold of an end after the last refresh; None if none is left."""
    instants = (end - each for each in thresholds_of(tokens, end, watch))
    return min((at for at in instants if at > tokens.issued_at), default=None)


def prolonged_after(
    book: AlertBook, before: Grant, current: Grant, watch: Watch
) -> datetime | None:
    """Return the expiry of the refresh token, if the last refresh has moved it (rule 2).

    None if that does not matter: the sweep refreshes before each threshold anyway.
    """
    was, tokens = tokens_of(before), tokens_of(current)
    if tokens is None or is_over(current):
        return None
    end = tokens.refresh_token_expires_at
    if end is None:
        return None
    at, due = _next_threshold(tokens, end, watch), tokens.keep_alive_at()
    if at is None or due is None or due <= at:
        return None
    is_moved = was is not None and _is_prolonged(was, tokens, end)
    return end if is_moved or (end == book.prolonged and was == tokens) else None


def _is_prolonged(was: Tokens, tokens: Tokens, end: datetime) -> bool:
    """Whether a refresh of one login has moved the expiry of its refresh token."""
    by = _moved_by(was, tokens, end)
    return by is not None and by > _inaccuracy(was, tokens)


def ending_after(book: AlertBook, current: Grant, watch: Watch) -> EndingLogin | None:
    """Return the login that expires soon; None if it does not (rules 2 and 3)."""
    end, tokens = login_end(current, book, watch.now), tokens_of(current)
    if end is None or tokens is None:
        return None
    reached = _reached(tokens, end, watch)
    there = known_ending(book, tokens.authorized_at, watch)
    if there is None:
        return None if reached is None else _ending(tokens, end, reached, watch)
    is_prolonged = end - there.expires_at > MAX_CLOCK_SKEW
    if reached is None:
        # This clock is a little behind another, or the login was prolonged after all.
        return None if is_prolonged else there
    has_heard = there.threshold <= reached and not is_prolonged
    return there if has_heard else _ending(tokens, end, reached, watch)


def known_ending(book: AlertBook, authorized_at: datetime, watch: Watch) -> EndingLogin | None:
    """Return what people heard of this login, by a clock that was not ahead (rule 3)."""
    if (there := book.ending) is None:
        return None
    is_known = there.authorized_at == authorized_at and not watch.is_ahead(there.since)
    return there if is_known else None


def _reached(tokens: Tokens, end: datetime, watch: Watch) -> timedelta | None:
    """Return the shortest threshold that is reached; None if none is (rule 2)."""
    all_ = thresholds_of(tokens, end, watch)
    return min((each for each in all_ if watch.now >= end - each), default=None)


def _ending(tokens: Tokens, end: datetime, threshold: timedelta, watch: Watch) -> EndingLogin:
    return EndingLogin(
        since=watch.now,
        authorized_at=tokens.authorized_at,
        expires_at=end,
        threshold=threshold,
    )
