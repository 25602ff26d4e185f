"""Reading Redis for the feed: one loop over the streams of all outputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pydantic import SecretStr
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from connectors.redis.client import TIMEOUT_SECONDS, pool
from connectors.redis.keys import Keys, generation_key, notified_key
from connectors.redis.reader import FIRST_GENERATION
from connectors.web.frames import Place, Position, parse_position, position
from connectors.web.mirror import NEWEST, FeedEntry, Loaded
from state.outputs import Output

DOWN = (RedisError, OSError, TimeoutError)
"""What a Redis raises that does not answer."""
RETRY_S = 0.25
"""How long to wait before such a Redis is asked again."""
PAGE = 1_000
"""Entries of one read of one stream."""

_FACTS = """
local function facts(stream)
  local found = {['last-generated-id'] = '0-0', ['entries-added'] = 0}
  if redis.call('EXISTS', stream) == 1 then
    local info = redis.call('XINFO', 'STREAM', stream)
    for i = 1, #info, 2 do found[info[i]] = info[i + 1] end
  end
  return found
end
"""
_LOAD = (
    _FACTS
    + """
local stream, latest, marks = KEYS[1], KEYS[2], KEYS[3]
local newest = redis.call('XREVRANGE', stream, '+', '-', 'COUNT', ARGV[1])
local found = facts(stream)
local complete = found['entries-added'] <= #newest and 1 or 0
return {
  found['last-generated-id'], complete, newest,
  redis.call('HVALS', latest), redis.call('HGETALL', marks)
}
"""
)
_LOOK = (
    _FACTS
    + """
local answer = {redis.call('GET', KEYS[1]), redis.call('GET', KEYS[2])}
for i = 3, #KEYS do answer[i] = facts(KEYS[i])['last-generated-id'] end
return answer
"""
)
_AFTER = """
if #redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[1]) == 0 then return false end
return redis.call('XRANGE', KEYS[1], '(' .. ARGV[1], '+', 'COUNT', ARGV[2])
"""


class Look(NamedTuple):
    """A system at one moment: what readers are to use, who wrote it, and where streams end."""

    generation: int
    lineage: str | None
    last: dict[str, Place]


class Tail:
    """The feed's connections to Redis. Redis's own errors pass through."""

    def __init__(self, url: SecretStr) -> None:
        """Open nothing yet. Raises SettingsError where the URL does not parse."""
        pool(url)
        self._redis: Any = Redis.from_url(
            url.get_secret_value(),
            protocol=2,
            socket_timeout=TIMEOUT_SECONDS,
            socket_connect_timeout=TIMEOUT_SECONDS,
            retry=Retry(NoBackoff(), 0),
        )
        self._load = self._redis.register_script(_LOAD)
        self._look = self._redis.register_script(_LOOK)
        self._after = self._redis.register_script(_AFTER)

    async def generation(self, system: str) -> int:
        """Return the generation that readers of a system are to use."""
        return int(await self._redis.get(generation_key(system)) or FIRST_GENERATION)

    async def look(self, keys: Keys, outputs: Sequence[str]) -> Look:
        """Return the state of a system, taken in one moment, with the ends of its streams."""
        names = [generation_key(keys.system), keys.lineage, *map(keys.stream, outputs)]
        generation, lineage, *last = await self._look(keys=names)
        ends = dict(zip(outputs, map(_place, last), strict=True))
        return Look(
            int(generation or FIRST_GENERATION), lineage.decode() if lineage else None, ends
        )

    async def load(self, keys: Keys, output: str) -> Loaded:
        """Return an output as it is at one moment."""
        names = [keys.stream(output), keys.latest(output), keys.marks]
        last, complete, newest, latest, marks = await self._load(keys=names, args=[NEWEST])
        pairs = zip(marks[::2], marks[1::2], strict=True)
        counters = {}
        for field, counter in pairs:
            name, _, origin = field.decode().rpartition("/")
            if name == output:
                counters[origin] = int(counter)
        entries = [_entry(*entry) for entry in reversed(newest)]
        return Loaded(_place(last), bool(complete), entries, latest, counters)

    async def read(self, places: Mapping[str, Place], wait_s: float) -> dict[str, list[FeedEntry]]:
        """Return what follows in each stream, once there is something, or after ``wait_s``."""
        after = {stream: f"{place[0]}-{place[1]}" for stream, place in places.items()}
        found = await self._redis.xread(after, count=PAGE, block=int(wait_s * 1000))
        return {stream.decode(): [_entry(*entry) for entry in entries] for stream, entries in found}

    async def after(self, keys: Keys, output: str, place: Place) -> list[FeedEntry] | None:
        """Return up to PAGE entries behind one, None where Redis does not hold that one."""
        arguments: list[str | int] = [f"{place[0]}-{place[1]}", PAGE]
        found = await self._after(keys=[keys.stream(output)], args=arguments)
        return None if found is None else [_entry(*entry) for entry in found]

    async def before(self, keys: Keys, output: str, place: Place, count: int) -> list[bytes]:
        """Return the values up to a place, the newest first, and at most so many."""
        last = f"{place[0]}-{place[1]}"
        found = await self._redis.xrevrange(keys.stream(output), max=last, count=count)
        return [fields[b"v"] for _, fields in found]

    async def notified(self, output: Output, endpoint: str) -> Position | None:
        """Return the position up to which an endpoint was notified, None for a new one."""
        field = f"{endpoint}/{output.name}"
        found = await self._redis.hget(notified_key(output.system), field)
        return None if found is None else parse_position(found.decode())

    async def keep_notified(self, output: Output, endpoint: str, at: Position) -> None:
        """Remember the position up to which an endpoint was notified."""
        field = f"{endpoint}/{output.name}"
        await self._redis.hset(notified_key(output.system), field, position(*at))

    async def close(self) -> None:
        """Close the connections."""
        await self._redis.aclose()


def _entry(stream_id: bytes, fields: Any) -> FeedEntry:
    pairs = (
        fields if isinstance(fields, dict) else dict(zip(fields[::2], fields[1::2], strict=True))
    )
    return FeedEntry(
        _place(stream_id),
        pairs[b"origin"].decode(),
        int(pairs[b"counter"]),
        pairs[b"v"],
        b"retracted" in pairs,
    )


def _place(stream_id: bytes) -> Place:
    milliseconds, _, sequence = stream_id.partition(b"-")
    return int(milliseconds), int(sequence)
