"""The account of an ID token: its fingerprint, and its label (OpenID Connect Core 1.0 §2, §5.1)."""

import json
import logging
from base64 import urlsafe_b64decode
from hashlib import sha256
from typing import Annotated, NamedTuple, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from adapters.body_members import json_object
from domain.extra import usable_text

_PARTS = 3

_log = logging.getLogger(__name__)


_Label: TypeAlias = Annotated[str | None, BeforeValidator(usable_text), Field(repr=False)]


class Account(NamedTuple):
    """The fingerprint of an account, and its label for people. None for what is unknown."""

    subject: str | None
    label: str | None


_UNKNOWN = Account(subject=None, label=None)


class _Claims(BaseModel):
    """The two claims that together identify an account (§2, §5.7), and those that name it (§5.1).

    An unusable name does not cost the account.
    """

    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True)

    iss: Annotated[str, Field(min_length=1, strict=True)]
    sub: Annotated[str, Field(min_length=1, strict=True, repr=False)]
    email: _Label = None
    preferred_username: _Label = None
    name: _Label = None


def read_account(id_token: str | None, issuer: str | None) -> Account:
    """Return the account of an ID token, if there is one and it names an account.

    The signature is not checked: TLS authenticates the token endpoint (§3.1.3.7, point 6).
    `issuer`: the only issuer to accept, None for any.
    """
    claims = None if id_token is None else _claims(id_token)
    if claims is None:
        return _UNKNOWN
    if issuer is not None and claims.iss != issuer:
        _log.warning("the ID token's issuer is not ISSUER: its account is ignored")
        return _UNKNOWN
    return Account(
        subject=sha256(json.dumps([claims.iss, claims.sub]).encode()).hexdigest(),
        label=claims.email or claims.preferred_username or claims.name,
    )


def _claims(id_token: str) -> _Claims | None:
    parts = id_token.split(".")
    # An encrypted token has five.
    if len(parts) != _PARTS:
        return None
    try:
        text = urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4))
        return _Claims.model_validate(json_object(text))
    except (ValueError, ValidationError):
        return None
