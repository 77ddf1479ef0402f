"""The values of the domain: their defaults, their secrets, and that they are frozen."""

from collections.abc import Iterator
from dataclasses import MISSING, fields, is_dataclass
from importlib import import_module
from pkgutil import iter_modules

import domain
from domain.events import Precedence
from domain.grant import Unauthorized
from domain.provider import GrantType, LifetimeStart
from tests.domain.examples import DAY, MINUTE

# The defaults.
LEFT_OUT: dict[str, dict[str, object]] = {
    "Adopting": {"replaces": False},
    "Alert": dict.fromkeys(("cause", "since", "expires_at", "account", "quote")),
    "AlertBook": {
        "open": (),
        "ending": None,
        "owed": (),
        "check_at": None,
        "failing_since": None,
        "unprolonged": None,
        "prolonged": None,
        "waits": (),
        "claim": None,
    },
    "AlertThresholds": {
        "expires_soon": (14 * DAY, 7 * DAY, DAY),
        "refresh_failing": 60 * MINUTE,
        "sweep_overdue": 26 * 60 * MINUTE,
        "give_up_after": 3 * DAY,
    },
    "AskForAuthorization": {"quote": None, "read": None},
    "Authorized": {"failure_state": None},
    "AuthorizationRequired": {"quote": None},
    "AuthorizationResponse": {"browser": None, "extra": ()},
    "Condition": {"issued_at": None},
    "Decision": {"note": None},
    "Effect": {"note": None, "to_revoke": None},
    "LoginCompleted": {"precedence": Precedence.RENEWS, "read": Unauthorized()},
    "LoginLink": {"read": None, "renews": False},
    "Moved": {"place": 0},
    "News": {"cause": None},
    "Owed": {"done": frozenset()},
    "PendingLogin": {
        "issuer": None,
        "issuer_is_required": False,
        "browser": None,
        "replaces": False,
        "read": None,
        "outcome": None,
        "renews": False,
    },
    "RefreshDue": {"issued_at": None},
    "RefreshRequested": {"adopted": None},
    "Rejection": {"in_a_row": 1, "unrotated": 0},
    "Requesting": {"failure_state": None, "place": 0, "revoked": 0},
    "RevocationRequest": {"access_token": None},
    "Revoked": {"place": 0, "login": None},
    "Revoking": {"place": 0, "login": None},
    "FailureState": {"quote": None, "since": None},
    "TokenErrorResponse": {
        "description": None,
        "retry_after": None,
        "more_codes": (),
        "more_texts": (),
        "is_page": False,
    },
    "TokenRequested": {"min_ttl": MINUTE, "refused": None},
    "TokenResponse": {"subject": None, "account": None, "extra": ()},
    "Tokens": {
        "subject": None,
        "place": 0,
        "revoked": 0,
        "refresh_token_counted": LifetimeStart.ISSUE,
        "account": None,
        "extra": (),
        "grant_type": GrantType.AUTHORIZATION_CODE,
        "login_expires_at": None,
        "adopted": None,
        "rejection": None,
    },
    "TokensAdopted": {"replaces": False},
    "TryLater": {"quote": None},
    "Unauthorized": {"failure_state": None, "place": 0, "revoked": 0},
}
# These have tables of their own.
ELSEWHERE = {"Policy", "Provider", "Rotation", "WireFormat"}
# Tokens, codes and what a login is finished with; and what credentials could be guessed by.
# Also what identifies an account.
SECRETS = {
    "Alert": {"account"},
    "Attempt": {"client"},
    "AuthorizationCodeRequest": {"code", "code_verifier"},
    "AuthorizationRequired": {"client"},
    "AuthorizationResponse": {"state", "code", "browser", "extra"},
    "Pass": {"secret"},
    "PendingLogin": {"code_verifier"},
    "Policy": {"client"},
    "RefreshTokenRequest": {"refresh_token"},
    "RevocationRequest": {"token", "access_token"},
    "TokenErrorResponse": {"more_codes", "more_texts"},
    "TokenResponse": {"access_token", "refresh_token", "account", "extra"},
    "Tokens": {"access_token", "refresh_token", "account", "extra"},
    "TokensAdopted": {"refresh_token"},
    "WireFormat": {"headers"},
}

# Comparing values leaves out their place in the record.
NOT_COMPARED = {
    "AskForAuthorization": {"read"},
    "Moved": {"place"},
    "RevocationRequest": {"access_token"},
    "Requesting": {"place", "revoked"},
    "Revoked": {"place", "login"},
    "Revoking": {"place", "login"},
    "Tokens": {"place", "revoked", "rejection"},
    "Unauthorized": {"place", "revoked"},
}


def test_the_defaults_of_values_are_these() -> None:
    found = {
        kind.__name__: defaults
        for kind in dataclasses()
        if kind.__name__ not in ELSEWHERE
        and (defaults := {f.name: f.default for f in fields(kind) if f.default is not MISSING})
    }
    assert found == LEFT_OUT


def test_no_value_shows_a_secret_and_every_value_shows_the_rest() -> None:
    found = {
        kind.__name__: hidden
        for kind in dataclasses()
        if (hidden := {field.name for field in fields(kind) if field.repr is False})
    }
    assert found == SECRETS


def test_counts_do_not_make_values_unequal() -> None:
    found = {
        kind.__name__: beside
        for kind in dataclasses()
        if (beside := {field.name for field in fields(kind) if field.compare is False})
    }
    assert found == NOT_COMPARED


def test_every_value_is_frozen_and_has_no_other_members_than_its_fields() -> None:
    for kind in dataclasses():
        assert vars(kind)["__dataclass_params__"].frozen, kind
        assert "__slots__" in vars(kind), kind


def dataclasses() -> Iterator[type]:
    for found in iter_modules(domain.__path__):
        module = import_module(f"domain.{found.name}")
        for value in vars(module).values():
            is_ours = getattr(value, "__module__", None) == module.__name__
            if is_ours and isinstance(value, type) and is_dataclass(value):
                yield value
