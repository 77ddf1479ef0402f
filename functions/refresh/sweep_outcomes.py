"""The result of a connection in a sweep, and the reason of a failure."""

from enum import Enum
from typing import assert_never

from domain.commands import (
    AskForAuthorization,
    NothingDue,
    RejectedAgain,
    ReportMoved,
    Serve,
    TryLater,
    Wait,
)
from domain.grant import (
    AuthorizationRequired,
    Authorized,
    Cause,
    Failure,
    FailureState,
    Refreshing,
)
from functions.http.instants import rfc3339
from functions.refresh.keeper import QuestionResult


class SweepOutcome(Enum):
    """The result of a connection in a sweep."""

    REFRESHED = "refreshed"
    SKIPPED = "skipped"
    FAILED = "failed"
    # Its client or provider is away.
    LEFT = "left"
    # Time is up.
    OUT_OF_TIME = "out-of-time"
    # Checked for its date or its alerts only, and not counted.
    NOT_DUE = "not-due"


def failure_reason(result: QuestionResult) -> str:
    """Return the reason of a failure, and the time of the next try."""
    match result.answer, result.after:
        case (AskForAuthorization(cause=cause), _) | (_, AuthorizationRequired(cause=cause)):
            return f"login required ({cause.value})"
        case (TryLater(at=at, failure=Failure() as failure), _) | (
            _,
            Authorized(failure_state=FailureState(failure=failure, retry_at=at)),
        ):
            return f"the refresh failed ({failure.value}); next try at {rfc3339(at)}"
        case _:
            return "the grant changed meanwhile"


def outcome_of(result: QuestionResult) -> SweepOutcome:
    """Return how the sweep counts a result."""
    match result.answer:
        case AskForAuthorization(cause=cause):
            # The owner may have revoked it after it was found due.
            is_expected = cause in {Cause.NEVER_AUTHORIZED, Cause.REVOKED}
            return SweepOutcome.SKIPPED if is_expected else SweepOutcome.FAILED
        case _ if result.is_refreshed:
            return SweepOutcome.REFRESHED
        case TryLater() | RejectedAgain():
            return SweepOutcome.FAILED
        case Wait() | ReportMoved():
            # A refresh is in flight, or it was handed over meanwhile.
            return SweepOutcome.SKIPPED
        case Serve() | NothingDue():
            # A changed grant without new tokens had a failed refresh, or has one in flight.
            is_over = not isinstance(result.after, Refreshing)
            has_failed = is_over and result.after != result.before
            return SweepOutcome.FAILED if has_failed else SweepOutcome.SKIPPED
        case _:
            assert_never(result.answer)
