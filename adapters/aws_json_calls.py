"""Calls to one AWS service by AWS's JSON protocols, without botocore.

A request is a POST of the arguments as a JSON object. An answer is an object, too, and an error
is one with a `__type`. Sources: the protocols `awsJson1_0` and `awsJson1_1` of Smithy.
"""

import json
import time
from collections.abc import Mapping
from datetime import timedelta
from http import HTTPStatus
from http.client import HTTPException
from typing import Any, NamedTuple
from urllib.parse import urlsplit
from zlib import crc32

from adapters.aws_access import AwsAccess
from adapters.aws_errors import NoAnswerError, RefusedError, another_server, refusal, unreachable
from adapters.aws_retries import Retries, is_temporary, pause
from adapters.aws_signature import signed
from adapters.http_connections import (
    ConnectTimeoutError,
    HttpAnswer,
    HttpConnections,
    ReadTimeoutError,
)
from adapters.tls import bundled_context

# AWS accepts signatures for five minutes.
_LARGEST_SKEW = timedelta(minutes=4)
# The refusals that a wrong clock causes, among others.
_OF_A_WRONG_CLOCK = frozenset(
    {"InvalidSignatureException", "RequestExpired", "RequestTimeTooSkewed"}
)


class JsonService(NamedTuple):
    """A service that has one of these protocols.

    `name`: in signatures and host names. `target`: before the names of operations.
    `variable`: the environment variable of its endpoint.
    """

    # A tuple, because every cold start makes this class: a dataclass takes five times as long.

    name: str
    target: str
    version: str
    variable: str


class JsonCalls:
    """Signed calls with the same credentials. Threads can share it."""

    def __init__(
        self,
        service: JsonService,
        access: AwsAccess,
        *,
        label: str,
        connect_limit: timedelta,
        read_limit: timedelta,
        tries: int,
        is_adaptive: bool,
    ) -> None:
        """`is_adaptive`: whether a throttle lowers the rate of calls."""
        self._service = service
        self._access = access
        self._label = label
        self._tries = tries
        self._retries = Retries(is_adaptive=is_adaptive)
        self._host, self._path = _host_and_path(access.endpoint)
        # How far this machine's clock is behind AWS's, in seconds, as far as known.
        self._skew = 0.0
        self._connections = HttpConnections(
            access.endpoint,
            connect_limit=connect_limit,
            read_limit=read_limit,
            context=bundled_context,
        )

    def call(self, operation: str, arguments: Mapping[str, object]) -> Mapping[str, Any]:
        """Call an idempotent operation and return the answer. Raises RefusedError, NoAnswerError.

        `operation`: as botocore spells it: `get_item`. Blocks.
        """
        name, body = operation.title().replace("_", ""), json.dumps(arguments).encode()
        attempt, cost = 1, 0
        while True:
            try:
                answer = self._try(name, body, attempt)
            except _FailedTry as failed:
                cost = 0
                if failed.is_temporary and attempt < self._tries:
                    cost = self._retries.claim(timed_out=failed.timed_out)
                if not cost:
                    raise failed.error from None
                attempt += 1
                pause()
            else:
                self._retries.give_back(cost)
                return answer

    def close(self) -> None:
        """Close all connections."""
        self._connections.close()

    def _try(self, operation: str, body: bytes, attempt: int) -> Mapping[str, Any]:
        """Send a call once. Raises _FailedTry, NoAnswerError."""
        self._retries.wait_for_turn()
        try:
            answer = self._connections.post(
                self._path, self._headers(operation, body, attempt), body
            )
        except (OSError, HTTPException) as error:
            self._retries.record(None)
            timed_out = isinstance(error, ConnectTimeoutError | ReadTimeoutError)
            raise _FailedTry(unreachable(self._label, error), timed_out=timed_out) from None
        # An error in the environment or in a header.
        except ValueError as error:
            raise unreachable(self._label, error) from None
        return self._read(operation, answer)

    def _headers(self, operation: str, body: bytes, attempt: int) -> dict[str, str]:
        headers = {
            "host": self._host,
            "content-type": f"application/x-amz-json-{self._service.version}",
            "x-amz-target": f"{self._service.target}.{operation}",
        }
        known = signed(
            headers,
            body,
            path=self._path,
            service=self._service.name,
            access=self._access,
            at=time.time() + self._skew,
        )
        sdk = {"user-agent": "oauth-callback", "amz-sdk-request": f"attempt={attempt}; max=2"}
        return {**known, **sdk}

    def _read(self, operation: str, answer: HttpAnswer) -> Mapping[str, Any]:
        if not _is_whole(answer):
            self._retries.record(None)
            text = f"{self._label} cannot be reached: the checksum of its answer is wrong"
            raise _FailedTry(NoAnswerError(text, is_passing=True))
        members = _members(answer.body)
        if answer.status >= HTTPStatus.MULTIPLE_CHOICES:
            raise self._refused(operation, answer, members or {})
        self._retries.record(None)
        if "x-amzn-requestid" not in answer.headers:
            raise another_server(self._label)
        if members is None:
            raise NoAnswerError(f"{self._label} returned no JSON object", is_passing=True)
        return members

    def _refused(
        self, operation: str, answer: HttpAnswer, members: Mapping[str, Any]
    ) -> "_FailedTry":
        error = _error(operation, answer, members)
        self._retries.record(error.code)
        is_repeated = is_temporary(error.code, answer.status)
        if error.code in _OF_A_WRONG_CLOCK:
            is_repeated = self._corrects_clock(answer)
        return _FailedTry(refusal(error), is_temporary=is_repeated)

    def _corrects_clock(self, answer: HttpAnswer) -> bool:
        """Whether the answer's date shows that another time has to be signed from now on."""
        # Imported only after such a refusal.
        from email.utils import parsedate_to_datetime

        try:
            theirs = parsedate_to_datetime(answer.headers["date"]).timestamp()
        except (KeyError, ValueError, OverflowError):
            return False
        skew, before = theirs - time.time(), self._skew
        if abs(skew - before) < _LARGEST_SKEW.total_seconds():
            return False
        self._skew = skew
        return True


