"""Words that are stored, sent or answered. A change breaks records, providers or callers."""

from enum import Enum

import pytest

from domain.adopting import Obstacle
from domain.alerts import AlertKind
from domain.events import Precedence
from domain.grant import Cause, Failure
from domain.ledger import (
    DONE,
    FAILED,
    INCOMPLETE,
    NOT_DELIVERED,
    NOT_SUPPORTED,
    TOKENS,
    TOKENS_OF_ANOTHER_ACCOUNT,
    HistoryEvent,
)
from domain.provider import ClientAuthentication, GrantType, LifetimeStart, Pkce, RotationKind
from domain.token_endpoint import Delivery, RevocationResult, TokenTypeHint
from domain.tokens import Freshness
from domain.wire_format import BodyFormat, RevocationStyle

WORDS: dict[type[Enum], list[str]] = {
    # In details, logs and stored grants.
    Cause: [
        "never-authorized",
        "refresh-token-missing",
        "refresh-token-expired",
        "refresh-token-rejected",
        "refresh-answer-lost",
        "revoked",
    ],
    Failure: [
        "not-sent",
        "outcome-unknown",
        "provider-unavailable",
        "refused-without-reason",
        "client-refused",
        "refused-for-now",
        "expired-on-arrival",
    ],
    Delivery: ["not sent", "unknown"],
    # In stored alerts and in messages to channels, as the event's type.
    AlertKind: [
        "connection.login-needed",
        "connection.expires-soon",
        "connection.recovered",
        "connection.client-refused",
        "connection.refresh-failing",
        "connection.account-changed",
        "connection.rolled-back",
        "tokens.rescued",
        "sweep.overdue",
        "test",
    ],
    # In stored ledgers, and in histories.
    HistoryEvent: [
        "login",
        "refresh",
        "refresh-failed",
        "verdict",
        "rescued",
        "moved",
        "taken-back",
        "imported",
        "revoked",
        "provider-told",
        "adopted",
        "adoption-refused",
        "alert-given-up",
        "swept",
        "delivered",
        "alerts-checked",
    ],
    # In failed tests.
    Obstacle: ["in-use", "other-account", "in-flight", "moved"],
    Precedence: ["replaces", "renews", "yields"],
    # In answers of `verify` and `revoke`.
    Freshness: ["fresh", "access-expired", "refresh-expired"],
    RevocationResult: ["yes", "not-supported", "failed"],
    # In the environment.
    BodyFormat: ["form", "json"],
    ClientAuthentication: [
        "client_secret_post",
        "client_secret_basic",
        "client_secret_as_basic_user",
        "private_key_jwt",
        "none",
    ],
    # Also sent to providers (RFC 6749 §4), and stored.
    GrantType: ["authorization_code", "client_credentials"],
    Pkce: ["S256", "none"],
    LifetimeStart: ["issue", "sliding", "from-login"],
    RevocationStyle: [
        "rfc7009",
        "json",
        "bearer",
        "delete-bearer",
        "delete-json",
        "client-header",
    ],
    RotationKind: ["none", "optional", "always"],
    # Sent to providers (RFC 7009 §2.1).
    TokenTypeHint: ["access_token", "refresh_token"],
}


@pytest.mark.parametrize("kind", WORDS, ids=lambda kind: kind.__name__)
def test_the_words_of_the_enums_stay(kind: type[Enum]) -> None:
    assert [member.value for member in kind] == WORDS[kind]


def test_the_stored_outcomes_of_events_stay() -> None:
    words = (TOKENS, TOKENS_OF_ANOTHER_ACCOUNT, DONE, NOT_SUPPORTED, NOT_DELIVERED)
    assert words == (
        "tokens",
        "tokens-of-another-account",
        "done",
        "not-supported",
        "not-delivered",
    )
    assert (FAILED, INCOMPLETE) == ("failed", "incomplete")
