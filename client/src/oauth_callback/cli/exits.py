"""The exit codes, and the error of each. They follow sysexits.h, which mail programs know."""

from __future__ import annotations

from oauth_callback.errors import KeeperError, KeyRefused, LoginNeeded, NotConfigured, TryLater

OTHER = 1
USAGE = 2
TRY_LATER = 75  # EX_TEMPFAIL
LOGIN_NEEDED = 77  # EX_NOPERM
MISCONFIGURED = 78  # EX_CONFIG
NOT_EXECUTABLE = 126  # POSIX shells, as the next one
NOT_FOUND = 127
INTERRUPTED = 130
BROKEN_PIPE = 141

_CODES = (
    (LoginNeeded, LOGIN_NEEDED),
    (TryLater, TRY_LATER),
    (KeyRefused, MISCONFIGURED),
    (NotConfigured, MISCONFIGURED),
)
# The settings are right, and another try does not help.
_REFUSALS = frozenset(
    {"adoption-refused", "connection-in-use", "login-not-needed", "other-account"}
)


class CommandFailed(Exception):
    """A failure on this machine. The message is for a person, and contains no secret."""

    def __init__(self, message: str, *, code: int = OTHER) -> None:
        super().__init__(message)
        self.code = code


def code_of(error: KeeperError | CommandFailed) -> int:
    """Return the exit code of an error."""
    if isinstance(error, CommandFailed):
        return error.code
    if error.problem in _REFUSALS:
        return OTHER
    return next((code for kind, code in _CODES if isinstance(error, kind)), OTHER)
