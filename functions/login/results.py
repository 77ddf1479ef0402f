"""What may come of a login: what it left, or why it failed."""

import logging
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias, get_args

from domain.events import LoginCompleted
from domain.grant import Grant, tokens_of
from domain.token_endpoint import NoAnswer, TokenErrorResponse
from domain.tokens import Tokens

_log = logging.getLogger(__name__)


class UnknownStateError(Exception):
    """The state was never given out, has expired, or has been used."""


class OtherIssuerError(Exception):
    """The redirect is not from the provider that the browser was sent to."""


class OtherBrowserError(Exception):
    """The redirect came to a browser in which the login did not begin."""


class BegunBeforeRevocationError(Exception):
    """The connection was revoked after the login had begun."""


class BeingCompletedError(Exception):
    """The same redirect came before, and what comes of it is not known yet."""


class LoginNotNeededError(Exception):
    """The connection works, and only who has the API key may replace it."""


class OtherAccountError(Exception):
    """Another account logged in than the one whose grant works, and stays; or one not told."""


class RefusedError(Exception):
    """The provider sent the browser back without a code."""


class ExchangeFailedError(Exception):
    """The code brought no tokens; `outcome` is what came instead."""

    def __init__(self, outcome: TokenErrorResponse | NoAnswer) -> None:
        super().__init__("the code was not exchanged")
        self.outcome = outcome


LoginFailure: TypeAlias = (
    UnknownStateError
    | OtherBrowserError
    | OtherIssuerError
    | RefusedError
    | BegunBeforeRevocationError
    | LoginNotNeededError
    | OtherAccountError
    | ExchangeFailedError
    | BeingCompletedError
)
LOGIN_FAILURES: tuple[type[LoginFailure], ...] = get_args(LoginFailure)


class Account(Enum):
    """Whose a login is, compared with the one before it."""

    FIRST = "the first"
    SAME = "the same"
    OTHER = "another"
    NOT_TOLD = "not told by the provider"


@dataclass(frozen=True, slots=True, kw_only=True)
class CompletedLogin:
    """What a login left: `grant` is the one in force, `is_new` whether this login made it.

    `account` compares who logged in with who had before. `connection` is None where another browser
    than the login's is told that it is over, and nothing else.
    """

    connection: str | None
    grant: Grant
    account: Account
    is_new: bool


def judge(
    connection: str, completed: LoginCompleted, before: Grant, after: Grant
) -> CompletedLogin:
    """Say what a login has come to. Raises OtherAccountError."""
    old, new = tokens_of(before), tokens_of(after)
    is_new = new is not None and new.authorized_at == completed.authorized_at
    subject = completed.response.subject
    if new is not None and not is_new and new.may_be_of_another(subject):
        _log.warning(
            "connection %s: another account logged in, or one that the provider did not tell, and "
            "nothing was replaced",
            connection,
        )
        raise OtherAccountError
    account = _account(old, subject)
    if is_new and old is not None:
        _log.warning(
            "connection %s: a login has replaced the one of %s; the account: %s",
            connection,
            old.authorized_at.isoformat(timespec="seconds"),
            account.value,
        )
    return CompletedLogin(connection=connection, grant=after, account=account, is_new=is_new)


def _account(before: Tokens | None, subject: str | None) -> Account:
    if before is None:
        return Account.FIRST
    if None in {before.subject, subject}:
        return Account.NOT_TOLD
    return Account.OTHER if before.are_known_of_another(subject) else Account.SAME


# What is remembered of a login that left the earlier one in force.
_KEPT = "kept"


def outcome_of(completed: CompletedLogin) -> str:
    """Put into a word what a login has come to."""
    return completed.account.value if completed.is_new else _KEPT


def remembered(outcome: str, *, connection: str | None, grant: Grant) -> CompletedLogin:
    """Read that word, over the grant that is in force by now."""
    is_new = outcome != _KEPT
    account = Account(outcome) if is_new else Account.NOT_TOLD
    return CompletedLogin(connection=connection, grant=grant, account=account, is_new=is_new)
