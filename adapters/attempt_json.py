"""The stored format of token requests: the one in flight, and those that failed."""

from adapters.stored_json import Json, format_instant, parse_instant, parse_optional_instant
from domain.grant import Attempt, Failure, FailureState


def attempt_to_json(attempt: Attempt) -> Json:
    """Write an attempt."""
    return {
        "id": attempt.id,
        "authorized_at": format_instant(attempt.authorized_at),
        "generation": attempt.generation,
        "client": attempt.client,
        "started_at": format_instant(attempt.started_at),
    }


def attempt_from_json(members: Json) -> Attempt:
    """Read an attempt. Raises KeyError, TypeError, ValueError."""
    return Attempt(
        id=members["id"],
        authorized_at=parse_instant(members["authorized_at"]),
        generation=members["generation"],
        client=members["client"],
        started_at=parse_instant(members["started_at"]),
    )


def failure_state_to_json(failure_state: FailureState | None) -> Json | None:
    """Write the failures since tokens last came; None without one."""
    if failure_state is None:
        return None
    return {
        "failures": failure_state.failures,
        **_failure_to_json(failure_state.failure),
        "at": format_instant(failure_state.at),
        "retry_at": format_instant(failure_state.retry_at),
        "in_doubt_since": format_instant(failure_state.in_doubt_since),
        "since": format_instant(failure_state.since),
        **quote_to_json(failure_state.quote),
    }


def failure_state_from_json(members: Json | None) -> FailureState | None:
    """Read the failures since tokens last came. Raises KeyError, TypeError, ValueError."""
    if members is None:
        return None
    return FailureState(
        failures=members["failures"],
        failure=_failure_from_json(members),
        at=parse_instant(members["at"]),
        retry_at=parse_instant(members["retry_at"]),
        in_doubt_since=parse_optional_instant(members["in_doubt_since"]),
        # Missing in records of earlier versions.
        since=parse_optional_instant(members.get("since")),
        quote=quote_from_json(members),
    )


def _failure_to_json(failure: Failure) -> Json:
    if failure is Failure.REFUSED:
        # Earlier versions, which make no second try, read it as the other refusal that may pass.
        return {"failure": Failure.UNEXPLAINED.value, "is_refused": True}
    return {"failure": failure.value}


def _failure_from_json(members: Json) -> Failure:
    return Failure.REFUSED if members.get("is_refused") else Failure(members["failure"])


def quote_to_json(quote: str | None) -> Json:
    """Write the member of the provider's answer; none without one."""
    return {} if quote is None else {"said": quote}


def quote_from_json(members: Json) -> str | None:
    """Read the provider's answer; None without one."""
    # Missing in records of earlier versions.
    quote: str | None = members.get("said")
    return quote
