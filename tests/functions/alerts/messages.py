"""Alerts as tests use them: one of each kind, as in docs/alerts.md, and hostile ones."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from domain.alerts import Alert, AlertKind
from functions.alerts.message import AlertMessage

AT = datetime(2026, 12, 1, 9, 30, tzinfo=UTC)
SOURCE = "https://keeper.example"
LINK = f"{SOURCE}/api/login?link=not-a-real-link"
SECRET = "whsec_" + "bm90LWEtcmVhbC1zZWNyZXQtb2YtYW55Ym9keQ=="


def _message(
    kind: AlertKind,
    *,
    connection: str | None = "google:alice",
    link: str | None = None,
    cause: str | None = None,
    since: datetime | None = None,
    expires_at: datetime | None = None,
    account: str | None = "alice@example.com",
    quote: str | None = None,
) -> AlertMessage:
    alert = Alert(
        id="msg-2mVq7xYd",
        kind=kind,
        at=AT,
        cause=cause,
        since=since,
        expires_at=expires_at,
        account=account if connection else None,
        quote=quote,
    )
    provider = "Google" if connection else None
    return AlertMessage(
        alert=alert, connection=connection, provider=provider, link=link, source=SOURCE
    )


EXAMPLES = {
    message.alert.kind: message
    for message in (
        _message(
            AlertKind.LOGIN_NEEDED,
            cause="refresh-token-rejected",
            since=AT,
            quote="invalid_grant: Token has been expired or revoked.",
            link=LINK,
        ),
        _message(AlertKind.EXPIRES_SOON, expires_at=AT + timedelta(days=14), link=LINK),
        _message(AlertKind.RECOVERED, cause="connection.login-needed"),
        _message(
            AlertKind.CLIENT_REFUSED,
            cause="client-refused",
            since=AT,
            quote="invalid_client: Unauthorized",
        ),
        _message(
            AlertKind.REFRESH_FAILING,
            cause="provider-unavailable",
            since=AT - timedelta(hours=1),
        ),
        _message(AlertKind.ACCOUNT_CHANGED, account="bob@example.com"),
        _message(AlertKind.ROLLED_BACK),
        _message(AlertKind.TOKENS_RESCUED),
        _message(AlertKind.SWEEP_OVERDUE, connection=None, since=AT - timedelta(hours=26)),
        _message(AlertKind.TEST, connection=None),
    )
}
"""One alert of each kind."""


def with_texts(text: str) -> AlertMessage:
    """Return an alert with a text at each place that an outsider can write to."""
    message = EXAMPLES[AlertKind.LOGIN_NEEDED]
    alert = replace(message.alert, account=text, quote=text)
    # A name cannot have most of these. The format does not rely on that.
    return replace(message, alert=alert, connection=text, provider=text)
