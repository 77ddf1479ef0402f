"""The stored format of revocations. Only a revoked grant needs it."""

from adapters.stored_json import (
    Json,
    format_instant,
    parse_count,
    parse_instant,
    parse_optional_instant,
)
from domain.grant import Revoked, Revoking
from domain.token_endpoint import RevocationRequest, RevocationResult, TokenTypeHint


def revocation_to_json(grant: Revoking | Revoked) -> Json:
    """Write a grant that its owner ended, without its state."""
    end = {
        "at": format_instant(grant.at),
        "place": grant.place,
        "login": format_instant(grant.login),
    }
    if isinstance(grant, Revoked):
        return {"result": grant.result.value, **end}
    return {"request": _request_to_json(grant.request), **end}


def revocation_from_json(members: Json) -> Revoking | Revoked:
    """Read a grant that its owner ended. Raises KeyError, TypeError, ValueError."""
    end: Json = {
        "at": parse_instant(members["at"]),
        "place": parse_count(members, "place"),
        "login": parse_optional_instant(members.get("login")),
    }
    if members["state"] == "revoked":
        return Revoked(result=RevocationResult(members["result"]), **end)
    return Revoking(request=_request_from_json(members["request"]), **end)


def _request_to_json(request: RevocationRequest) -> Json:
    members = {"token": request.token, "token_type_hint": request.token_type_hint.value}
    # Not twice.
    is_other = request.access_token not in (None, request.token)
    return {**members, "access_token": request.access_token} if is_other else members


def _request_from_json(members: Json) -> RevocationRequest:
    hint = TokenTypeHint(members["token_type_hint"])
    token = members["token"]
    # Records of earlier versions have one token only.
    default = token if hint is TokenTypeHint.ACCESS_TOKEN else None
    return RevocationRequest(
        token=token, token_type_hint=hint, access_token=members.get("access_token", default)
    )
