"""The two kinds of error of a call to AWS, and which codes mean what."""

from collections.abc import Mapping
from typing import Any

THROTTLED = frozenset(
    {
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "ThrottlingException",
    }
)
"""Error codes of AWS's rate limits."""

_CREDENTIALS_REFUSED = frozenset(
    {
        "ExpiredTokenException",
        "IncompleteSignatureException",
        "InvalidSignatureException",
        "MissingAuthenticationTokenException",
        "UnrecognizedClientException",
    }
)


class RefusedError(Exception):
    """The service refused a call. The message is the code: AWS's own text may repeat secrets.

    `response`: the members of the error, with `ResponseMetadata` (`HTTPStatusCode`).
    """

    def __init__(
        self, code: str, *, message: str, operation: str, response: Mapping[str, Any]
    ) -> None:
        self.code = code
        self.message = message
        self.operation = operation
        self.response = response
        super().__init__(code)


class NoAnswerError(Exception):
    """The service did not receive the call, or did not answer. The message says what to do.

    `is_passing`: whether a retry can succeed without a change to this deployment.
    """

    def __init__(self, text: str, *, is_passing: bool) -> None:
        super().__init__(text)
        self.is_passing = is_passing


def refusal(error: RefusedError) -> RefusedError | NoAnswerError:
    """Return the error to raise: a refusal of the credentials is about no single call."""
    if error.code in _CREDENTIALS_REFUSED:
        return NoAnswerError(f"AWS refused the credentials: {error.code}", is_passing=False)
    return error


def unreachable(label: str, error: Exception) -> NoAnswerError:
    """Return the error for a failed exchange. It names the kind only: texts may repeat secrets."""
    return NoAnswerError(f"{label} cannot be reached: {type(error).__name__}", is_passing=True)


def another_server(label: str) -> NoAnswerError:
    """Return the error for an answer without AWS's request id, such as the page of a proxy."""
    return NoAnswerError(f"another server answered instead of {label}", is_passing=True)
