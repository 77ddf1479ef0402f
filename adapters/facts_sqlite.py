"""The facts about a SQLite store's file, before this process opens it."""

import os
from pathlib import Path

from ports.facts import SqliteFacts

_OTHERS = 0o077
# https://sqlite.org/fileformat2.html §1.3: the magic text, and two format versions, which are 2
# for write-ahead logging.
_HEADER_BYTES = 20
_MAGIC = b"SQLite format 3\0"
# Folders in memory, on every Linux.
_IN_MEMORY = ("/dev/shm", "/run")  # noqa: S108 - no file is written there
_WAL = b"\x02\x02"


def sqlite_facts(path: Path) -> SqliteFacts:
    """Describe the file. Raises OSError.

    Do not call it while this process has the file open: closing it here drops SQLite's locks.
    """
    folder_is_writable = os.access(path.parent, os.W_OK | os.X_OK)
    is_on_disk = not any(path.resolve().is_relative_to(folder) for folder in _IN_MEMORY)
    if not path.exists() or path.stat().st_size == 0:
        return SqliteFacts(
            exists=False, folder_is_writable=folder_is_writable, is_on_disk=is_on_disk
        )
    with path.open("rb") as file:
        header = file.read(_HEADER_BYTES)
    return SqliteFacts(
        exists=True,
        folder_is_writable=folder_is_writable,
        is_on_disk=is_on_disk,
        is_database=header.startswith(_MAGIC),
        is_in_wal_mode=header.endswith(_WAL),
        accessible_parts=tuple(part for part in ("file", "-wal", "-shm") if _is_open(path, part)),
    )


def _is_open(path: Path, part: str) -> bool:
    file = path if part == "file" else path.with_name(path.name + part)
    try:
        return bool(file.stat().st_mode & _OTHERS)
    except FileNotFoundError:
        return False
