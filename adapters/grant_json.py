"""The stored format: grants and pending logins as JSON, with a version number.

Each record has the lowest version that can express it. So an earlier version of this software can
read it, or report that another version wrote it.

Standard library only: each token request runs this code, and `sealing` has authenticated its input.
"""

import json
import zlib
from base64 import b64decode, b64encode
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeAlias, assert_never

from domain.grant import (
    Attempt,
    AuthorizationRequired,
    Authorized,
    Cause,
    Failure,
    FailureState,
    Grant,
    Idle,
    Moved,
    Refreshing,
    Revoked,
    Revoking,
    Unauthorized,
)
from domain.ledger import Entry, HistoryEvent, Ledger
from domain.provider import LifetimeStart
from domain.token_endpoint import RevocationRequest, RevocationResult, TokenTypeHint
from domain.tokens import Tokens

if TYPE_CHECKING:
    # As in `ports.store`.
    from domain.authorization import PendingLogin

FIRST_VERSION = 1
# Version 2 added moved grants, version 3 revoked ones.
MOVING_VERSION = 2
FORMAT_VERSION = 3

_Json: TypeAlias = dict[str, Any]


class FormatError(Exception):
    """The text has a format that this version cannot read."""


def dump_record(grant: Grant, ledger: Ledger) -> bytes:
    """Write a grant and its ledger. Versions without ledgers ignore the ledger."""
    history = {"ledger": _ledger_to_text(ledger)} if ledger else {}
    return _dump({**_grant_to_json(grant), **history}, _version_of(grant))


def _version_of(grant: Grant) -> int:
    match grant:
        case Unauthorized() | Authorized() | Refreshing() | AuthorizationRequired():
            return FIRST_VERSION
        case Moved():
            return MOVING_VERSION
        case Revoking() | Revoked():
            return FORMAT_VERSION
        case _:
            assert_never(grant)


def load_record(text: bytes) -> tuple[Grant, Ledger]:
    """Read a grant and its ledger. Raises FormatError."""
    members = _load(text)
    try:
        # Missing in records older than ledgers.
        return _grant_from_json(members), _ledger_from_text(members.get("ledger"))
    except (KeyError, TypeError, ValueError, zlib.error) as error:
        raise FormatError("the record lacks members of its version") from error


def dump_login(pending: "PendingLogin") -> bytes:
    """Write a pending login."""
    return _dump(
        {
            "connection": pending.connection,
            "redirect_uri": pending.redirect_uri,
            "code_verifier": pending.code_verifier,
            "expires_at": _to_text(pending.expires_at),
            "issuer": pending.issuer,
            "issuer_names_itself": pending.issuer_is_required,
            "browser": pending.browser,
            "replaces": pending.replaces,
            "read": pending.read,
            "outcome": pending.outcome,
        }
    )


