"""The words of the page: a connection's state, its reason, and instants as people read them."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from html import escape
from typing import NamedTuple

from domain.alert_conditions import failures_of
from domain.grant import (
    Adopting,
    Authorized,
    Failure,
    Grant,
    Moved,
    Refreshing,
    Requesting,
    Revoked,
    Revoking,
    Unauthorized,
    tokens_of,
)
from domain.ledger import HistoryEvent
from domain.provider import GrantType
from domain.questions import missing_authorization
from domain.tokens import Tokens
from functions.endpoints.answers import describe_cause, describe_failure
from functions.http.look import Tone
from functions.refresh.status import needed_action, refusal_quote

# A login that ends within this has a state of its own.
SOON = timedelta(days=14)
_NOTHING = "-"
_UNITS = (("day", 86400), ("hour", 3600), ("minute", 60), ("second", 1))
_FAULTS = {"unreadable": "Unreadable", "not-configured": "Not configured"}


class State(NamedTuple):
    """A state: how it stands, and its word."""

    tone: Tone
    word: str


def state_of(grant: Grant, now: datetime, grant_type: GrantType) -> State:
    """Return a connection's state in a word. `grant_type`: the one of the settings."""
    if isinstance(grant, Moved):
        return State(Tone.OVER, "Moved")
    if isinstance(grant, Revoked | Revoking):
        return State(Tone.OVER, "Revoked")
    if _needs_login(grant, now, grant_type):
        return State(Tone.BAD, "Login needed")
    if needed_action(grant, now, grant_type) is not None:
        return State(Tone.BAD, "Refresh fails")
    if isinstance(grant, Refreshing | Requesting):
        return State(Tone.BUSY, "Refreshing")
    if _failure_of(grant) is not None:
        return State(Tone.SOON, "Refresh fails for now")
    ends = _login_end(tokens_of(grant))
    if ends is not None and ends - now < SOON:
        return State(Tone.SOON, "Login due soon")
    is_unused = isinstance(grant, Unauthorized)
    return State(Tone.GOOD, "Ready" if is_unused else "Works")


def fault_of(members: Mapping[str, object]) -> State:
    """Return the state of a connection whose record or client cannot be used."""
    return State(Tone.BAD, _FAULTS.get(str(members["state"]), "Unusable"))


def reason_of(grant: Grant, now: datetime, grant_type: GrantType) -> str | None:
    """Return why a connection does not simply work, as a sentence; None if it does."""
    if isinstance(grant, Moved):
        return "It was handed over to another deployment."
    cause = missing_authorization(grant, now, grant_type)
    if cause is not None:
        return f"{describe_cause(cause, refusal_quote(grant))}."
    failed = _failure_of(grant)
    return None if failed is None else f"{failed}."


def login_due(grant: Grant, now: datetime, grant_type: GrantType) -> str | None:
    """Return when a person must log in, as a sentence; None without tokens."""
    if grant_type is GrantType.CLIENT_CREDENTIALS:
        return "It needs no login."
    if isinstance(grant, Moved):
        return None
    tokens = tokens_of(grant)
    if _needs_login(grant, now, grant_type):
        return _login_now(grant, tokens, now)
    if tokens is None:
        return None
    if (end := _login_end(tokens)) is not None:
        return f"A person must log in {distance(end, now)}."
    if (end := tokens.refresh_token_expires_at) is not None:
        return f"No login is due while refreshes succeed. Unused, it expires {distance(end, now)}."
    return "No login is due while refreshes succeed."


def _needs_login(grant: Grant, now: datetime, grant_type: GrantType) -> bool:
    """Whether a person must log in, as alerts have it: also while the last token is served."""
    failures = failures_of(grant)
    is_refused = failures is not None and failures.failure is Failure.REFUSED
    is_by_login = grant_type is GrantType.AUTHORIZATION_CODE
    return missing_authorization(grant, now, grant_type) is not None or (is_refused and is_by_login)


def _login_now(grant: Grant, tokens: Tokens | None, now: datetime) -> str | None:
    if isinstance(grant, Revoked | Revoking):
        # Its owner has ended it.
        return None
    expires_at = None if tokens is None else tokens.expires_at
    if expires_at is not None and isinstance(grant, Authorized) and expires_at > now:
        return f"The access token works until a person must log in, {distance(expires_at, now)}."
    return "A person must log in now."


def distance(at: datetime, now: datetime) -> str:
    """Return how far an instant is away, in its largest unit: `in 3 days`, `2 hours ago`."""
    seconds = abs((at - now).total_seconds())
    for unit, size in _UNITS:
        if seconds >= size:
            number = int(seconds // size)
            text = f"{number} {unit}{'' if number == 1 else 's'}"
            return f"in {text}" if at > now else f"{text} ago"
    return "now"


def instant(at: datetime | None, now: datetime) -> str:
    """Return the markup of an instant in UTC with its distance; a dash without one."""
    if at is None:
        return _NOTHING
    text = f"{at:%Y-%m-%d %H:%M} UTC"
    return (
        f'<time datetime="{at:%Y-%m-%dT%H:%M:%SZ}">{text}</time> '
        f'<span class="quiet">({distance(at, now)})</span>'
    )


def last_refresh(members: Mapping[str, object], now: datetime) -> str:
    """Return the markup of a connection's last refresh and its outcome."""
    match members.get("last_refresh"):
        case {"at": str(at), "outcome": str(outcome)}:
            word = "got tokens" if outcome == "tokens" else outcome.replace("-", " ")
            return f"{instant(datetime.fromisoformat(at), now)}: {escape(word)}"
        case _:
            return _NOTHING


def next_try(members: Mapping[str, object], now: datetime) -> str:
    """Return the markup of the next refresh after a failed one; nothing without one."""
    at = members.get("next_try_at")
    return instant(datetime.fromisoformat(at), now) if isinstance(at, str) else ""


EVENTS: Mapping[HistoryEvent, str] = {
    HistoryEvent.LOGIN: "Login",
    HistoryEvent.REFRESH: "Refresh",
    HistoryEvent.REFRESH_FAILED: "Refresh failed",
    HistoryEvent.REFRESH_REFUSED: "Refresh refused for good",
    HistoryEvent.RESCUED: "Restored by a rescue",
    HistoryEvent.MOVED: "Handed over",
    HistoryEvent.TAKEN_BACK: "Taken back",
    HistoryEvent.IMPORTED: "Imported",
    HistoryEvent.REVOKED: "Revoked",
    HistoryEvent.REVOCATION_ENDED: "Revocation at the provider",
    HistoryEvent.ADOPTED: "Adopted",
    HistoryEvent.ADOPTION_REFUSED: "Adoption refused",
}
"""The events of a history in words."""


def event_word(event: HistoryEvent) -> str:
    """Return an event in words; its own name for one without."""
    return EVENTS.get(event, event.value.replace("-", " ").capitalize())


def _failure_of(grant: Grant) -> str | None:
    """Return the last failure since tokens came; None without one."""
    grant = grant.grant if isinstance(grant, Adopting) else grant
    if isinstance(grant, Authorized | Refreshing | Unauthorized | Requesting):
        found = grant.failure_state
        return None if found is None else describe_failure(found.failure, found.quote)
    return None


def _login_end(tokens: Tokens | None) -> datetime | None:
    """Return when a login is required however often tokens are refreshed; None if unknown."""
    if tokens is None:
        return None
    return tokens.login_end if tokens.is_replaceable else tokens.expires_at
