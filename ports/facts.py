"""What can be seen of a store beside what `ports.store` does with it: facts, judged elsewhere."""

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Unseen:
    """A fact that the store does not show; the text says why."""

    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SqliteFacts:
    """How the file lies on the disk.

    `is_begun` is False where there is none yet, or an empty one; then only the folder is told of.
    `others_can` has the parts, of those named `file`, `-wal` and `-shm`, that somebody beside the
    owner may read or write. `is_on_disk` is False where a restart of the machine takes it away.
    """

    is_begun: bool
    folder_is_writable: bool
    is_database: bool = False
    is_in_wal_mode: bool = False
    others_can: tuple[str, ...] = ()
    is_on_disk: bool = True


@dataclass(frozen=True, slots=True)
class RedisFacts:
    """By which policy the database removes keys that nobody asked it to remove."""

    eviction_policy: str | Unseen


@dataclass(frozen=True, slots=True, kw_only=True)
class DynamoDbFacts:
    """How the table is made.

    `misshapen` says what is other than the store needs it, None where nothing is.
    `forgets_expired` is whether its time to live removes logins and counts, `can_go_back` whether
    it can be restored to an instant.
    """

    misshapen: str | Unseen | None
    forgets_expired: bool | Unseen
    can_go_back: bool | Unseen


StoreFacts: TypeAlias = DynamoDbFacts | RedisFacts | SqliteFacts
