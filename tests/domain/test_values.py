"""The values of the domain: what may be left out of one, and what none of them shows."""

from dataclasses import fields, is_dataclass
from importlib import import_module
from pkgutil import iter_modules

import pytest

import domain
from domain.authorization import AuthorizationResponse, PendingLogin
from domain.events import LoginCompleted, TokenRequested
from domain.grant import Authorized
from domain.metadata import ServerMetadata
from domain.token_endpoint import TokenErrorResponse, TokenResponse
from domain.tokens import Tokens
from tests.domain.examples import MINUTE, RESPONSE, T0, TOKENS

SHORT_AND_FULL: list[tuple[object, object]] = [
    (
        PendingLogin(connection="c", redirect_uri="r", code_verifier=None, expires_at=T0),
        PendingLogin(
            connection="c",
            redirect_uri="r",
            code_verifier=None,
            expires_at=T0,
            issuer=None,
            issuer_names_itself=False,
            browser=None,
            replaces=False,
        ),
    ),
    (
        AuthorizationResponse(state="s", code="c", issuer=None),
        AuthorizationResponse(state="s", code="c", issuer=None, browser=None),
    ),
    (TokenRequested(attempt_id="a"), TokenRequested(attempt_id="a", min_ttl=MINUTE)),
    (
        LoginCompleted(response=RESPONSE, requested_at=T0),
        LoginCompleted(response=RESPONSE, requested_at=T0, replaces=False),
    ),
    (Authorized(tokens=TOKENS), Authorized(tokens=TOKENS, setbacks=None)),
    (
        ServerMetadata(),
        ServerMetadata(
            issuer=None,
            authorization_endpoint=None,
            token_endpoint=None,
            revocation_endpoint=None,
            client_authentication=None,
            pkce=None,
            names_itself=None,
        ),
    ),
    (
        TokenErrorResponse(status=400, error=None),
        TokenErrorResponse(status=400, error=None, description=None, retry_after=None),
    ),
    (
        TokenResponse(
            access_token="a",
            token_type="t",
            expires_in=None,
            refresh_token=None,
            refresh_token_expires_in=None,
            scope=None,
        ),
        TokenResponse(
            access_token="a",
            token_type="t",
            expires_in=None,
            refresh_token=None,
            refresh_token_expires_in=None,
            scope=None,
            subject=None,
        ),
    ),
    (
        Tokens(
            generation=0,
            authorized_at=T0,
            issued_at=T0,
            access_token="a",
            token_type="t",
            scope=None,
            expires_at=None,
            refresh_token=None,
            refresh_token_expires_at=None,
        ),
        Tokens(
            generation=0,
            authorized_at=T0,
            issued_at=T0,
            access_token="a",
            token_type="t",
            scope=None,
            expires_at=None,
            refresh_token=None,
            refresh_token_expires_at=None,
            subject=None,
        ),
    ),
]
# Tokens, codes and what a login is finished with; and what credentials could be guessed by.
SECRETS = {
    "Attempt": {"client"},
    "AuthorizationCodeRequest": {"code", "code_verifier"},
    "AuthorizationRequired": {"client"},
    "AuthorizationResponse": {"state", "code", "browser"},
    "PendingLogin": {"code_verifier"},
    "Policy": {"client"},
    "RefreshTokenRequest": {"refresh_token"},
    "RevocationRequest": {"token"},
    "TokenResponse": {"access_token", "refresh_token"},
    "Tokens": {"access_token", "refresh_token"},
}


@pytest.mark.parametrize(
    ("short", "full"), SHORT_AND_FULL, ids=[type(full).__name__ for _, full in SHORT_AND_FULL]
)
def test_what_is_left_out_of_a_value_is_nothing_more_than_that(short: object, full: object) -> None:
    assert short == full


def test_no_value_shows_a_secret_and_every_value_shows_the_rest() -> None:
    hidden: dict[str, set[str]] = {}
    for kind in dataclasses():
        if names := {field.name for field in fields(kind) if field.repr is False}:
            hidden[kind.__name__] = names
    assert hidden == SECRETS


def dataclasses() -> list[type]:
    modules = [import_module(f"domain.{module.name}") for module in iter_modules(domain.__path__)]
    return [
        value
        for module in modules
        for value in vars(module).values()
        if isinstance(value, type) and is_dataclass(value) and value.__module__ == module.__name__
    ]
