"""A mail, as a message for SMTP and Amazon SES, and as a request to Resend."""

from datetime import datetime
from email.message import EmailMessage
from email.utils import format_datetime

from functions.alerts.formats.posts import json_post
from functions.alerts.message import AlertMessage
from functions.alerts.texts import Notice
from functions.settings.alert_targets import Addresses, ResendTarget
from ports.alert_transport import Post


def mail_of(message: AlertMessage, notice: Notice, addresses: Addresses) -> EmailMessage:
    """Return the mail. Each delivery of an alert has the same Message-ID (RFC 5322 §3.6.4)."""
    mail = EmailMessage()
    mail["From"] = addresses.sender
    mail["To"] = ", ".join(addresses.recipients)
    mail["Subject"] = subject_of(notice)
    mail["Date"] = _date(message.alert.at)
    mail["Message-ID"] = f"<{message.alert.id}@{addresses.domain}>"
    # RFC 3834 §5: no out-of-office reply.
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(_text(notice))
    return mail


def resend_post(message: AlertMessage, notice: Notice, target: ResendTarget) -> Post:
    """Return the request. https://resend.com/docs/dashboard/emails/idempotency-keys."""
    members = {
        "from": target.addresses.sender,
        "to": list(target.addresses.recipients),
        "subject": subject_of(notice),
        "text": _text(notice),
        "headers": {"Auto-Submitted": "auto-generated"},
    }
    headers = {
        "authorization": f"Bearer {target.api_key}",
        # Resend sends a repeated request once, for a day.
        "idempotency-key": message.alert.id,
    }
    return json_post(f"{target.server}/emails", members, headers=headers, secrets=(target.api_key,))


def subject_of(notice: Notice) -> str:
    """Return the title as a subject: one line, without what begins an encoded word (RFC 2047).

    Python's and other libraries decode such words, with the line ends in them.
    """
    return notice.title.replace("=?", "= ?")


def _date(instant: datetime) -> str:
    return format_datetime(instant)


def _text(notice: Notice) -> str:
    return "\n".join(notice.lines()) + "\n"