class _FailedTry(Exception):  # noqa: N818 - it holds the error
    """A try that brought no answer: the error to raise, and whether the call is repeated."""

    def __init__(
        self,
        error: RefusedError | NoAnswerError,
        *,
        is_temporary: bool = True,
        timed_out: bool = False,
    ) -> None:
        super().__init__(str(error))
        self.error = error
        self.is_temporary = is_temporary
        self.timed_out = timed_out


def _host_and_path(endpoint: str) -> tuple[str, str]:
    """Return the values to sign. The host has a port unless it is the default."""
    parts = urlsplit(endpoint)
    default = {"http": ":80", "https": ":443"}[parts.scheme]
    return parts.netloc.removesuffix(default), parts.path or "/"


def _is_whole(answer: HttpAnswer) -> bool:
    """Whether the body has DynamoDB's checksum, if there is one."""
    expected = answer.headers.get("x-amz-crc32")
    return expected is None or expected == str(crc32(answer.body))


def _members(body: bytes) -> dict[str, Any] | None:
    """Return the members of a JSON object, or None if the body is none. Empty means no members."""
    try:
        members = json.loads(body or b"{}")
    # RecursionError: it is nested too deep.
    except (ValueError, RecursionError):
        return None
    return members if isinstance(members, dict) else None


def _error(operation: str, answer: HttpAnswer, members: Mapping[str, Any]) -> RefusedError:
    named = answer.headers.get("x-amzn-errortype") or members.get("__type") or members.get("code")
    # `com.amazonaws.dynamodb.v20120810#NAME` or `NAME:http://…`
    code = str(named or answer.status).partition(":")[0].rpartition("#")[2]
    return RefusedError(
        code,
        message=str(members.get("message", members.get("Message", ""))),
        operation=operation,
        response={**members, "ResponseMetadata": {"HTTPStatusCode": answer.status}},
    )
