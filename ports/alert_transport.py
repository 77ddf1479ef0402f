"""How an alert leaves a deployment. Each kind of item has a transport."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Protocol, TypeVar

TIME_LIMIT = timedelta(seconds=15)
"""The time limit of one delivery. Standard Webhooks recommends 15 to 30 s."""

_Item_contra = TypeVar("_Item_contra", contravariant=True)


class NotDeliveredError(Exception):
    """Nothing was sent, or nobody accepted it. The message has the reason, without secrets.

    - `status`: that of an HTTP response.
    - `retry_after`: how long the receiver asks to wait.
    - `body`: that of the response, as far as it was read.
    """

    def __init__(
        self,
        reason: str,
        *,
        status: int | None = None,
        retry_after: timedelta | None = None,
        body: bytes = b"",
    ) -> None:
        super().__init__(reason)
        self.status = status
        self.retry_after = retry_after
        self.body = body


class DeliveryTimeoutError(NotDeliveredError):
    """There was no answer in time."""


class Transport(Protocol[_Item_contra]):
    """Sends items of one kind, such as a Post or an `email.message.EmailMessage`."""

    async def send(self, item: _Item_contra) -> None:
        """Send an item, within TIME_LIMIT. Raises NotDeliveredError."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """One HTTP request with a body. `secrets`: the parts of it that no error may quote."""

    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    secrets: Sequence[str] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicMessage:
    """A message to a topic of AWS.

    - `texts`: by the protocol of a subscription: `default`, `sqs`, `https` and so on.
    - `attributes`: what subscriptions can filter by.
    - `group`, `id`: a FIFO topic keeps the order in a group, and drops a repeated id.
    """

    id: str
    subject: str
    texts: Mapping[str, str] = field(repr=False)
    attributes: Mapping[str, str]
    group: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramRun:
    """A program with its arguments, and the variables that it gets."""

    command: Sequence[str]
    variables: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlainNote:
    """A title and a text, for a library that knows many services."""

    title: str
    text: str = field(repr=False)
