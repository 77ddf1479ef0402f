"""The stored format of pending logins."""

from adapters.stored_json import (
    FormatError,
    dump,
    format_instant,
    load_members,
    parse_instant,
)
from domain.authorization import PendingLogin


def dump_login(pending: PendingLogin) -> bytes:
    """Write a pending login."""
    return dump(
        {
            "connection": pending.connection,
            "redirect_uri": pending.redirect_uri,
            "code_verifier": pending.code_verifier,
            "expires_at": format_instant(pending.expires_at),
            "issuer": pending.issuer,
            "issuer_names_itself": pending.issuer_is_required,
            "browser": pending.browser,
            "replaces": pending.replaces,
            "read": pending.read,
            "outcome": pending.outcome,
            "renews": pending.renews,
        }
    )


def load_login(text: bytes) -> PendingLogin:
    """Read a pending login. Raises FormatError."""
    members = load_members(text)
    try:
        return PendingLogin(
            connection=members["connection"],
            redirect_uri=members["redirect_uri"],
            code_verifier=members["code_verifier"],
            expires_at=parse_instant(members["expires_at"]),
            issuer=members["issuer"],
            issuer_is_required=members["issuer_names_itself"],
            browser=members["browser"],
            replaces=members["replaces"],
            # These are missing in logins of earlier versions.
            read=members.get("read"),
            outcome=members.get("outcome"),
            renews=members.get("renews", False),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise FormatError("the login lacks members of its version") from error
