"""The stores that workers can share: each must give the same guarantees."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum

import pytest

from tests.system.dynamodb_peer import dynamodb_server
from tests.system.postgres_peer import postgres_server
from tests.system.redis_peer import RedisPeer, redis_server
from tests.system.upstash_front import UpstashPeer, upstash_front
from tests.thorough import IS_THOROUGH


class StoreKind(Enum):
    """Where workers keep what they know."""

    SQLITE = "sqlite"
    REST = "redis-over-rest"
    REDIS = "redis"
    DYNAMODB = "dynamodb"
    POSTGRES = "postgres"


# Over Redis by TCP the same is done as over REST. The others have crowds in their own tests.
_FEW_ROUNDS = {StoreKind.DYNAMODB, StoreKind.POSTGRES, StoreKind.REDIS}
# For what depends on the provider alone. Other tests take the same ways with each store.
over_one_store = pytest.mark.parametrize(
    "store",
    StoreKind if IS_THOROUGH else [StoreKind.SQLITE],
    indirect=True,
    ids=lambda kind: kind.value,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkersStore:
    """A running store. `environ` leads workers to it, None to a file of their own."""

    kind: StoreKind
    environ: Mapping[str, str] | None = field(repr=False)

    def rounds(self, number: int) -> int:
        """Return the rounds to make: a fifth where the adapter has its own tests."""
        return max(3, number // 5) if self.kind in _FEW_ROUNDS else number


@dataclass(frozen=True, slots=True, kw_only=True)
class RestStore:
    """A real Redis, and the REST protocol in front of it that workers speak."""

    redis: RedisPeer
    front: UpstashPeer


@contextmanager
def rest_store() -> Iterator[RestStore]:
    """Run both. Skips the test where there is no Redis to run. Raises ServerDidNotStartError."""
    with redis_server() as redis, upstash_front(redis) as front:
        yield RestStore(redis=redis, front=front)


@contextmanager
def store_of(kind: StoreKind) -> Iterator[WorkersStore]:
    """Run what workers need for this store. Raises ServerDidNotStartError."""
    match kind:
        case StoreKind.SQLITE:
            yield WorkersStore(kind=kind, environ=None)
        case StoreKind.REST:
            with rest_store() as rest:
                yield WorkersStore(kind=kind, environ=rest.front.environ)
        case StoreKind.REDIS:
            with redis_server() as redis:
                yield WorkersStore(kind=kind, environ=redis.environ)
        case StoreKind.DYNAMODB:
            with dynamodb_server() as peer:
                yield WorkersStore(kind=kind, environ=peer.environ(peer.new_table()))
        case StoreKind.POSTGRES:
            with postgres_server() as postgres:
                yield WorkersStore(kind=kind, environ={"DATABASE_URL": postgres.new_database()})
