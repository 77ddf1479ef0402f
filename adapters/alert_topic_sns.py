"""Messages to a topic of Amazon SNS.

A repeated call publishes a message twice, except to a FIFO topic. An alert is delivered at
least once, so that is allowed.
"""

import json
from collections.abc import Mapping

from adapters.alert_threads import AlertThreads
from adapters.aws_client import AwsClient
from adapters.aws_errors import NoAnswerError, RefusedError
from ports.alert_transport import NotDeliveredError, TopicMessage

_CONNECTIONS = 2


class SnsTopic:
    """Publishes to one topic, with the credentials of AWS's own variables."""

    def __init__(self, topic_arn: str, *, is_fifo: bool, **access: str | None) -> None:
        """`access` (`region_name`, `endpoint_url`, …) overrides the variables."""
        self._topic_arn = topic_arn
        self._is_fifo = is_fifo
        self._threads = AlertThreads()
        self._client = AwsClient("sns", label="Amazon SNS", max_connections=_CONNECTIONS, **access)

    async def send(self, item: TopicMessage) -> None:
        """Publish a message. Raises NotDeliveredError."""
        order = {"MessageGroupId": item.group, "MessageDeduplicationId": item.id}
        try:
            await self._threads.run(
                lambda: self._client.call(
                    "publish",
                    TopicArn=self._topic_arn,
                    Subject=item.subject,
                    Message=json.dumps(dict(item.texts)),
                    MessageStructure="json",
                    MessageAttributes=_attributes(item.attributes),
                    **(order if self._is_fifo else {}),
                )
            )
        except RefusedError as error:
            raise NotDeliveredError(f"Amazon SNS refuses: {error.code}") from error
        except NoAnswerError as error:
            raise NotDeliveredError(str(error)) from error

    def close(self) -> None:
        """Close the connections."""
        self._client.close()


def _attributes(texts: Mapping[str, str]) -> dict[str, dict[str, str]]:
    return {name: {"DataType": "String", "StringValue": text} for name, text in texts.items()}
