"""The book after a change: what begins, what ends, and what that owes.

Rules 3 to 6 of `alerts.py`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from domain.alert_book import EMPTY, AlertBook, Condition
from domain.alert_conditions import (
    TROUBLE,
    Watch,
    failures_of,
    login_cause,
    settled,
    trouble_after,
)
from domain.alert_delivery import claimed, is_claimed, is_deliverable, owe
from domain.alert_expiries import (
    ending_after,
    known_ending,
    login_end,
    prolonged_after,
    refresh_wanted_at,
    thresholds_of,
    unprolonged_after,
)
from domain.alerts import Alert, AlertKind
from domain.grant import (
    Adopting,
    AuthorizationRequired,
    Authorized,
    Failure,
    Grant,
    Refreshing,
    Requesting,
    due_at,
    is_over,
    tokens_of,
)
from domain.provider import GrantType
from domain.tokens import EARLIEST_ISSUE, Tokens

# Of an account's label and a provider's answer, in characters. A record may owe many alerts, and an
# item of DynamoDB has 400 KB at most, with the tokens.
LONGEST_TEXT = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """An alert that a change owes by itself (rule 4)."""

    kind: AlertKind
    cause: str | None = None


def book_after(
    book: AlertBook | None,
    before: Grant,
    after: Grant,
    watch: Watch,
    *,
    new_id: str,
    news: Sequence[News] = (),
) -> AlertBook | None:
    """Return the book to store with the grant `after`; None for an empty one (rules 1 to 6).

    `new_id` is fresh random text. If the book has a claim with this id, the writer delivers.
    """
    book, now, current = book or EMPTY, watch.now, settled(after, watch)
    found = book if current is None else _with_conditions(book, before, current, watch)
    alerts = [
        *_of_change(before, after, news),
        *(() if current is None else _of_conditions(book, found, current, watch)),
    ]
    numbered = [
        replace(alert, id=f"{new_id}-{number}" if number else new_id, at=now)
        for number, alert in enumerate(alerts)
    ]
    found = replace(owe(found, numbered, now), check_at=_check_at(found, after, current, watch))
    # While a request is in flight, its answer is the next write: a delivery would be in its way.
    is_due = current is not None and is_deliverable(found, now)
    if is_due or (numbered and not is_claimed(found, now)):
        found = claimed(found, new_id, now)
    return None if found == EMPTY else found


def _with_conditions(book: AlertBook, before: Grant, current: Grant, watch: Watch) -> AlertBook:
    """Return the book with the conditions of a grant (rules 1 and 2)."""
    book = replace(
        book,
        failing_since=_failing_since(book, current, watch),
        unprolonged=unprolonged_after(book, before, current, watch),
        prolonged=prolonged_after(book, before, current, watch),
    )
    trouble = trouble_after(book, before, current, watch)
    is_needed = trouble is not None and trouble.kind is AlertKind.LOGIN_NEEDED
    others = tuple(each for each in book.open if each.kind not in TROUBLE)
    return replace(
        book,
        open=others if trouble is None else (*others, trouble),
        ending=None if is_needed else ending_after(book, current, watch),
    )


def _failing_since(book: AlertBook, current: Grant, watch: Watch) -> datetime | None:
    """Return since when refreshes fail, as far as the book saw it; None if they do not (rule 1).

    A clock that was ahead must not hide an hour of failures: it is as if they began now.
    """
    if (failures := failures_of(current)) is None:
        return None
    return min(book.failing_since or failures.began_at, watch.now)


# Rules 3 and 4: what is owed.


def _of_change(before: Grant, after: Grant, news: Sequence[News]) -> Iterator[Alert]:
    """Yield the alerts of the change itself (rule 4)."""
    for each in news:
        yield _alert(each.kind, after, each.cause)
    was, tokens = _proven_tokens(before), _proven_tokens(after)
    if was is not None and tokens is not None and was.belong_to_other_account(tokens.subject):
        yield _alert(AlertKind.ACCOUNT_CHANGED, after)


def _proven_tokens(grant: Grant) -> Tokens | None:
    """Return the tokens of a grant, without those that wait for their proof (rule 4)."""
    return tokens_of(grant.earlier if isinstance(grant, Adopting) else grant)


def _of_conditions(
    book: AlertBook, found: AlertBook, current: Grant, watch: Watch
) -> Iterator[Alert]:
    """Yield the alerts of conditions that began or ended (rule 3)."""
    was, trouble = book.condition(*TROUBLE), found.condition(*TROUBLE)
    if was is not None and trouble is None and not is_over(current):
        yield replace(_alert(AlertKind.RECOVERED, current, was.kind.value), since=was.since)
    if trouble is not None and (was is None or was.kind is not trouble.kind):
        yield _of_trouble(trouble, current, found, watch)
    if (ending := found.ending) is not None:
        heard = known_ending(book, ending.authorized_at, watch)
        if heard is None or ending.threshold < heard.threshold:
            alert = _alert(AlertKind.EXPIRES_SOON, current)
            yield replace(alert, expires_at=ending.expires_at)


def _of_trouble(trouble: Condition, current: Grant, found: AlertBook, watch: Watch) -> Alert:
    """Return the alert of trouble that began, with its cause and the provider's answer."""
    failures = failures_of(current)
    cause, since, quote = None, found.failing_since, None
    if failures is not None:
        cause, quote = failures.failure.value, failures.quote
    if (login := login_cause(current, watch)) is not None:
        cause, since = login.value, _login_needed_since(current, watch)
    if isinstance(current, AuthorizationRequired):
        quote = current.quote
    return replace(_alert(trouble.kind, current, cause), since=since, quote=_cut(quote))


