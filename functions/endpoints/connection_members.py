"""The members of a connection, which `GET /api/verify` and `POST /api/refresh` return."""

from datetime import datetime

from domain.grant import Grant, tokens_of
from domain.provider import Provider
from domain.scopes import asked_scope, missing_scopes
from functions.refresh.status import connection_status


def connection_members(grant: Grant, provider: Provider, now: datetime) -> dict[str, object]:
    """Return the status, and with tokens the missing scopes, if any scope was asked for."""
    members = connection_status(grant, now, provider.grant_type)
    tokens, asked = tokens_of(grant), asked_scope(provider)
    if tokens is not None and asked is not None:
        members["missing_scopes"] = missing_scopes(asked, tokens)
    return members