def load_login(text: bytes) -> "PendingLogin":
    """Read a pending login. Raises FormatError."""
    from domain.authorization import PendingLogin

    members = _load(text)
    try:
        return PendingLogin(
            connection=members["connection"],
            redirect_uri=members["redirect_uri"],
            code_verifier=members["code_verifier"],
            expires_at=_instant(members["expires_at"]),
            issuer=members["issuer"],
            issuer_is_required=members["issuer_names_itself"],
            browser=members["browser"],
            replaces=members["replaces"],
            # Missing in logins of earlier versions.
            read=members.get("read"),
            # Missing in logins of earlier versions.
            outcome=members.get("outcome"),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise FormatError("the login lacks members of its version") from error


def _dump(members: _Json, version: int = FIRST_VERSION) -> bytes:
    return json.dumps({"version": version, **members}, separators=(",", ":")).encode()


def _load(text: bytes) -> _Json:
    try:
        members = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise FormatError("it is not JSON") from error
    versions = range(FIRST_VERSION, FORMAT_VERSION + 1)
    if not isinstance(members, dict) or members.get("version") not in versions:
        raise FormatError("it was written by another version of this software")
    return members


def _grant_to_json(grant: Grant) -> _Json:
    match grant:
        case Unauthorized():
            return {"state": "unauthorized"}
        case Authorized(tokens=tokens, failure_state=failure_state):
            return {
                "state": "authorized",
                "tokens": _tokens_to_json(tokens),
                "setbacks": _failure_state_to_json(failure_state),
            }
        case Refreshing(tokens=tokens, attempt=attempt, failure_state=failure_state):
            return {
                "state": "refreshing",
                "tokens": _tokens_to_json(tokens),
                "attempt": {
                    "id": attempt.id,
                    "authorized_at": _to_text(attempt.authorized_at),
                    "generation": attempt.generation,
                    "client": attempt.client,
                    "started_at": _to_text(attempt.started_at),
                },
                "setbacks": _failure_state_to_json(failure_state),
            }
        case AuthorizationRequired(tokens=tokens, cause=cause, client=client, since=since):
            return {
                "state": "authorization-required",
                "tokens": _tokens_to_json(tokens),
                "cause": cause.value,
                "client": client,
                "since": _to_text(since),
                **_said_to_json(grant.quote),
            }
        case Moved(grant=moved, since=since, place=place):
            inner = _grant_to_json(moved)
            return {"state": "moved", "grant": inner, "since": _to_text(since), "place": place}
        case Revoking(request=request):
            hint = request.token_type_hint.value
            members = {"token": request.token, "token_type_hint": hint}
            return {"state": "revoking", "request": members, **_end_to_json(grant)}
        case Revoked(result=result):
            return {"state": "revoked", "result": result.value, **_end_to_json(grant)}
        case _:
            assert_never(grant)


def _grant_from_json(members: _Json) -> Grant:
    match members["state"]:
        case "unauthorized":
            return Unauthorized()
        case "refreshing":
            attempt = members["attempt"]
            return Refreshing(
                tokens=_tokens_from_json(members["tokens"]),
                attempt=Attempt(
                    id=attempt["id"],
                    authorized_at=_instant(attempt["authorized_at"]),
                    generation=attempt["generation"],
                    client=attempt["client"],
                    started_at=_instant(attempt["started_at"]),
                ),
                failure_state=_failure_state_from_json(members["setbacks"]),
            )
        case "moved":
            return Moved(
                grant=_settled_from_json(members["grant"]),
                since=_instant(members["since"]),
                place=_place(members),
            )
        case "revoking":
            request = RevocationRequest(
                token=members["request"]["token"],
                token_type_hint=TokenTypeHint(members["request"]["token_type_hint"]),
            )
            return Revoking(request=request, **_end_from_json(members))
        case "revoked":
            result = RevocationResult(members["result"])
            return Revoked(result=result, **_end_from_json(members))
        case _:
            return _settled_from_json(members)


def _end_to_json(grant: Revoking | Revoked) -> _Json:
    return {"at": _to_text(grant.at), "place": grant.place, "login": _to_text(grant.login)}


def _end_from_json(members: _Json) -> _Json:
    login = _from_text(members.get("login"))
    return {"at": _instant(members["at"]), "place": _place(members), "login": login}


def _place(members: _Json, name: str = "place") -> int:
    """Read a place. Records of earlier versions have none: 0."""
    place = members.get(name, 0)
    if not isinstance(place, int):
        raise TypeError(name)
    return place


def _settled_from_json(members: _Json) -> Idle:
    match members["state"]:
        case "authorized":
            return Authorized(
                tokens=_tokens_from_json(members["tokens"]),
                failure_state=_failure_state_from_json(members["setbacks"]),
            )
        case "authorization-required":
            return AuthorizationRequired(
                tokens=_tokens_from_json(members["tokens"]),
                cause=Cause(members["cause"]),
                client=members["client"],
                since=_instant(members["since"]),
                quote=_said_from_json(members),
            )
        case state:
            raise ValueError(state)


def _ledger_to_text(ledger: Ledger) -> str:
    """Write the entries, compressed to a fifth, because each token request reads them.

    They are compressed without the tokens, whose content the length could reveal.
    """
    rows = [_entry_to_json(entry) for entry in ledger]
    return b64encode(zlib.compress(json.dumps(rows, separators=(",", ":")).encode())).decode()


def _ledger_from_text(text: str | None) -> Ledger:
    """Read the entries. Skip entries of a later version: they must not cost the grant."""
    if text is None:
        return ()
    rows = json.loads(zlib.decompress(b64decode(text)))
    return tuple(entry for entry in map(_entry_from_json, rows) if entry is not None)


def _entry_to_json(entry: Entry) -> tuple[Any, ...]:
    # Earlier versions skip entries with a quote, and read all others.
    rest = entry[2:] if entry.quote is not None else entry[2:-1]
    return int(entry.at.timestamp()), entry.event.value, *rest


def _entry_from_json(row: list[Any]) -> Entry | None:
    try:
        at, event, *rest = row
        at = datetime.fromtimestamp(at, UTC)
        return Entry(at, HistoryEvent(event), *rest)
    except (TypeError, ValueError, OverflowError, OSError):
        return None


def _tokens_to_json(tokens: Tokens) -> _Json:
    return {
        "generation": tokens.generation,
        "authorized_at": _to_text(tokens.authorized_at),
        "issued_at": _to_text(tokens.issued_at),
        "access_token": tokens.access_token,
        "token_type": tokens.token_type,
        "scope": tokens.scope,
        "expires_at": _to_text(tokens.expires_at),
        "refresh_token": tokens.refresh_token,
        "refresh_token_expires_at": _to_text(tokens.refresh_token_expires_at),
        "subject": tokens.subject,
        "place": tokens.place,
        "revoked": tokens.revoked,
        "refresh_token_counted": tokens.refresh_token_counted.value,
    }


def _tokens_from_json(members: _Json) -> Tokens:
    return Tokens(
        generation=members["generation"],
        authorized_at=_instant(members["authorized_at"]),
        issued_at=_instant(members["issued_at"]),
        access_token=members["access_token"],
        token_type=members["token_type"],
        scope=members["scope"],
        expires_at=_from_text(members["expires_at"]),
        refresh_token=members["refresh_token"],
        refresh_token_expires_at=_from_text(members["refresh_token_expires_at"]),
        # Missing in records of earlier versions.
        subject=members.get("subject"),
        place=_place(members),
        revoked=_place(members, "revoked"),
        # Missing in records of earlier versions.
        refresh_token_counted=LifetimeStart(
            members.get("refresh_token_counted", LifetimeStart.ISSUE.value)
        ),
    )


def _failure_state_to_json(failure_state: FailureState | None) -> _Json | None:
    if failure_state is None:
        return None
    return {
        "failures": failure_state.failures,
        **_failure_to_json(failure_state.failure),
        "at": _to_text(failure_state.at),
        "retry_at": _to_text(failure_state.retry_at),
        "in_doubt_since": _to_text(failure_state.in_doubt_since),
        "since": _to_text(failure_state.since),
        **_said_to_json(failure_state.quote),
    }


def _failure_to_json(failure: Failure) -> _Json:
    if failure is Failure.REFUSED:
        # Earlier versions, which make no second try, read it as the other refusal that may pass.
        return {"failure": Failure.UNEXPLAINED.value, "is_refused": True}
    return {"failure": failure.value}


def _failure_from_json(members: _Json) -> Failure:
    return Failure.REFUSED if members.get("is_refused") else Failure(members["failure"])


def _said_to_json(said: str | None) -> _Json:
    return {} if said is None else {"said": said}


def _said_from_json(members: _Json) -> str | None:
    # Missing in records of earlier versions.
    said: str | None = members.get("said")
    return said


def _failure_state_from_json(members: _Json | None) -> FailureState | None:
    if members is None:
        return None
    return FailureState(
        failures=members["failures"],
        failure=_failure_from_json(members),
        at=_instant(members["at"]),
        retry_at=_instant(members["retry_at"]),
        in_doubt_since=_from_text(members["in_doubt_since"]),
        # Missing in records of earlier versions.
        since=_from_text(members.get("since")),
        quote=_said_from_json(members),
    )


def _to_text(instant: datetime | None) -> str | None:
    return None if instant is None else instant.astimezone(UTC).isoformat()


def _from_text(text: str | None) -> datetime | None:
    return None if text is None else _instant(text)


def _instant(text: str) -> datetime:
    instant = datetime.fromisoformat(text)
    if instant.tzinfo is None:
        raise ValueError("an instant without a time zone")
    return instant
