"""The one script that writes: marks, stream and latest values move together or not at all."""

from __future__ import annotations

from hashlib import sha1
from typing import NamedTuple

from connectors.redis.client import encode
from connectors.redis.keys import Keys, mark_field
from state.records import OutputBatch

MAX_RECORDS = 500
"""The most records of one call: it stops the server for about a millisecond."""

APPEND = """
local marks, lineage, stream, latest, writer = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local field, ours, origin, run = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local max_length, first, flags = ARGV[5], tonumber(ARGV[6]), ARGV[7]
local fixed = 7
local count = (#ARGV - fixed) / 3

for place, kind in ipairs({'hash', 'string', 'stream', 'hash', 'string'}) do
  local held = redis.call('TYPE', KEYS[place])['ok']
  if held ~= 'none' and held ~= kind then
    return {'taken', KEYS[place], held, kind}
  end
end
local found = redis.call('GET', lineage)
if found ~= ours and (found or redis.call('EXISTS', marks) == 1) then
  return {'foreign', found or 'none'}
end
local holder = redis.call('GET', writer)
if holder and holder ~= run then
  return {'fenced', holder}
end
local mark = tonumber(redis.call('HGET', marks, field) or '0')
if first > mark + 1 then
  return {'lost', string.format('%.0f', mark)}
end
if not found then
  redis.call('SET', lineage, ours)
end
if not holder then
  redis.call('SET', writer, run)
end

local last = first + count - 1
if last <= mark then
  return {'done'}
end
local pairs_of_latest = {}
local function keep()
  if #pairs_of_latest > 0 then
    redis.call('HSET', latest, unpack(pairs_of_latest))
    pairs_of_latest = {}
  end
end
for i = mark - first + 2, count do
  local id, key, value = ARGV[fixed + i], ARGV[fixed + count + i], ARGV[fixed + 2 * count + i]
  local counter = string.format('%.0f', first + i - 1)
  if flags ~= '' and string.sub(flags, i, i) == '1' then
    redis.call('XADD', stream, '*', 'origin', origin,
      'counter', counter, 'id', id, 'v', value, 'retracted', '1')
    if key ~= '' then
      keep()  -- the key may be among what came before, and it may come back
      redis.call('HDEL', latest, key)
    end
  else
    redis.call('XADD', stream, '*', 'origin', origin, 'counter', counter, 'id', id, 'v', value)
    if key ~= '' then
      pairs_of_latest[#pairs_of_latest + 1] = key
      pairs_of_latest[#pairs_of_latest + 1] = value
    end
  end
end
keep()
redis.call('XTRIM', stream, 'MAXLEN', '~', max_length)
redis.call('HSET', marks, field, string.format('%.0f', last))
return {'done'}
"""
APPEND_SHA = sha1(APPEND.encode(), usedforsecurity=False).hexdigest()


class Call(NamedTuple):
    """One call of the script, encoded: records up to counter ``last`` of an output."""

    output: str
    origin: str
    first: int
    last: int
    payload: bytes


def calls(
    batch: OutputBatch, keys: Keys, lineage: str, stream_length: int, writer: str
) -> list[Call]:
    """Return the calls that write a batch, of MAX_RECORDS records at the most each."""
    head = encode(
        [
            "EVALSHA", APPEND_SHA, 5,
            keys.marks, keys.lineage, keys.stream(batch.output), keys.latest(batch.output),
            keys.writer,
            mark_field(batch.output, batch.origin), lineage, batch.origin, writer, stream_length,
        ]
    )  # fmt: skip
    made = []
    for start in range(0, len(batch), MAX_RECORDS):
        rows = slice(start, min(start + MAX_RECORDS, len(batch)))
        count = rows.stop - rows.start
        first = batch.first + start
        flags = _flags(batch, range(rows.start, rows.stop))
        body = encode([first, flags, *batch.ids[rows], *batch.keys[rows], *batch.values[rows]])
        payload = b"*%d\r\n%b%b" % (15 + 3 * count, head, body)
        made.append(Call(batch.output, batch.origin, first, first + count - 1, payload))
    return made


def _flags(batch: OutputBatch, rows: range) -> str:
    """Return a character for each row, ``1`` for a retraction; nothing where there is none."""
    if batch.retracted.isdisjoint(rows):
        return ""
    return "".join("1" if row in batch.retracted else "0" for row in rows)