def _login_needed_since(grant: Grant, watch: Watch) -> datetime | None:
    """Return since when a login is needed: since a refusal, or an expiry."""
    if isinstance(grant, AuthorizationRequired):
        return grant.since
    if (failures := failures_of(grant)) is not None and failures.failure is Failure.REFUSED:
        return failures.at
    if (tokens := tokens_of(grant)) is None:
        return None
    has_refresh_token = tokens.refresh_token is not None
    expiry = tokens.refresh_token_expires_at
    return expiry if has_refresh_token else tokens.access_token_expiry(watch.now)


def _alert(kind: AlertKind, grant: Grant, cause: str | None = None) -> Alert:
    """Return an alert without its id and time, which `book_after` adds."""
    tokens = tokens_of(grant)
    account = None if tokens is None else tokens.account
    return Alert(
        id="",
        kind=kind,
        at=EARLIEST_ISSUE,
        cause=cause,
        account=_cut(account),
    )


def _cut(text: str | None) -> str | None:
    return None if text is None else text[:LONGEST_TEXT]


# When time alone changes a condition.


def _check_at(
    book: AlertBook, after: Grant, current: Grant | None, watch: Watch
) -> datetime | None:
    """Return when to look again; None if the grant itself is due before that."""
    instants = _of_flight(book, after, watch) if current is None else _later(book, current, watch)
    later = [at for at in instants if at > watch.now]
    # It stays wanted until a refresh comes.
    wanted_at = refresh_wanted_at(book, current, watch)
    at = min(later if wanted_at is None else [*later, wanted_at], default=None)
    due = due_at(after)
    return None if at is None or (due is not None and due <= at) else at


def _of_flight(book: AlertBook, grant: Grant, watch: Watch) -> Iterator[datetime]:
    """Yield when the lease of a request ends, if its instance stopped and failures go on."""
    if book.failing_since is not None and isinstance(grant, Refreshing | Requesting):
        yield watch.policy.lease_end(grant.attempt)


def _later(book: AlertBook, current: Grant, watch: Watch) -> Iterator[datetime]:
    """Yield when a condition begins, if nothing else happens (rules 1 and 2)."""
    if book.failing_since is not None and book.condition(*TROUBLE) is None:
        yield book.failing_since + watch.thresholds.refresh_failing
    if not isinstance(current, Authorized):
        return
    tokens = current.tokens
    if tokens.grant_type is GrantType.CLIENT_CREDENTIALS or tokens.expires_at is None:
        return
    if (end := login_end(current, book, watch.now)) is not None:
        yield from (end - each for each in thresholds_of(tokens, end, watch))
    if (needed_at := _login_needed_since(current, watch)) is not None:
        yield needed_at
