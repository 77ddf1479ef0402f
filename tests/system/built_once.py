"""Keeps the results of long builds until their sources change."""

import fcntl
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

# Far longer than any run that may be using it.
_KEPT_FOR = timedelta(hours=3)


def built_once(shelf: Path, name: str, build: Callable[[Path], None]) -> Path:
    """Return the folder of this name on the shelf, after its build where it is missing.

    `build` gets an empty folder to fill, and may use its parent meanwhile. A name is a kind, a
    hyphen and a digest. Folders of the same kind that nobody used for hours are removed. Raises the
    exceptions of `build`.
    """
    folder = shelf / name
    with _alone(shelf):
        if not folder.is_dir():
            # On the same file system, so that files are moved and linked, and not copied.
            with TemporaryDirectory(dir=shelf) as workshop:
                (out := Path(workshop, "out")).mkdir()
                build(out)
                out.rename(folder)
        folder.touch()
        _forget_the_oldest(shelf.glob(f"{name.rpartition('-')[0]}-*"))
    return folder


def digest_of(files: Mapping[str, bytes], *others: object) -> str:
    """Return a digest of the files, by their paths, and of other ingredients."""
    digest = sha256(repr(others).encode())
    for name, content in sorted(files.items()):
        digest.update(f"\0{name}\0{sha256(content).hexdigest()}".encode())
    return digest.hexdigest()[:16]


@contextmanager
def _alone(shelf: Path) -> Iterator[None]:
    """Keep out other processes, which would build the same."""
    shelf.mkdir(parents=True, exist_ok=True)
    with (shelf / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _forget_the_oldest(folders: Iterator[Path]) -> None:
    for folder in folders:
        if time.time() - folder.stat().st_mtime > _KEPT_FOR.total_seconds():
            shutil.rmtree(folder)
