"""The stores that workers can share: what must hold over one of them must hold over each."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum

from tests.system.redis_peer import RedisPeer, redis_server
from tests.system.upstash_front import UpstashPeer, upstash_front


class StoreKind(Enum):
    """Where workers keep what they know."""

    SQLITE = "sqlite"
    REST = "redis-over-rest"


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
def upstash_of(kind: StoreKind) -> Iterator[UpstashPeer | None]:
    """Run what workers need for this store beside a file; see `deployment.deployed`.

    Raises ServerDidNotStartError.
    """
    match kind:
        case StoreKind.SQLITE:
            yield None
        case StoreKind.REST:
            with rest_store() as store:
                yield store.front
