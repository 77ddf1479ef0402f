"""A file that is there as a whole or not at all, for its owner's eyes only."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkstemp
from typing import IO


@contextmanager
def new_file(path: Path) -> Iterator[IO[str]]:
    """Make a file that appears, and is on the disk, at the end of the block.

    That its folder lets it appear so is tried before the block.

    Raises OSError: FileExistsError where there is one, which stays as it is.
    """
    # Also a link to nothing.
    if os.path.lexists(path):
        raise FileExistsError(f"{path} exists")
    # Readable by its owner only, from the beginning.
    descriptor, draft = mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            trial = Path(f"{draft}~")
            _put_in_place(draft, trial)
            trial.unlink()
            yield file
            file.flush()
            os.fsync(descriptor)
        _put_in_place(draft, path)
    finally:
        Path(draft).unlink(missing_ok=True)


def _put_in_place(draft: str, path: Path) -> None:
    """Give a draft its name. Raises OSError, and then nothing has that name."""
    # Unlike a renaming, not in the place of what has come to be there meanwhile.
    os.link(draft, path)
    try:
        _put_on_the_disk(path.parent)
    except OSError:
        path.unlink()
        raise


def _put_on_the_disk(folder: Path) -> None:
    """Make sure of the folder's entries, which a file's own are not."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
