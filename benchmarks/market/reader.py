"""The reader of records: one client that waits on a Redis stream, as a user's would.

Their identities are the coordinates of what they are of, as those of breaches and decisions are.
"""

from __future__ import annotations

import time
from typing import Any, cast

import numpy as np
import orjson
from pydantic import SecretStr

from benchmarks import child
from benchmarks.machine import pin
from benchmarks.market.stored import store
from connectors.redis.client import client
from connectors.redis.keys import Keys

WAIT_MS = 100
PAGE = 1000


def main(job: dict[str, Any]) -> None:
    """Read until told to stop; store what each record is of and when it was visible."""
    pin(job["core"])
    stop = child.stopped()
    connection = client(SecretStr(job["url"]))
    stream = Keys(job["system"], job["generation"]).stream(job["output"])
    last: bytes | str = "0"
    found: list[tuple[int, int, int, int, int]] = []
    child.say({"ready": True})
    while True:
        stopping = stop.is_set()  # before the read: what is there by then is read
        answer = cast("list[Any]", connection.xread({stream: last}, count=PAGE, block=WAIT_MS))
        moment = time.time_ns()
        if not answer and stopping:
            break
        for _, entries in answer:
            for entry, fields in entries:
                last = entry
                record = orjson.loads(fields[b"v"])
                _, partition, offset, _ = record["id"].rsplit("/", 3)
                found.append(
                    (int(partition), int(offset), record["ts_ns"], moment, int(fields[b"counter"]))
                )
    names = ("partition", "offset", "due", "seen", "counter")
    columns = np.array(found, np.int64).reshape(-1, len(names)).T
    store(job["out"], dict(zip(names, columns, strict=True)))
    child.say({"records": len(found)})


if __name__ == "__main__":
    child.start(main)
