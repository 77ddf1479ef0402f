"""The Lua scripts of a store in Redis: one file for every way to reach it.

Redis runs a script as a whole, so each is one atomic round trip. A database is thus the same to
Upstash's REST protocol and to TCP.
"""

# The script itself compares: reads may come from a replica that lags. Another program may have
# stored another type at a key: the script treats it as an unreadable record.
SWAP = """
local kind = redis.call('TYPE', KEYS[1]).ok
if kind ~= 'none' and kind ~= 'hash' then
  if ARGV[1] ~= ARGV[6] then return {'conflict', ARGV[6], false} end
  redis.call('DEL', KEYS[1])
  redis.call('HSET', KEYS[1], 'etag', ARGV[6])
end
local found = redis.call('HMGET', KEYS[1], 'etag', 'sealed')
local etag = found[1] or (found[2] and ARGV[6]) or ''
if etag == ARGV[2] then return {'done'} end
if etag ~= ARGV[1] then return {'conflict', found[1], found[2]} end
redis.call('HSET', KEYS[1], 'etag', ARGV[2], 'sealed', ARGV[3])
if ARGV[5] == '' then redis.call('ZREM', KEYS[2], ARGV[4])
else redis.call('ZADD', KEYS[2], ARGV[5], ARGV[4]) end
if ARGV[7] == '1' then redis.pcall('ZADD', KEYS[3], 0, ARGV[4]) end
return {'done'}
"""
PUT_LOGIN = """
redis.call('HSET', KEYS[1], 'sealed', ARGV[1])
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
"""
# The taker stays, so that the same taker can repeat the call after a lost answer.
TAKE_LOGIN = """
if redis.call('TYPE', KEYS[1]).ok ~= 'hash' then return false end
local found = redis.call('HMGET', KEYS[1], 'sealed', 'taker')
if not found[1] or (found[2] and found[2] ~= ARGV[1]) then return false end
redis.call('HSET', KEYS[1], 'taker', ARGV[1])
return found[1]
"""
COUNT = """
local number = redis.call('HINCRBY', KEYS[1], 'number', 1)
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return number
"""

# A page ends early if its records are large. Its last name is returned if there are more.
_ROWS_OF_NAMES = """
local rows, size, last = {}, 0, false
for at, name in ipairs(names) do
  if at > tonumber(ARGV[1]) or size > tonumber(ARGV[2]) then
    last = names[at - 1]
    break
  end
  local found = redis.pcall('HMGET', ARGV[3] .. name, 'etag', 'sealed')
  if found.err then found = {false, ''} end
  rows[at] = {name, found[1], found[2]}
  size = size + #(found[2] or '')
end
return {redis.call('EXISTS', KEYS[2]), last, rows}
"""
LIST = f"""
local names = redis.call('ZRANGEBYLEX', KEYS[1], ARGV[4], ARGV[5], 'LIMIT', 0, ARGV[1] + 1)
{_ROWS_OF_NAMES}"""
LOAD = f"""
local names = {{unpack(ARGV, 4)}}
{_ROWS_OF_NAMES}"""
