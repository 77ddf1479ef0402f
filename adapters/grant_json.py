"""The stored format of grants and their ledgers."""

import zlib
from typing import TYPE_CHECKING, assert_never

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
    parse_instant,
    parse_optional_instant,
)
from domain.grant import (
    Adopting,
    Attempt,
    AuthorizationRequired,
    Authorized,
    Cause,
    Failure,
    FailureState,
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
from domain.ledger import Ledger
from domain.provider import GrantType, LifetimeStart
from domain.token_endpoint import (
    Extra,
    ExtraValue,
    RevocationRequest,
    RevocationResult,
    TokenTypeHint,
)
from domain.tokens import Tokens

if TYPE_CHECKING:
    from domain.rejections import Rejection


def dump_record(grant: Grant, ledger: Ledger) -> bytes:
    """Write a grant and its ledger. Versions without ledgers ignore the ledger."""
    history = {"ledger": ledger_to_text(ledger)} if ledger else {}
    return dump({**_grant_to_json(grant), **history}, _version_of(grant))


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
    members = load_members(text)
    try:
        # Missing in records older than ledgers.
        return _grant_from_json(members), ledger_from_text(members.get("ledger"))
    except (KeyError, TypeError, ValueError, zlib.error) as error:
        raise FormatError("the record lacks members of its version") from error


def _grant_to_json(grant: Grant) -> Json:
    match grant:
        case Unauthorized(failure_state=failure_state):
            start = {} if failure_state is None else _start_to_json(grant)
            return {"state": "unauthorized", **start}
        case Requesting(attempt=attempt):
            members = {"attempt": _attempt_to_json(attempt), **_start_to_json(grant)}
            return {"state": "requesting", **members}
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
                "attempt": _attempt_to_json(attempt),
                "setbacks": _failure_state_to_json(failure_state),
            }
        case AuthorizationRequired(tokens=tokens, cause=cause, client=client, since=since):
            return {
                "state": "authorization-required",
                "tokens": _tokens_to_json(tokens),
                "cause": cause.value,
                "client": client,
                "since": format_instant(since),
                **_quote_to_json(grant.quote),
            }
        case Moved(grant=moved, since=since, place=place):
            inner = _grant_to_json(moved)
            return {
                "state": "moved",
                "grant": inner,
                "since": format_instant(since),
                "place": place,
            }
        case Revoking(request=request):
            return {
                "state": "revoking",
                "request": _revocation_to_json(request),
                **_end_to_json(grant),
            }
        case Revoked(result=result):
            return {"state": "revoked", "result": result.value, **_end_to_json(grant)}
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
            attempt = _attempt_from_json(members["attempt"])
            return Requesting(attempt=attempt, **_start_from_json(members))
        case "refreshing":
            return Refreshing(
                tokens=_tokens_from_json(members["tokens"]),
                attempt=_attempt_from_json(members["attempt"]),
                failure_state=_failure_state_from_json(members["setbacks"]),
            )
        case "moved":
            return Moved(
                grant=_idle_from_json(members["grant"]),
                since=parse_instant(members["since"]),
                place=_place(members),
            )
        case "revoking":
            request = _revocation_from_json(members["request"])
            return Revoking(request=request, **_end_from_json(members))
        case "revoked":
            result = RevocationResult(members["result"])
            return Revoked(result=result, **_end_from_json(members))
        case "adopting":
            return _adopting_from_json(members)
        case _:
            return _idle_from_json(members)


def _adopting_from_json(members: Json) -> Adopting:
    adopted, earlier = _grant_from_json(members["grant"]), _grant_from_json(members["earlier"])
    if not isinstance(adopted, Authorized | Refreshing) or not isinstance(earlier, Inactive | Idle):
        raise TypeError("adopting")
    return Adopting(grant=adopted, earlier=earlier, replaces=bool(members["replaces"]))


def _revocation_to_json(request: RevocationRequest) -> Json:
    members = {"token": request.token, "token_type_hint": request.token_type_hint.value}
    # Not twice.
    is_other = request.access_token not in (None, request.token)
    return {**members, "access_token": request.access_token} if is_other else members


def _revocation_from_json(members: Json) -> RevocationRequest:
    hint = TokenTypeHint(members["token_type_hint"])
    token = members["token"]
    # Records of earlier versions have one token only.
    default = token if hint is TokenTypeHint.ACCESS_TOKEN else None
    return RevocationRequest(
        token=token, token_type_hint=hint, access_token=members.get("access_token", default)
    )


def _attempt_to_json(attempt: Attempt) -> Json:
    return {
        "id": attempt.id,
        "authorized_at": format_instant(attempt.authorized_at),
        "generation": attempt.generation,
        "client": attempt.client,
        "started_at": format_instant(attempt.started_at),
    }


def _attempt_from_json(members: Json) -> Attempt:
    return Attempt(
        id=members["id"],
        authorized_at=parse_instant(members["authorized_at"]),
        generation=members["generation"],
        client=members["client"],
        started_at=parse_instant(members["started_at"]),
    )


def _start_to_json(grant: Unauthorized | Requesting) -> Json:
    """Write what a client's first requests have left."""
    return {
        "setbacks": _failure_state_to_json(grant.failure_state),
        "place": grant.place,
        "revoked": grant.revoked,
    }


def _start_from_json(members: Json) -> Json:
    return {
        "failure_state": _failure_state_from_json(members["setbacks"]),
        "place": _place(members),
        "revoked": _place(members, "revoked"),
    }


