"""The eviction policy of an Upstash database, or of another Redis behind its protocol."""

import re
from datetime import timedelta

from adapters.upstash_reader import UpstashReader
from ports.facts import RedisFacts, UnreadFact
from ports.store import StoreUnavailableError

_LIMIT = timedelta(seconds=3)
_IN_INFO = re.compile(r"^maxmemory_policy:(\S+)", re.MULTILINE)


async def upstash_facts(url: str, token: str) -> RedisFacts:
    """Read the policy by CONFIG, else by INFO. A database may support neither."""
    reader = UpstashReader(url, token, limit=_LIMIT, connect_limit=_LIMIT)
    try:
        try:
            found = _in_config(await reader.execute("CONFIG", "GET", "maxmemory-policy"))
        except StoreUnavailableError:
            found = None
        return RedisFacts(found or _in_info(await reader.execute("INFO", "memory")))
    except StoreUnavailableError as error:
        return RedisFacts(UnreadFact(str(error)))
    finally:
        reader.close()


def _in_config(answer: object) -> str | None:
    """Read the pair, a list in RESP2 or an object in RESP3."""
    match answer:
        case ["maxmemory-policy", str(policy)] | {"maxmemory-policy": str(policy)}:
            return policy
        case _:
            return None


def _in_info(answer: object) -> str | UnreadFact:
    found = _IN_INFO.search(answer) if isinstance(answer, str) else None
    return UnreadFact("the database does not report it") if found is None else found[1]
