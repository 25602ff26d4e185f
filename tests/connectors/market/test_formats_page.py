"""The examples of docs/formats.md are decoded as the page says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from connectors.avro.schemas import SchemaDirectory
from connectors.market.avro_ticks import TICK_SCHEMA
from connectors.market.decode import TickDecoder
from connectors.market.ticks import Tick
from state.clock import NS
from state.market.ticks import HEARTBEAT, Correction
from state.records import HEARTBEAT_HEADER
from tests.connectors.market.batches import messages, rows

PAGE = Path(__file__).parents[3] / "docs" / "formats.md"
TIME_NS = 1_381_239_000_000_000_000
RECV_NS = TIME_NS + 350_000
JSON_TICKS = [
    Tick(1, "IBM", "N", "@", 1, TIME_NS, RECV_NS, 41, 181.32, 100.0, 0.0, 0.0),
    Tick(1, "IBM", "", "", 0, TIME_NS, 0, -1, 181.32, 100.0, 0.0, 0.0),
    Tick(2, "IBM", "Q", "", 0, TIME_NS, RECV_NS, 42, 181.3, 3.0, 181.34, 5.0),
    Tick(2, "IBM", "Q", "", 0, TIME_NS, 0, -1, 0.0, 0.0, 181.34, 5.0),
    Tick(2, "IBM", "Q", "", 0, TIME_NS, 0, -1, 181.3, 0.0, 0.0, 0.0),
    Tick(3, "IBM", "N", "", 0, TIME_NS + NS // 2, 0, -1, 0.0, 0.0, 0.0, 0.0),
    Tick(3, "IBM", "N", "", 0, TIME_NS + NS // 2, 0, -1, 0.0, 0.0, 0.0, 0.0),
]


def examples(language: str) -> list[str]:
    """Return the code blocks of the market ticks' part of the page."""
    flags = re.DOTALL | re.MULTILINE
    (part,) = re.findall(r"^## Market ticks$.*?(?=^## |\Z)", PAGE.read_text(), flags)
    return [text.strip() for text in re.findall(rf"^```{language}\n(.*?)^```", part, flags)]


def test_the_json_examples_mean_what_the_page_says():
    values = [text.encode() for text in examples("json")]
    block = TickDecoder(NS).decode(messages(values, timestamp_ns=TIME_NS))
    assert block.dead == []
    assert rows(block) == JSON_TICKS
    assert block.corrections == [Correction(0, 41), Correction(TIME_NS, 41, 181.23, 100.0)]


def test_the_heartbeat_example_is_a_heartbeat():
    header = bytes.fromhex(examples("hex")[0])
    batch = messages([b""], timestamp_ns=TIME_NS, headers={0: [(HEARTBEAT_HEADER, header)]})
    block = TickDecoder(0).decode(batch)
    assert (block.kind.tolist(), block.ts_ns.tolist()) == ([HEARTBEAT], [TIME_NS])


def test_the_frame_example_is_what_its_code_writes_and_means():
    names: dict[str, bytes] = {}
    code = examples("python")[0]
    exec(code, names)
    assert names["frame"] == bytes.fromhex(examples("hex")[1])
    block = TickDecoder(0).decode(messages([names["frame"]], timestamp_ns=TIME_NS))
    assert rows(block) == [JSON_TICKS[1], JSON_TICKS[3]]


def test_the_avro_example_is_what_its_code_writes_and_means(tmp_path):
    (tmp_path / "7.avsc").write_text(TICK_SCHEMA)
    names: dict[str, bytes] = {}
    exec(examples("python")[1], names)
    assert names["avro"] == bytes.fromhex(examples("hex")[2])
    decoder = TickDecoder(0, SchemaDirectory(tmp_path, "market.schemas"))
    block = decoder.decode(messages([names["avro"]], timestamp_ns=TIME_NS))
    assert rows(block) == [JSON_TICKS[1]]


@pytest.mark.parametrize("language", ["json", "hex", "python"])
def test_the_page_has_examples(language):
    assert examples(language)
