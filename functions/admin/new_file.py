"""A file that is written as a whole or not at all, readable by its owner only."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkstemp
from typing import IO


@contextmanager
def new_file(path: Path) -> Iterator[IO[str]]:
    """Make a file that appears, and is on the disk, at the end of the block.

    A trial before the block shows that the folder allows it.

    Raises OSError: FileExistsError if the file exists, which stays as it is.
    """
    # `lexists`: also a dangling link.
    if os.path.lexists(path):
        raise FileExistsError(f"{path} exists")
    # Readable by its owner only, from the beginning.
    descriptor, draft = mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            trial = Path(f"{draft}~")
            _give_name(draft, trial)
            trial.unlink()
            yield file
            file.flush()
            os.fsync(descriptor)
        _give_name(draft, path)
    finally:
        Path(draft).unlink(missing_ok=True)


def _give_name(draft: str, path: Path) -> None:
    """Give a draft its name. Raises OSError, after which nothing has that name."""
    # Unlike a rename, a link replaces no other file.
    os.link(draft, path)
    try:
        _flush_folder(path.parent)
    except OSError:
        path.unlink()
        raise


def _flush_folder(folder: Path) -> None:
    """Flush the folder's entries; a file's own flush does not."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
