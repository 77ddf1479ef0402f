"""Pages of due connections in Redis: a sorted set by date, whose ties are in the order of bytes.

`LIMIT` would count from the start of a range, and `ZRANGEBYLEX` needs one date for all. So a script
finds the rank of the first one that is left: by its date, and by a binary search among those of the
same date. A hundred thousand of the same date cost seventeen steps.
"""

from collections.abc import Sequence
from datetime import datetime

from ports.store import Due, StoreUnavailableError

# Lua compares texts by the locale of the server.
DUE_SCRIPT = """
local function comes_after(name, other)
  for at = 1, math.min(#name, #other) do
    local one, two = string.byte(name, at), string.byte(other, at)
    if one ~= two then return one > two end
  end
  return #name > #other
end
local low = 0
if ARGV[2] ~= '' then
  low = redis.call('ZCOUNT', KEYS[1], '-inf', '(' .. ARGV[2])
  local high = low + redis.call('ZCOUNT', KEYS[1], ARGV[2], ARGV[2])
  while low < high do
    local middle = math.floor((low + high) / 2)
    local name = redis.call('ZRANGE', KEYS[1], middle, middle)[1]
    if comes_after(name, ARGV[3]) then high = middle else low = middle + 1 end
  end
end
return redis.call('ZRANGE', KEYS[1], low, low + ARGV[1] - 1, 'WITHSCORES')
"""
"""Its key is the sorted set of dates. Its arguments are those of `due_arguments`."""


def due_arguments(after: Due | None, limit: int) -> Sequence[str]:
    """Return the arguments of `DUE_SCRIPT`."""
    if after is None:
        return str(limit), "", ""
    return str(limit), str(after.at), after.connection


def read_due(found: object, before: datetime | None) -> list[Due]:
    """Return the part of an answer that is due until `before`. Raises StoreUnavailableError."""
    if not isinstance(found, list) or len(found) % 2:
        raise StoreUnavailableError("Redis returned an invalid answer")
    page = [_due(name, date) for name, date in zip(found[::2], found[1::2], strict=True)]
    return [due for due in page if before is None or due.at <= before.timestamp()]


def _due(name: object, date: object) -> Due:
    try:
        # A number, or a text, by the protocol of the answer.
        return Due(float(str(date)), str(name))
    except ValueError as error:
        raise StoreUnavailableError("Redis returned an invalid answer") from error
