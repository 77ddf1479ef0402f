"""The variables that a program gets."""

from functions.alerts.cloud_events import cloud_event
from functions.alerts.message import AlertMessage
from functions.alerts.texts import Notice
from functions.settings.alert_targets import ProgramTarget
from ports.alert_transport import ProgramRun


def program_run(message: AlertMessage, notice: Notice, target: ProgramTarget) -> ProgramRun:
    """Return the program with its variables. No text of the alert is among its arguments."""
    variables = {
        "ALERT_ID": message.alert.id,
        "ALERT_TYPE": message.alert.kind.value,
        "ALERT_CONNECTION": message.connection,
        "ALERT_TITLE": notice.title,
        "ALERT_TEXT": "\n".join(notice.lines()),
        "ALERT_LINK": message.link,
        "ALERT_EVENT": cloud_event(message),
    }
    found = {name: text.replace("\0", "") for name, text in variables.items() if text is not None}
    return ProgramRun(command=target.command, variables=found)
