"""Alerts through Amazon SNS and SES, on an imitation of AWS."""

import asyncio
import json
from base64 import b64decode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from email import message_from_bytes
from typing import Any
from uuid import uuid4

import botocore.session
import pytest
from moto import mock_aws

from adapters.alert_mails_ses import SesMails
from adapters.alert_topic_sns import SnsTopic
from domain.alerts import AlertKind
from functions.alerts.formats.mail import mail_of
from functions.alerts.formats.topic import topic_message
from functions.alerts.texts import notice_of
from functions.settings.alert_targets import Addresses
from ports.alert_transport import NotDeliveredError
from tests.functions.alerts.messages import EXAMPLES, LINK, with_texts
from tests.ports.scripted_server import answer, serving
from tests.system.aws_peer import access_to, aws_server

MESSAGE = EXAMPLES[AlertKind.LOGIN_NEEDED]
ADDRESSES = Addresses(sender="keeper@example.com", recipients=("ada@example.com",))
MAIL = mail_of(MESSAGE, notice_of(MESSAGE), ADDRESSES)
NOWHERE = "http://127.0.0.1:1"


@dataclass(frozen=True, slots=True)
class Aws:
    """The access to the services, and clients of them, whose creation is slow."""

    access: Mapping[str, str]
    sns: Any
    sqs: Any

    def topic_with_queue(self, *, fifo: bool) -> tuple[str, str]:
        """Create a topic and a queue that subscribes to it. Return its ARN and the queue's URL."""
        suffix = ".fifo" if fifo else ""
        attributes = {"FifoTopic": "true"} if fifo else {}
        queue = {"FifoQueue": "true"} if fifo else {}
        name = f"alerts-{uuid4().hex}{suffix}"
        topic = self.sns.create_topic(Name=name, Attributes=attributes)["TopicArn"]
        url = self.sqs.create_queue(QueueName=name, Attributes=queue)["QueueUrl"]
        arn = f"arn:aws:sqs:eu-central-1:000000000000:{name}"
        self.sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
        return topic, url

    def messages_in(self, queue: str) -> list[dict[str, Any]]:
        found = self.sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10)
        return [json.loads(message["Body"]) for message in found.get("Messages", [])]


@pytest.fixture(scope="module")
def aws() -> Iterator[Aws]:
    with aws_server("sns", "sqs") as server:
        access = access_to(server.url)
        sns, sqs = (_client(service, access) for service in ("sns", "sqs"))
        yield Aws(access, sns, sqs)


def _client(service: str, access: Mapping[str, str]) -> Any:
    return botocore.session.Session().create_client(service, **access)


def publish(aws: Aws, topic_arn: str, *, times: int = 1, **access: str) -> None:
    topic = SnsTopic(topic_arn, is_fifo=topic_arn.endswith(".fifo"), **{**aws.access, **access})
    try:
        for _ in range(times):
            asyncio.run(topic.send(topic_message(MESSAGE, notice_of(MESSAGE))))
    finally:
        topic.close()


def test_a_program_that_subscribes_gets_the_event(aws: Aws) -> None:
    topic, queue = aws.topic_with_queue(fifo=False)
    publish(aws, topic)
    (found,) = aws.messages_in(queue)
    assert found["Subject"] == "Login required: google:alice"
    event = json.loads(found["Message"])
    assert (event["id"], event["data"]["link"]) == (MESSAGE.alert.id, LINK)
    attributes = {name: each["Value"] for name, each in found["MessageAttributes"].items()}
    assert attributes == {"type": "connection.login-needed", "connection": "google:alice"}


def test_a_fifo_topic_drops_a_repeated_delivery(aws: Aws) -> None:
    topic, queue = aws.topic_with_queue(fifo=True)
    publish(aws, topic, times=2)
    assert len(aws.messages_in(queue)) == 1


def test_a_hostile_text_is_accepted(aws: Aws) -> None:
    topic_arn, queue = aws.topic_with_queue(fifo=False)
    message = with_texts("x\r\nBcc: eve@example.com \u202e 漢字")
    topic = SnsTopic(topic_arn, is_fifo=False, **aws.access)
    asyncio.run(topic.send(topic_message(message, notice_of(message))))
    topic.close()
    (found,) = aws.messages_in(queue)
    assert "\n" not in found["Subject"]


def test_a_topic_that_does_not_exist_is_named_by_its_code(aws: Aws) -> None:
    with pytest.raises(NotDeliveredError, match=r"^Amazon SNS refuses: NotFound"):
        publish(aws, "arn:aws:sns:eu-central-1:000000000000:nothing")


def test_a_service_that_is_away_is_named(aws: Aws) -> None:
    with pytest.raises(NotDeliveredError, match=r"^Amazon SNS cannot be reached: Endpoint"):
        publish(aws, "arn:aws:sns:eu-central-1:000000000000:x", endpoint_url=NOWHERE)
    mails = SesMails(**{**aws.access, "endpoint_url": NOWHERE})
    with pytest.raises(NotDeliveredError, match=r"^Amazon SES cannot be reached: Endpoint"):
        asyncio.run(mails.send(MAIL))
    mails.close()


def test_ses_sends_the_mail_of_a_sender_that_it_knows() -> None:
    # ministack's answer has no request id. moto reads the mail.
    access = {name: text for name, text in access_to("").items() if name != "endpoint_url"}
    with mock_aws():
        mails = SesMails(**access)
        with pytest.raises(NotDeliveredError, match=r"^Amazon SES refuses: MessageRejected"):
            asyncio.run(mails.send(MAIL))
        _client("sesv2", access).create_email_identity(EmailIdentity="keeper@example.com")
        asyncio.run(mails.send(MAIL))
        mails.close()


def test_ses_gets_the_mail_as_it_is_and_its_refusal_is_named(aws: Aws) -> None:
    refusal = answer(
        "400 Bad Request",
        b'{"message": "Email address is not verified: not repeated"}',
        "x-amzn-ErrorType: MessageRejected",
        "x-amzn-RequestId: 1",
    )
    with serving(refusal) as server:
        endpoint = server.endpoint.removesuffix("/token")
        mails = SesMails(**{**aws.access, "endpoint_url": endpoint})
        with pytest.raises(NotDeliveredError) as caught:
            asyncio.run(mails.send(MAIL))
        mails.close()
    assert str(caught.value) == "Amazon SES refuses: MessageRejected"
    (request,) = server.requests
    assert request.line == "POST /v2/email/outbound-emails HTTP/1.1"
    raw = json.loads(request.body)["Content"]["Raw"]["Data"]
    mail = message_from_bytes(b64decode(raw))
    assert mail["subject"] == "Login required: google:alice"
