"""Prints the result of a command on stdout, and messages for a person on stderr."""

from __future__ import annotations

import sys

from oauth_callback.errors import LoginNeeded


def print_result(text: str) -> None:
    """Print a text with its line feed, and make sure that it was written.

    Raises BrokenPipeError, OSError.
    """
    sys.stdout.write(text)
    sys.stdout.flush()


def print_message(message: str) -> None:
    """Print a message. A closed stderr is ignored, as a message must not end the work."""
    try:
        sys.stderr.write(f"oauth-callback: {message}\n")
        sys.stderr.flush()
    except (OSError, ValueError, AttributeError):
        pass


def print_error(error: Exception) -> None:
    """Print an error, with the login link if only a person reads it.

    Every reader of a log could use the link, so that it is printed on a terminal only.
    """
    link = error.link if isinstance(error, LoginNeeded) else None
    if link is None or _is_terminal():
        print_message(str(error))
        if link is not None:
            print_message(f"Login link (single use, 24 hours): {link}")
    else:
        print_message(str(error).replace(", or open the login link.", "."))


def reason_of(error: OSError) -> str:
    """Return the system's reason for a failure."""
    return error.strerror or type(error).__name__


def close_quietly() -> None:
    """Drop what is left for a reader that is gone, so that Python does not report it."""
    import os

    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def _is_terminal() -> bool:
    try:
        return sys.stderr.isatty()
    except (ValueError, AttributeError):
        return False
