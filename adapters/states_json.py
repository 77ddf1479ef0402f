"""The stored format of a grant in each of its states."""

from typing import assert_never

from adapters.attempt_json import (
    attempt_from_json,
    attempt_to_json,
    failure_state_from_json,
    failure_state_to_json,
    quote_from_json,
    quote_to_json,
)
from adapters.stored_json import (
    ADOPTING_VERSION,
    CLIENT_CREDENTIALS_VERSION,
    FIRST_VERSION,
    MOVING_VERSION,
    REVOKING_VERSION,
    Json,
    format_instant,
    parse_count,
    parse_instant,
)
from adapters.tokens_json import tokens_from_json, tokens_to_json
from domain.grant import (
    Adopting,
    AuthorizationRequired,
    Authorized,
    Cause,
    Grant,
    Idle,
    Inactive,
    Moved,
    Refreshing,
    Requesting,
    Revoked,
    Revoking,
    Unauthorized,
    grant_type_of,
)
from domain.provider import GrantType


def version_of(grant: Grant) -> int:
    """Return the lowest version that can express a grant."""
    if grant_type_of(grant) is GrantType.CLIENT_CREDENTIALS:
        return CLIENT_CREDENTIALS_VERSION
    match grant:
        case Unauthorized() | Authorized() | Refreshing() | AuthorizationRequired():
            return FIRST_VERSION
        case Requesting():
            return CLIENT_CREDENTIALS_VERSION
        case Moved():
            return MOVING_VERSION
        case Revoking() | Revoked():
            return REVOKING_VERSION
        case Adopting():
            return ADOPTING_VERSION
        case _:
            assert_never(grant)


def grant_to_json(grant: Grant) -> Json:
    """Write a grant."""
    match grant:
        case Unauthorized(failure_state=failure_state):
            start = {} if failure_state is None else _start_to_json(grant)
            return {"state": "unauthorized", **start}
        case Requesting(attempt=attempt):
            members = {"attempt": attempt_to_json(attempt), **_start_to_json(grant)}
            return {"state": "requesting", **members}
        case Authorized(tokens=tokens, failure_state=failure_state):
            return {
                "state": "authorized",
                "tokens": tokens_to_json(tokens),
                "setbacks": failure_state_to_json(failure_state),
            }
        case Refreshing(tokens=tokens, attempt=attempt, failure_state=failure_state):
            return {
                "state": "refreshing",
                "tokens": tokens_to_json(tokens),
                "attempt": attempt_to_json(attempt),
                "setbacks": failure_state_to_json(failure_state),
            }
        case AuthorizationRequired(tokens=tokens, cause=cause, client=client, since=since):
            return {
                "state": "authorization-required",
                "tokens": tokens_to_json(tokens),
                "cause": cause.value,
                "client": client,
                "since": format_instant(since),
                **quote_to_json(grant.quote),
            }
        case Moved(grant=moved, since=since, place=place):
            inner = grant_to_json(moved)
            return {
                "state": "moved",
                "grant": inner,
                "since": format_instant(since),
                "place": place,
            }
        case Revoking() | Revoked():
            from adapters.revocation_json import revocation_to_json

            state = "revoking" if isinstance(grant, Revoking) else "revoked"
            return {"state": state, **revocation_to_json(grant)}
        case Adopting(grant=adopted, earlier=earlier, replaces=replaces):
            return {
                "state": "adopting",
                "grant": grant_to_json(adopted),
                "earlier": grant_to_json(earlier),
                "replaces": replaces,
            }
        case _:
            assert_never(grant)


def grant_from_json(members: Json) -> Grant:
    """Read a grant in any state. Raises KeyError, TypeError, ValueError."""
    match members["state"]:
        case "unauthorized":
            # Missing in records of earlier versions.
            return Unauthorized(**_start_from_json({"setbacks": None, **members}))
        case "requesting":
            attempt = attempt_from_json(members["attempt"])
            return Requesting(attempt=attempt, **_start_from_json(members))
        case "refreshing":
            return Refreshing(
                tokens=tokens_from_json(members["tokens"]),
                attempt=attempt_from_json(members["attempt"]),
                failure_state=failure_state_from_json(members["setbacks"]),
            )
        case "moved":
            return Moved(
                grant=_idle_from_json(members["grant"]),
                since=parse_instant(members["since"]),
                place=parse_count(members, "place"),
            )
        case "revoking" | "revoked":
            # Imported here, because a fresh token does not need it.
            from adapters.revocation_json import revocation_from_json

            return revocation_from_json(members)
        case "adopting":
            return _adopting_from_json(members)
        case _:
            return _idle_from_json(members)


def _adopting_from_json(members: Json) -> Adopting:
    adopted, earlier = grant_from_json(members["grant"]), grant_from_json(members["earlier"])
    if not isinstance(adopted, Authorized | Refreshing) or not isinstance(earlier, Inactive | Idle):
        raise TypeError("adopting")
    return Adopting(grant=adopted, earlier=earlier, replaces=bool(members["replaces"]))


def _start_to_json(grant: Unauthorized | Requesting) -> Json:
    """Write what a client's first requests have left."""
    return {
        "setbacks": failure_state_to_json(grant.failure_state),
        "place": grant.place,
        "revoked": grant.revoked,
    }


def _start_from_json(members: Json) -> Json:
    return {
        "failure_state": failure_state_from_json(members["setbacks"]),
        "place": parse_count(members, "place"),
        "revoked": parse_count(members, "revoked"),
    }


def _idle_from_json(members: Json) -> Idle:
    match members["state"]:
        case "authorized":
            return Authorized(
                tokens=tokens_from_json(members["tokens"]),
                failure_state=failure_state_from_json(members["setbacks"]),
            )
        case "authorization-required":
            return AuthorizationRequired(
                tokens=tokens_from_json(members["tokens"]),
                cause=Cause(members["cause"]),
                client=members["client"],
                since=parse_instant(members["since"]),
                quote=quote_from_json(members),
            )
        case state:
            raise ValueError(state)
