"""A token file: checked before anything is written, and replaced as a whole."""

from __future__ import annotations

import os
import stat

from oauth_callback.cli import exits
from oauth_callback.cli.output import reason_of
from oauth_callback.cli.sinks.kinds import KINDS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from oauth_callback.tokens import TokenAnswer


class Sink:
    """A file of one kind. Raises CommandFailed (2) for an unknown kind."""

    def __init__(self, kind: str, path: str) -> None:
        if kind not in KINDS:
            raise exits.CommandFailed(
                f"Unknown kind of sink {kind!r}. Kinds: {', '.join(KINDS)}.", code=exits.USAGE
            )
        if not path:
            raise exits.CommandFailed("The path of the sink is empty.", code=exits.USAGE)
        self.kind = kind
        self.path = path

    def check(self) -> None:
        """Raise CommandFailed (78) if the path cannot be a token file."""
        folder = os.path.dirname(self.path) or "."
        try:
            mode = os.lstat(self.path).st_mode
        except FileNotFoundError:
            mode = stat.S_IFREG
        except OSError as error:
            raise _misplaced(f"Cannot use {self.path}: {reason_of(error)}.") from None
        if self.path.endswith(os.sep) or stat.S_ISDIR(mode):
            raise _misplaced(f"{self.path} is a folder. Name a file.")
        if stat.S_ISLNK(mode):
            # Its target may be another user's choice.
            raise _misplaced(f"{self.path} is a symbolic link. Name the file that it leads to.")
        if not stat.S_ISREG(mode):
            raise _misplaced(f"{self.path} is not a regular file. Name another file.")
        if not os.path.isdir(folder):
            raise _misplaced(f"The folder {folder} does not exist. Create it first.")
        if not os.access(folder, os.W_OK | os.X_OK):
            raise _misplaced(f"The folder {folder} is not writable.")

    def write(self, answer: TokenAnswer) -> None:
        """Replace the file, for its owner alone. A reader sees the old one or the new one.

        Raises CommandFailed.
        """
        content = KINDS[self.kind](answer).encode()
        temporary = f"{self.path}.{os.urandom(6).hex()}.tmp"
        try:
            try:
                _write_new(temporary, content)
                os.replace(temporary, self.path)
            except BaseException:
                _remove(temporary)
                raise
        except OSError as error:
            raise exits.CommandFailed(f"Cannot write {self.path}: {reason_of(error)}.") from None


def parse_sink(text: str) -> Sink:
    """Read `KIND:PATH`. Raises CommandFailed (2)."""
    kind, separator, path = text.partition(":")
    if not separator:
        raise exits.CommandFailed(
            f"Invalid sink. Use KIND:PATH. Kinds: {', '.join(KINDS)}.", code=exits.USAGE
        )
    return Sink(kind, path)


def _write_new(path: str, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        # After a power failure the name must not lead to an empty file.
        os.fsync(descriptor)


def _remove(path: str) -> None:
    from contextlib import suppress

    with suppress(OSError):
        os.remove(path)


def _misplaced(message: str) -> exits.CommandFailed:
    return exits.CommandFailed(message, code=exits.MISCONFIGURED)
