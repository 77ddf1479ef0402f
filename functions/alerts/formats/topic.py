"""A message to a topic of Amazon SNS: a text for people, and a CloudEvent for programs.

https://docs.aws.amazon.com/sns/latest/api/API_Publish.html
"""

from functions.alerts.cloud_events import cloud_event
from functions.alerts.formats.mail import subject_of
from functions.alerts.message import AlertMessage
from functions.alerts.texts import Notice, cut
from ports.alert_transport import TopicMessage

# SNS accepts less than 100 characters of ASCII in a subject.
_LONGEST_SUBJECT = 99
_LONGEST_SMS = 140
_PROGRAMS = ("firehose", "http", "https", "lambda", "sqs")


def topic_message(message: AlertMessage, notice: Notice) -> TopicMessage:
    """Return the message."""
    event = cloud_event(message)
    subject = subject_of(notice).encode("ascii", "replace").decode()
    attributes = {"type": message.alert.kind.value, "connection": message.connection}
    return TopicMessage(
        id=message.alert.id,
        subject=cut(subject, _LONGEST_SUBJECT).replace("…", "."),
        texts={
            "default": "\n".join([notice.title, *notice.lines()]),
            "sms": cut(notice.title, _LONGEST_SMS),
            **dict.fromkeys(_PROGRAMS, event),
        },
        attributes={name: value for name, value in attributes.items() if value is not None},
        # A FIFO topic keeps the order of each connection.
        group=message.connection or "deployment",
    )
