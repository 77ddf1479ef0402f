"""The stored format of tokens."""

from typing import TYPE_CHECKING

from adapters.stored_json import (
    Json,
    format_instant,
    parse_count,
    parse_instant,
    parse_optional_instant,
)
from domain.provider import GrantType, LifetimeStart
from domain.tokens import Tokens

if TYPE_CHECKING:
    # Most records have none.
    from domain.extra import Extra
    from domain.rejections import Rejection


def tokens_to_json(tokens: Tokens) -> Json:
    """Write tokens."""
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
        **({} if tokens.rejection is None else {"rejection": _rejection_to_json(tokens.rejection)}),
        "login_expires_at": format_instant(tokens.login_expires_at),
    }


def _rejection_to_json(rejection: "Rejection") -> Json:
    return {
        "generation": rejection.generation,
        "at": format_instant(rejection.at),
        "in_a_row": rejection.in_a_row,
        "unrotated": rejection.unrotated,
    }


def _grant_type_to_json(grant_type: GrantType) -> Json:
    is_login = grant_type is GrantType.AUTHORIZATION_CODE
    return {} if is_login else {"grant_type": grant_type.value}


def tokens_from_json(members: Json) -> Tokens:
    """Read tokens. Raises KeyError, TypeError, ValueError."""
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
        place=parse_count(members, "place"),
        revoked=parse_count(members, "revoked"),
        # Missing in records of earlier versions.
        refresh_token_counted=LifetimeStart(
            members.get("refresh_token_counted", LifetimeStart.ISSUE.value)
        ),
        account=members.get("account"),
        extra=_extra_from_json(members["extra"]) if "extra" in members else (),
        grant_type=GrantType(members.get("grant_type", GrantType.AUTHORIZATION_CODE.value)),
        login_expires_at=parse_optional_instant(members.get("login_expires_at")),
        adopted=members.get("adopted"),
        rejection=_rejection_from_json(members["rejection"]) if "rejection" in members else None,
    )


def _rejection_from_json(members: Json) -> "Rejection":
    # Imported here, because most records have none.
    from domain.rejections import Rejection

    return Rejection(
        generation=members["generation"],
        at=parse_instant(members["at"]),
        in_a_row=members["in_a_row"],
        unrotated=members["unrotated"],
    )


def _extra_from_json(members: Json) -> "Extra":
    # Imported here, because most records have none.
    from domain.extra import ExtraValue

    if not isinstance(members, dict):
        raise TypeError("extra")
    return tuple((name, value) for name, value in members.items() if isinstance(value, ExtraValue))
