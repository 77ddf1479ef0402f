"""The stored format of grants and their ledgers."""

import zlib
from collections.abc import Mapping
from datetime import timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple, assert_never

from adapters.attempt_json import (
    attempt_from_json,
    attempt_to_json,
    failure_state_from_json,
    failure_state_to_json,
    quote_from_json,
    quote_to_json,
)
from adapters.ledger_json import ledger_from_text, ledger_to_text
from adapters.stored_json import (
    ADOPTING_VERSION,
    CLIENT_CREDENTIALS_VERSION,
    FIRST_VERSION,
    MOVING_VERSION,
    REVOKING_VERSION,
    FormatError,
    Json,
    dump,
    format_instant,
    load_members,
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
from domain.ledger import MAX_REFRESH_TIMES, Ledger, RefreshCounts, RefreshTimes
from domain.provider import GrantType

if TYPE_CHECKING:
    # Most records have no alerts.
    from domain.alert_book import AlertBook


_NO_REFRESHES: RefreshCounts = MappingProxyType({})
_MILLISECOND = timedelta(milliseconds=1)
# Far more than any refresh takes.
_LONGEST_REFRESH = timedelta(hours=1) // _MILLISECOND


class StoredRecord(NamedTuple):
    """The stored members of a record, without its etag."""

    grant: Grant
    ledger: Ledger
    alerts: "AlertBook | None"
    refreshes: RefreshCounts
    refresh_times: RefreshTimes


def dump_record(
    grant: Grant,
    ledger: Ledger,
    alerts: "AlertBook | None" = None,
    refreshes: RefreshCounts = _NO_REFRESHES,
    refresh_times: RefreshTimes = (),
) -> bytes:
    """Write a grant and what goes with it. Versions without these members ignore them."""
    members = {**_grant_to_json(grant)}
    if ledger:
        members["ledger"] = ledger_to_text(ledger)
    if refreshes:
        members["refreshes"] = dict(refreshes)
    if refresh_times:
        members["refresh_ms"] = [each // _MILLISECOND for each in refresh_times]
    if alerts is not None:
        from adapters.alerts_json import alerts_to_json

        members["alerts"] = alerts_to_json(alerts)
    return dump(members, _version_of(grant))


def _version_of(grant: Grant) -> int:
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


def load_record(text: bytes) -> tuple[Grant, Ledger]:
    """Read a grant and its ledger. Raises FormatError."""
    stored = load_stored(text)
    return stored.grant, stored.ledger


def load_stored(text: bytes) -> StoredRecord:
    """Read a grant and what goes with it. Raises FormatError."""
    members = load_members(text)
    try:
        # Missing in records older than ledgers.
        grant, ledger = _grant_from_json(members), ledger_from_text(members.get("ledger"))
    except (KeyError, TypeError, ValueError, zlib.error) as error:
        raise FormatError("the record lacks members of its version") from error
    alerts = None
    if "alerts" in members:
        # Imported here, because a fresh token seldom needs it.
        from adapters.alerts_json import alerts_from_json

        alerts = alerts_from_json(members["alerts"])
    return StoredRecord(
        grant,
        ledger,
        alerts,
        _refreshes_from_json(members.get("refreshes")),
        _refresh_times_from_json(members.get("refresh_ms")),
    )


def _refreshes_from_json(counts: object) -> RefreshCounts:
    """Read the counts. Other values must not cost the grant: the counts then start again."""
    if not isinstance(counts, Mapping):
        return {}
    return {name: number for name, number in counts.items() if isinstance(number, int)}


def _refresh_times_from_json(milliseconds: object) -> RefreshTimes:
    """Read the times of refreshes. Other values must not cost the grant: they are left out."""
    if not isinstance(milliseconds, list):
        return ()
    return tuple(
        each * _MILLISECOND
        for each in milliseconds[-MAX_REFRESH_TIMES:]
        if isinstance(each, int) and 0 <= each <= _LONGEST_REFRESH
    )


def _grant_to_json(grant: Grant) -> Json:
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
            inner = _grant_to_json(moved)
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
                "grant": _grant_to_json(adopted),
                "earlier": _grant_to_json(earlier),
                "replaces": replaces,
            }
        case _:
            assert_never(grant)


def _grant_from_json(members: Json) -> Grant:
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
    adopted, earlier = _grant_from_json(members["grant"]), _grant_from_json(members["earlier"])
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
