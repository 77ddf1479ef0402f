"""How a SQLite store's file lies on the disk, before this process opens it."""

import os
from pathlib import Path

from ports.facts import SqliteFacts

_OTHERS = 0o077
# https://sqlite.org/fileformat2.html §1.3: the first text, and the file format's two versions,
# which are 2 for write-ahead logging.
_HEADER_BYTES = 20
_MAGIC = b"SQLite format 3\0"
# Where the memory is used for a disk, on every Linux.
_IN_MEMORY = ("/dev/shm", "/run")  # noqa: S108 - nothing is put there
_WAL = b"\x02\x02"


def sqlite_facts(path: Path) -> SqliteFacts:
    """Look at the file. Raises OSError.

    Not while this process has it open: to close it here would drop SQLite's locks.
    """
    folder_is_writable = os.access(path.parent, os.W_OK | os.X_OK)
    is_on_disk = not any(path.resolve().is_relative_to(folder) for folder in _IN_MEMORY)
    if not path.exists() or path.stat().st_size == 0:
        return SqliteFacts(
            is_begun=False, folder_is_writable=folder_is_writable, is_on_disk=is_on_disk
        )
    with path.open("rb") as file:
        header = file.read(_HEADER_BYTES)
    return SqliteFacts(
        is_begun=True,
        folder_is_writable=folder_is_writable,
        is_on_disk=is_on_disk,
        is_database=header.startswith(_MAGIC),
        is_in_wal_mode=header.endswith(_WAL),
        others_can=tuple(part for part in ("file", "-wal", "-shm") if _is_open(path, part)),
    )


def _is_open(path: Path, part: str) -> bool:
    file = path if part == "file" else path.with_name(path.name + part)
    try:
        return bool(file.stat().st_mode & _OTHERS)
    except FileNotFoundError:
        return False
