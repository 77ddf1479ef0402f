"""The sentences of alerts, by kind and cause."""

from collections.abc import Mapping
from datetime import UTC, datetime

from domain.alerts import Alert, AlertKind
from functions.alerts.message import AlertMessage

_DAY = 86400
_HOUR = 3600

_TITLES: Mapping[AlertKind, str] = {
    AlertKind.LOGIN_NEEDED: "Login required",
    AlertKind.EXPIRES_SOON: "The login expires",
    AlertKind.RECOVERED: "Working again",
    AlertKind.CLIENT_REFUSED: "The provider refuses the client",
    AlertKind.REFRESH_FAILING: "Refreshes fail",
    AlertKind.ACCOUNT_CHANGED: "A different account logged in",
    AlertKind.ROLLED_BACK: "The store returned an older record",
    AlertKind.TOKENS_RESCUED: "Tokens were rescued",
    AlertKind.SWEEP_OVERDUE: "The sweep is overdue",
    AlertKind.TEST: "Test alert",
}
_NO_TOKEN = "Programs get no new access token until a person logs in."
_LOGIN_CAUSES = {
    "never-authorized": "Nobody has logged in to this connection.",
    "refresh-token-missing": "The access token has expired, and there is no refresh token.",
    "refresh-token-expired": "The refresh token has expired.",
    "refresh-token-rejected": (
        "The provider no longer accepts the refresh token. It was revoked there, or used elsewhere."
    ),
    "refresh-answer-lost": (
        "The response to a refresh was lost, and with it the new refresh token."
    ),
    "revoked": "The connection was revoked.",
}
_REFRESH_CAUSES = {
    "not-sent": "The provider is unreachable.",
    "outcome-unknown": "The provider sends no usable response.",
    "provider-unavailable": "The provider answers that it is unavailable, or limits requests.",
    "refused-without-reason": "The provider refuses without a known reason.",
    "refused-for-now": "The provider refuses the refresh token for now.",
    "expired-on-arrival": "The provider sends access tokens that have already expired.",
}
_ENDED = {
    AlertKind.LOGIN_NEEDED.value: "The connection has a valid login again.",
    AlertKind.CLIENT_REFUSED.value: "The provider accepts the client again.",
    AlertKind.REFRESH_FAILING.value: "Refreshes work again.",
    AlertKind.SWEEP_OVERDUE.value: "The sweep runs again.",
}
_PLAIN_EVENTS = {
    AlertKind.CLIENT_REFUSED: (
        "The provider refuses the client or its settings. Stored tokens are kept."
    ),
    AlertKind.ACCOUNT_CHANGED: "A login has replaced the earlier account of this connection.",
    AlertKind.ROLLED_BACK: "The store returned an older record. The newer one was stored again.",
    AlertKind.TOKENS_RESCUED: (
        "New tokens could not be stored in time. They were kept, and are stored now."
    ),
    AlertKind.TEST: "This alert tests the channel. Nothing has happened.",
}
_PLAIN_ACTIONS = {
    AlertKind.RECOVERED: "No action is required.",
    AlertKind.TEST: "No action is required.",
    AlertKind.CLIENT_REFUSED: (
        "Correct the settings of the client: its id, secret, scopes and redirect URI."
    ),
    AlertKind.REFRESH_FAILING: (
        "During an outage of the provider, wait: refreshes are retried. Otherwise run "
        "python -m functions.admin doctor."
    ),
    AlertKind.ACCOUNT_CHANGED: (
        "If that was not intended, revoke the connection, and log in again."
    ),
    AlertKind.ROLLED_BACK: (
        "Check whether a backup of the store was restored, or several copies exist."
    ),
    AlertKind.TOKENS_RESCUED: "Check why the store was unavailable.",
    AlertKind.SWEEP_OVERDUE: ("Check the scheduler that requests GET /api/sweep with CRON_SECRET."),
}


def title_of(alert: Alert) -> str:
    """Return a few words for what happened."""
    title = _TITLES[alert.kind]
    return f"{title} {_time_left(alert)}" if alert.kind is AlertKind.EXPIRES_SOON else title


def event_of(alert: Alert) -> str:
    """Return what happened, in one or two sentences."""
    cause = alert.cause or ""
    match alert.kind:
        case AlertKind.LOGIN_NEEDED:
            return f"{_LOGIN_CAUSES.get(cause, 'The login has ended.')} {_NO_TOKEN}"
        case AlertKind.EXPIRES_SOON:
            until = "soon" if alert.expires_at is None else f"on {readable(alert.expires_at)}"
            return f"The login expires {until}. A refresh cannot extend it."
        case AlertKind.RECOVERED:
            return _ENDED.get(cause, "The connection works again.")
        case AlertKind.REFRESH_FAILING:
            reason = _REFRESH_CAUSES.get(cause, "The log has the reason.")
            return f"Every refresh has failed{_since(alert)}. {reason}"
        case AlertKind.SWEEP_OVERDUE:
            return f"No sweep has ended{_since(alert)}. Logins that no program uses can expire."
        case kind:
            return _PLAIN_EVENTS[kind]


def action_of(message: AlertMessage) -> str:
    """Return what a person has to do."""
    match message.alert.kind:
        case AlertKind.LOGIN_NEEDED:
            return _how_to_log_in(message)
        case AlertKind.EXPIRES_SOON:
            return f"Log in again before then. {_how_to_log_in(message)}"
        case kind:
            return _PLAIN_ACTIONS[kind]


def readable(instant: datetime) -> str:
    """Write an instant in UTC, to the minute."""
    return f"{instant.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def seconds_left(alert: Alert) -> float | None:
    """Return the seconds between the alert and the end of the login; None if that is unknown."""
    if alert.expires_at is None:
        return None
    return max(0.0, (alert.expires_at - alert.at).total_seconds())


def _how_to_log_in(message: AlertMessage) -> str:
    if message.link is not None:
        return "Open the link. It works once, for 24 hours."
    return f"Send POST {message.source or ''}/api/login with an API key, for this connection."


def _since(alert: Alert) -> str:
    return "" if alert.since is None else f" since {readable(alert.since)}"


def _time_left(alert: Alert) -> str:
    seconds = seconds_left(alert)
    if seconds is None:
        return "soon"
    # An alert for a threshold of 14 days comes some seconds or hours later.
    count, unit = round(seconds / _DAY), "day"
    if seconds < 0.9 * _DAY:
        count, unit = max(1, round(seconds / _HOUR)), "hour"
    return f"in {count} {unit}{'' if count == 1 else 's'}"
