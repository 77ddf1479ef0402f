"""The envelope of stored texts: a JSON object with a version number, and instants as text.

Each text has the lowest version that can express it. So an earlier version of this software can
read it, or report that another version wrote it.

Standard library only: each token request runs this code, and `sealing` has authenticated its input.
"""

import json
from datetime import UTC, datetime
from typing import Any, TypeAlias

FIRST_VERSION = 1
# Version 2 added moved grants, version 3 revoked ones, version 4 those of client credentials, and
# version 5 adoptions without a proof.
MOVING_VERSION = 2
REVOKING_VERSION = 3
CLIENT_CREDENTIALS_VERSION = 4
ADOPTING_VERSION = 5
FORMAT_VERSION = ADOPTING_VERSION

Json: TypeAlias = dict[str, Any]


class FormatError(Exception):
    """The text has a format that this version cannot read."""


def dump(members: Json, version: int = FIRST_VERSION) -> bytes:
    """Write the members and the version."""
    return json.dumps({"version": version, **members}, separators=(",", ":")).encode()


def load_members(text: bytes) -> Json:
    """Read the members of a text of a known version. Raises FormatError."""
    try:
        members = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise FormatError("it is not JSON") from error
    versions = range(FIRST_VERSION, FORMAT_VERSION + 1)
    if not isinstance(members, dict) or members.get("version") not in versions:
        raise FormatError("it was written by another version of this software")
    return members


def format_instant(instant: datetime | None) -> str | None:
    """Write an instant in ISO 8601, as UTC."""
    return None if instant is None else instant.astimezone(UTC).isoformat()


def parse_optional_instant(text: str | None) -> datetime | None:
    """Read an instant. Raises ValueError, TypeError."""
    return None if text is None else parse_instant(text)


def parse_instant(text: str) -> datetime:
    """Read an instant. Raises ValueError, TypeError."""
    instant = datetime.fromisoformat(text)
    if instant.tzinfo is None:
        raise ValueError("an instant without a time zone")
    return instant


def parse_count(members: Json, name: str) -> int:
    """Read a count of the record. Records of earlier versions have none: 0. Raises TypeError."""
    count = members.get(name, 0)
    if not isinstance(count, int):
        raise TypeError(name)
    return count
