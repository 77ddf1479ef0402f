"""The result of a completed login."""

import logging
from dataclasses import dataclass
from enum import Enum

from domain.events import LoginCompleted
from domain.grant import Grant, tokens_of
from domain.tokens import Tokens

_log = logging.getLogger(__name__)


class Account(Enum):
    """The account of a login, compared with the login before."""

    FIRST = "the first"
    SAME = "the same"
    OTHER = "another"
    UNKNOWN = "not told by the provider"  # plain words: a stored word


@dataclass(frozen=True, slots=True, kw_only=True)
class CompletedLogin:
    """The grant in force after a login; `is_new` if this login made it.

    `connection` is None for a browser other than the login's: it learns only that the login is
    over.
    """

    connection: str | None
    grant: Grant
    account: Account
    is_new: bool


def is_of_another_account(completed: LoginCompleted, after: Grant) -> bool:
    """Whether a login left another account's grant in force, or one that may be another's."""
    new = tokens_of(after)
    if new is None or new.authorized_at == completed.authorized_at:
        return False
    return new.may_belong_to_other_account(completed.response.subject)


def result_of(
    connection: str, completed: LoginCompleted, before: Grant, after: Grant
) -> CompletedLogin:
    """Return the result of a login that replaced, or kept, a grant."""
    old, new = tokens_of(before), tokens_of(after)
    is_new = new is not None and new.authorized_at == completed.authorized_at
    account = _account(old, completed.response.subject)
    if is_new and old is not None:
        _log.warning(
            "connection %s: a login replaced the one of %s; the account is %s",
            connection,
            old.authorized_at.isoformat(timespec="seconds"),
            account.value,
        )
    return CompletedLogin(connection=connection, grant=after, account=account, is_new=is_new)


def _account(before: Tokens | None, subject: str | None) -> Account:
    if before is None:
        return Account.FIRST
    if None in {before.subject, subject}:
        return Account.UNKNOWN
    return Account.OTHER if before.belong_to_other_account(subject) else Account.SAME


# The stored outcome of a login that left the earlier one in force.
_EARLIER_LOGIN = "kept"


def outcome_of(completed: CompletedLogin) -> str:
    """Return the word to store for a completed login."""
    return completed.account.value if completed.is_new else _EARLIER_LOGIN


def read_outcome(outcome: str, *, connection: str | None, grant: Grant) -> CompletedLogin:
    """Read the word that `outcome_of` returned; `grant` is the one in force now."""
    is_new = outcome != _EARLIER_LOGIN
    account = Account(outcome) if is_new else Account.UNKNOWN
    return CompletedLogin(connection=connection, grant=grant, account=account, is_new=is_new)
