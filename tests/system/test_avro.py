"""A session whose ticks are Avro says what the same session in JSON says."""

from __future__ import annotations

import orjson

from connectors.market.avro_ticks import TICK_SCHEMA
from replay.market.session import Session, simulate
from replay.message import Message
from state.outputs import DEAD
from tests.connectors.market.test_avro_ticks import OURS, message
from tests.flows.runs import settings
from tests.replay.recordings import write
from tests.system.market import written

TOPIC = "market.ticks"


def in_avro(message_: Message) -> tuple[Message, int]:
    """Return the message with its tick as Avro, where our schema has such a record."""
    try:
        value = message(orjson.loads(message_.value or b""))
    except (orjson.JSONDecodeError, ValueError, TypeError, KeyError, AttributeError):
        return message_, 0  # what is spoilt, and heartbeats
    return message_._replace(value=value), 1


def test_avro_and_json_lead_to_the_same_outputs(tmp_path):
    (tmp_path / f"{OURS}.avsc").write_text(TICK_SCHEMA)
    session = list(simulate(Session(seed=3, count=4000)))
    made, avro = zip(*map(in_avro, session), strict=True)
    assert 3900 < sum(avro) <= 4000
    more = {"HEADRACE_MARKET__SCHEMAS": str(tmp_path)}
    env = settings("127.0.0.1:1", "redis://127.0.0.1:1/0", tmp_path, **more)
    found = []
    for name, messages in (("json", session), ("avro", made)):
        recording = write(tmp_path / f"{name}.parquet", {TOPIC: 1}, messages)
        files = written(env, "replay", "market", recording, "--out", tmp_path / name)
        found.append({file: said for file, said in files.items() if DEAD not in file})
    assert found[0] == found[1]
    assert (tmp_path / "json/bars.jsonl").stat().st_size > 0
