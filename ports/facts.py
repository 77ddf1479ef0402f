"""Facts about a store's setup, for the doctor. This module makes no judgement of them."""

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Unseen:
    """A fact that could not be read, and why."""

    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SqliteFacts:
    """The state of the file on the disk.

    `is_begun`: False if the file is missing or empty. Then only the folder's facts are set.
    `others_can`: the parts (`file`, `-wal`, `-shm`) that users other than the owner can access.
    `is_on_disk`: False if the folder is in memory, and lost when the machine restarts.
    """

    is_begun: bool
    folder_is_writable: bool
    is_database: bool = False
    is_in_wal_mode: bool = False
    others_can: tuple[str, ...] = ()
    is_on_disk: bool = True


@dataclass(frozen=True, slots=True)
class RedisFacts:
    """The policy by which the database evicts keys when its memory is full."""

    eviction_policy: str | Unseen


@dataclass(frozen=True, slots=True, kw_only=True)
class DynamoDbFacts:
    """The table's setup.

    `misshapen`: the first difference from the schema that the store needs; None if it fits.
    `forgets_expired`: whether its time to live removes logins and counts.
    `can_go_back`: whether point-in-time recovery is on.
    """

    misshapen: str | Unseen | None
    forgets_expired: bool | Unseen
    can_go_back: bool | Unseen


StoreFacts: TypeAlias = DynamoDbFacts | RedisFacts | SqliteFacts
