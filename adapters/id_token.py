"""The account of an ID token, as a fingerprint (OpenID Connect Core 1.0 §2)."""

import json
import logging
from base64 import urlsafe_b64decode
from hashlib import sha256
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from adapters.body_members import json_object

_PARTS = 3

_log = logging.getLogger(__name__)


class _Claims(BaseModel):
    """The two claims that together identify an account (§2, §5.7)."""

    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True)

    iss: Annotated[str, Field(min_length=1, strict=True)]
    sub: Annotated[str, Field(min_length=1, strict=True, repr=False)]


def read_subject(id_token: str, issuer: str | None) -> str | None:
    """Return a fingerprint of the account, or None if the token does not name one.

    The signature is not checked: TLS authenticates the token endpoint (§3.1.3.7, point 6).
    `issuer`: the only issuer to accept, None for any.
    """
    claims = _claims(id_token)
    if claims is None:
        return None
    if issuer is not None and claims.iss != issuer:
        _log.warning("the ID token's issuer is not ISSUER: its account is ignored")
        return None
    return sha256(json.dumps([claims.iss, claims.sub]).encode()).hexdigest()


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
