"""Why there is no token: one root, and a class for each thing that a program does about it."""

from __future__ import annotations

import re

# Compiled when it is used, as in `cli/arguments.py`: a short command needs none.
_CONTROL = r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+"
_LONGEST_TEXT = 1000


class KeeperError(Exception):
    """No token. The message states what happened and what to do, without secrets.

    `problem` is the name of the keeper's problem (its docs/problems.md), or None if the error is
    not the keeper's.
    """

    def __init__(self, message: str, *, problem: str | None = None) -> None:
        super().__init__(message)
        self.problem = problem


class LoginNeeded(KeeperError):
    """A person has to log in.

    `cause` is the keeper's reason, such as `never-authorized`. `link` is a login link: single use,
    24 hours, for any person who opens it. So it is not in the message. None if the keeper sent no
    link.
    """

    def __init__(
        self,
        message: str,
        *,
        cause: str | None = None,
        link: str | None = None,
        problem: str | None = None,
    ) -> None:
        super().__init__(message, problem=problem)
        self.cause = cause
        self.link = link


class TryLater(KeeperError):
    """The keeper or the provider is unavailable. `retry_after` is in seconds."""

    def __init__(
        self, message: str, *, retry_after: float = 1.0, problem: str | None = None
    ) -> None:
        super().__init__(message, problem=problem)
        self.retry_after = retry_after


class KeyRefused(KeeperError):
    """The keeper does not know the API key, or does not allow it for this."""


class NotConfigured(KeeperError):
    """A setting is missing or wrong: the URL, the key, the profile, or the connection."""


def again(error: KeeperError) -> KeeperError:
    """Return the same error for another thread, without the traceback of the first."""
    twin = type(error)(*error.args)
    twin.__dict__.update(error.__dict__)
    return twin


def printable(text: object) -> str:
    """Return a text of another machine for a message: on one line, at most 1000 characters."""
    return re.sub(_CONTROL, " ", str(text))[:_LONGEST_TEXT].strip()
