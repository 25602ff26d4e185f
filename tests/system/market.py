"""The market system as its user meets it: commands, files, and a run to follow."""

from __future__ import annotations

import hashlib
from pathlib import Path

import orjson
from confluent_kafka import Consumer, KafkaException, TopicPartition

from replay.message import Message
from tests.daily_events import closes, messages, portfolio
from tests.flows.runs import headrace
from tests.waiting import PATIENCE_S, eventually

Env = dict[str, str]

PORTFOLIOS = """
[market.portfolios.broad]
SIM0000 = 0.25
SIM0003 = 0.25
SIM0007 = 0.3
SIM0011 = 0.2

[market.portfolios.spread]
SIM0001 = 1.0
SIM0002 = -1.0
"""
"""A settings file with portfolios over symbols of several partitions."""


EVERYTHING = """
[market]
daily = true
events = ["market.closes", "market.portfolios"]
list_duplicates = true
correctable = "1m"
[market.risk]
window = 40
[market.risk.scenarios.crash]
other = -0.2
[market.models]
every = 5
[market.targets.daily]
objective = "min-variance"
[market.targets.hopeless]
objective = "min-variance"
[market.targets.hopeless.bounds."*"]
most = 0.1
[market.signals]
kinds = [
    "order-flow-imbalance", "micro-price", "realised-variance", "kyle-lambda", "hawkes", "cusum",
    "vpin",
]
vpin_volume = 100.0
pairs = { near = ["SIM0000", "SIM0001"], far = ["SIM0002", "SIM0007"] }
pairs_min_observations = 2
[market.luld]
enabled = true
"""
"""Settings under which every output has records."""


def daily_messages() -> list[Message]:
    """Return sixty sessions with a portfolio that can be optimised and one that cannot."""
    return messages(
        [
            *closes(1, 60),
            portfolio("daily", {"A": 0.5, "B": 0.3, "C": 0.2}),
            portfolio("hopeless", {"A": 0.5, "B": 0.5}),
        ]
    )


def done(env: Env, *words: str | Path) -> str:
    """Run a command that must succeed; return what it printed."""
    result = headrace(env, *map(str, words))
    assert result.returncode == 0, result.stderr
    return result.stdout


def written(env: Env, *words: str | Path) -> dict[str, tuple[int, str]]:
    """Run replay or export; return lines and SHA-256 by file, and check that they are true."""
    files = orjson.loads(done(env, *words, "--json"))["files"]
    out = Path(words[words.index("--out") + 1])
    for file in files:
        content = (out / file["name"]).read_bytes()
        assert file["lines"] == content.count(b"\n")
        assert file["sha256"] == hashlib.sha256(content).hexdigest()
    return {file["name"]: (file["lines"], file["sha256"]) for file in files}


def records(directory: Path, output: str) -> list[dict]:
    """Return the records of one output file."""
    return [orjson.loads(line) for line in (directory / f"{output}.jsonl").open("rb")]


def wait_until_done(bootstrap: str, topic: str, group: str, partitions: int) -> None:
    """Wait until a group has committed all that the topic holds now.

    Commits follow durable snapshots, which follow the sinks' acknowledgements.
    """
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": group})
    places = [TopicPartition(topic, p) for p in range(partitions)]
    ends = [consumer.get_watermark_offsets(place, timeout=PATIENCE_S)[1] for place in places]

    def committed() -> bool:
        try:
            return [place.offset for place in consumer.committed(places, PATIENCE_S)] == ends
        except KafkaException:  # the group's coordinator is still being chosen
            return False

    try:
        eventually(committed)
    finally:
        consumer.close()