def _end_to_json(grant: Revoking | Revoked) -> Json:
    return {
        "at": format_instant(grant.at),
        "place": grant.place,
        "login": format_instant(grant.login),
    }


def _end_from_json(members: Json) -> Json:
    login = parse_optional_instant(members.get("login"))
    return {"at": parse_instant(members["at"]), "place": _place(members), "login": login}


def _place(members: Json, name: str = "place") -> int:
    """Read a place. Records of earlier versions have none: 0."""
    place = members.get(name, 0)
    if not isinstance(place, int):
        raise TypeError(name)
    return place


def _idle_from_json(members: Json) -> Idle:
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
                since=parse_instant(members["since"]),
                quote=_quote_from_json(members),
            )
        case state:
            raise ValueError(state)


def _tokens_to_json(tokens: Tokens) -> Json:
    return {
        "generation": tokens.generation,
        "authorized_at": format_instant(tokens.authorized_at),
        "issued_at": format_instant(tokens.issued_at),
        "access_token": tokens.access_token,
        "token_type": tokens.token_type,
        "scope": tokens.scope,
        "expires_at": format_instant(tokens.expires_at),
        "refresh_token": tokens.refresh_token,
        "refresh_token_expires_at": format_instant(tokens.refresh_token_expires_at),
        "subject": tokens.subject,
        "place": tokens.place,
        "revoked": tokens.revoked,
        "refresh_token_counted": tokens.refresh_token_counted.value,
        # Most records have none of the next members. Earlier versions ignore them.
        **({} if tokens.account is None else {"account": tokens.account}),
        **({"extra": dict(tokens.extra)} if tokens.extra else {}),
        **_grant_type_to_json(tokens.grant_type),
        **({} if tokens.adopted is None else {"adopted": tokens.adopted}),
        **_rejection_to_json(tokens),
        "login_expires_at": format_instant(tokens.login_expires_at),
    }


def _rejection_to_json(tokens: Tokens) -> Json:
    if (rejection := tokens.rejection) is None:
        return {}
    members = {
        "generation": rejection.generation,
        "at": format_instant(rejection.at),
        "in_a_row": rejection.in_a_row,
        "unrotated": rejection.unrotated,
    }
    return {"rejection": members}


def _grant_type_to_json(grant_type: GrantType) -> Json:
    is_login = grant_type is GrantType.AUTHORIZATION_CODE
    return {} if is_login else {"grant_type": grant_type.value}


def _tokens_from_json(members: Json) -> Tokens:
    return Tokens(
        generation=members["generation"],
        authorized_at=parse_instant(members["authorized_at"]),
        issued_at=parse_instant(members["issued_at"]),
        access_token=members["access_token"],
        token_type=members["token_type"],
        scope=members["scope"],
        expires_at=parse_optional_instant(members["expires_at"]),
        refresh_token=members["refresh_token"],
        refresh_token_expires_at=parse_optional_instant(members["refresh_token_expires_at"]),
        # Missing in records of earlier versions.
        subject=members.get("subject"),
        place=_place(members),
        revoked=_place(members, "revoked"),
        # Missing in records of earlier versions.
        refresh_token_counted=LifetimeStart(
            members.get("refresh_token_counted", LifetimeStart.ISSUE.value)
        ),
        account=members.get("account"),
        extra=_extra_from_json(members.get("extra", {})),
        grant_type=GrantType(members.get("grant_type", GrantType.AUTHORIZATION_CODE.value)),
        login_expires_at=parse_optional_instant(members.get("login_expires_at")),
        adopted=members.get("adopted"),
        rejection=_rejection_from_json(members.get("rejection")),
    )


def _rejection_from_json(members: Json | None) -> "Rejection | None":
    if members is None:
        return None
    # Imported here, because most records have none.
    from domain.rejections import Rejection

    return Rejection(
        generation=members["generation"],
        at=parse_instant(members["at"]),
        in_a_row=members["in_a_row"],
        unrotated=members["unrotated"],
    )


def _extra_from_json(members: Json) -> Extra:
    if not isinstance(members, dict):
        raise TypeError("extra")
    return tuple((name, value) for name, value in members.items() if isinstance(value, ExtraValue))


def _failure_state_to_json(failure_state: FailureState | None) -> Json | None:
    if failure_state is None:
        return None
    return {
        "failures": failure_state.failures,
        **_failure_to_json(failure_state.failure),
        "at": format_instant(failure_state.at),
        "retry_at": format_instant(failure_state.retry_at),
        "in_doubt_since": format_instant(failure_state.in_doubt_since),
        "since": format_instant(failure_state.since),
        **_quote_to_json(failure_state.quote),
    }


def _failure_to_json(failure: Failure) -> Json:
    if failure is Failure.REFUSED:
        # Earlier versions, which make no second try, read it as the other refusal that may pass.
        return {"failure": Failure.UNEXPLAINED.value, "is_refused": True}
    return {"failure": failure.value}


def _failure_from_json(members: Json) -> Failure:
    return Failure.REFUSED if members.get("is_refused") else Failure(members["failure"])


def _quote_to_json(quote: str | None) -> Json:
    return {} if quote is None else {"said": quote}


def _quote_from_json(members: Json) -> str | None:
    # Missing in records of earlier versions.
    quote: str | None = members.get("said")
    return quote


def _failure_state_from_json(members: Json | None) -> FailureState | None:
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
        quote=_quote_from_json(members),
    )
