"""The flow ``deid``: rows as of the tables, through merges; what is planted is nowhere."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
import pytest

from connectors.adt.messages import parse
from connectors.kafka.sink import RETRACTED_HEADER
from operators.adt.timeline import Timeline
from operators.outputs import Outputs
from replay.files import table_lines
from replay.message import Message
from state.adt.facts import Told
from state.adt.outputs import OUTPUTS
from state.adt.released import OUTPUTS as RELEASED
from state.adt.released import SOURCES
from state.clock import DAY_NS, NS
from state.errors import BadRecord
from state.records import Coordinates
from state.rows import RowBlock
from state.sealing import Keyring, Seal
from tests.flows.runs import headrace, settings
from tests.replay.adt.test_deidentify import FIELDS, PLANTS, RESULTS, STAY, planted
from tests.replay.recordings import write
from tests.system.adt import messages

KEYRING = Keyring.generate()
AT_NS = 1_709_629_200 * NS
RECORDED_NS = [
    round(datetime.fromisoformat(text).timestamp()) * NS
    for text in ("2024-03-05T09:00:00Z", "2024-03-07T11:00:00Z")
]
Tables = dict[str, list[bytes]]


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    more = {"HEADRACE_ADT__DEIDENTIFY": "pseudonymised"}
    found = settings("127.0.0.1:1", "redis://127.0.0.1:1", tmp_path, **more)
    return found | {"HEADRACE_SEALING__KEYS": KEYRING.text()}


def done(env: dict[str, str], *words: object) -> None:
    ended = headrace(env, *map(str, words))
    assert ended.returncode == 0, ended.stderr


def of_topics(given: Iterable[Message], seal: Seal) -> Iterator[Message]:
    """Yield what the flow adt writes of messages into the topics that deid reads."""
    outputs, logic, offsets = Outputs(OUTPUTS, seal), Timeline(1), Counter[str]()
    topics = {output.name: output.topic for output in SOURCES}
    for message in given:
        try:
            said = parse(message.value or b"", UTC)
        except BadRecord:
            continue
        told = Told(Coordinates("adt.raw", 0, message.offset), *said)
        list(logic.process(RowBlock("adt.raw", 1, [told]), outputs))
        for batch in outputs.take():
            rows = zip(batch.times_ns, batch.keys, batch.values, strict=True)
            for row, (time_ns, key, value) in enumerate(rows):
                if topic := topics.get(batch.output):
                    headers = [(RETRACTED_HEADER, b"1")] if row in batch.retracted else []
                    yield Message(topic, 0, offsets[topic], time_ns, key.encode(), value, headers)
                    offsets[topic] += 1


def released(env: dict[str, str], directory: Path, given: list[Message]) -> Path:
    """Return the files of the flow deid, of messages as the flow adt tells them."""
    seal = Seal(Keyring.parse(env["HEADRACE_SEALING__KEYS"]))
    topics = dict.fromkeys((output.topic for output in SOURCES), 1)
    recording = write(directory / "adt.parquet", topics, of_topics(given, seal))
    done(env, "replay", "deid", recording, "--out", directory / "deid")
    return directory / "deid"


def deidentified(env: dict[str, str], directory: Path, given: list[Message]) -> Tables:
    """Return the lines of what `headrace deidentify adt` writes of the same messages."""
    raw = write(directory / "raw.parquet", {"adt.raw": 1}, given)
    done(env, "replay", "adt", raw, "--out", directory / "adt")
    done(env, "deidentify", "adt", directory / "adt", "--out", directory / "tables")
    return {
        output.name: (directory / "tables" / f"{output.name}.jsonl").read_bytes().splitlines()
        for output in RELEASED
    }


def tables(directory: Path) -> Tables:
    """Return the lines of tables that the flow has written, in the order of their bytes."""
    return {
        output.name: sorted(
            (directory / "tables" / f"{output.name}.jsonl").read_bytes().splitlines()
        )
        for output in RELEASED
    }


def retractions(directory: Path, output: str) -> int:
    return (directory / f"{output}.jsonl").read_bytes().count(b'"retracted":true')


def test_the_rows_are_those_of_the_tables_through_what_is_taken_back(env, tmp_path):
    given = messages(5, 200, 1)
    out, wanted = released(env, tmp_path, given), deidentified(env, tmp_path, given)
    assert tables(out) == wanted
    assert sum(map(len, wanted.values())) > 100
    assert retractions(out, "location_visits")
    assert (out / "dead.jsonl").read_bytes() == b""


def said(number: int, *segments: str) -> Message:
    return Message("adt.raw", 0, number, AT_NS, b"GH", "\r".join(segments).encode())


def test_a_merge_moves_the_rows_to_the_survivor(env, tmp_path):
    head = [r"MSH|^~\&|PAS|GH|||20240306090000||ADT^A40|9|P|2.5.1", "EVN|A40|20240306090000"]
    merge = said(2, *head, "PID|1||9^^^GH^MR", "MRG|7^^^GH^MR")
    given = [said(0, *STAY), said(1, *RESULTS), merge]
    before, out = tmp_path / "before", released(env, tmp_path, given)
    before.mkdir()
    of_before, after = tables(released(env, before, given[:2])), tables(out)
    assert after == deidentified(env, tmp_path, given)
    for name in ("encounters", "location_visits", "conditions", "observations"):
        old, new = ([orjson.loads(line) for line in each[name]] for each in (of_before, after))
        assert len(old) == len(new) > 0
        assert {row["patient"] for row in old}.isdisjoint(row["patient"] for row in new)
        assert retractions(out, name) == len(old)


def test_a_rotation_changes_no_row(env, tmp_path):
    given = messages(5, 60, 1)
    for name, keyring in (("before", KEYRING), ("after", KEYRING.rotated())):
        (tmp_path / name).mkdir()
        released(env | {"HEADRACE_SEALING__KEYS": keyring.text()}, tmp_path / name, given)
    before, after = (tables(tmp_path / name / "deid") for name in ("before", "after"))
    assert before == after


def test_what_is_planted_is_nowhere_in_the_streams(env, tmp_path):
    raws = ["\r".join(each).encode() for each in (STAY, RESULTS)]
    for plant in PLANTS.values():
        for segments in (STAY, RESULTS):
            for place, segment in enumerate(segments):
                begin = 3 if segment.startswith("MSH") else 1
                fields = range(begin, FIELDS.get(segment[:3], 4), 3)
                raws += [planted(segments, place, field, plant) for field in fields]
    given = [Message("adt.raw", 0, n, AT_NS, b"GH", raw) for n, raw in enumerate(raws)]
    out = released(env, tmp_path, given)
    assert len(tables(out)["encounters"]) >= 1
    texts = [text for plant in PLANTS.values() for text in {plant, plant.lower()}]
    for output in RELEASED:
        written = (out / f"{output.name}.jsonl").read_text()
        assert not [text for text in texts if text in written], output.name


def test_a_row_of_the_stream_is_its_columns_alone(env, tmp_path):
    out = released(env, tmp_path, messages(5, 100, 1))
    for output in RELEASED:
        names = {column.name for column in output.columns}
        for line in (out / f"{output.name}.jsonl").read_bytes().splitlines():
            record = orjson.loads(line)
            assert "retracted" in record or record.keys() <= names
            if "retracted" not in record:
                assert all(b'"row"' not in each for each in table_lines(output, line))


def test_nothing_tells_by_how_much_a_time_was_moved(env, tmp_path):
    """Neither the place of a record, nor when a bed was left."""
    left = said(1, STAY[0].replace("A01", "A03"), "EVN|A03|20240307110000", STAY[2],
                STAY[3] + "|" * 26 + "20240307110000")  # fmt: skip
    out = released(env, tmp_path, [said(0, *STAY), left])
    records = {
        output.name: [orjson.loads(x) for x in (out / f"{output.name}.jsonl").open("rb")]
        for output in RELEASED
    }
    (visit,) = [each for each in records["encounters"] if each.get("discharged")]
    days = datetime.fromisoformat("2024-03-07T11:00:00Z") - datetime.fromisoformat(
        visit["discharged"]
    )
    shift_ns = round(days / timedelta(days=1)) * DAY_NS
    for name, found in records.items():
        for record in found:
            occupied = name != "beds" or "patient" in record
            recorded_ns = record["ts_ns"] + shift_ns
            assert (recorded_ns in RECORDED_NS) == occupied, name
            assert re.fullmatch("[b-t]{32}[|][b-t]{32}", record["id"])
    assert [each for each in records["beds"] if "patient" not in each]


@pytest.mark.parametrize("mode", ["", "safe_harbor"])
def test_safe_harbor_is_of_tables_alone(env, tmp_path, mode):
    raw = write(tmp_path / "adt.parquet", {"adt.patients": 1}, [])
    ended = headrace(
        env | {"HEADRACE_ADT__DEIDENTIFY": mode},
        "replay", "deid", str(raw), "--out", str(tmp_path / "out"),
    )  # fmt: skip
    assert ended.returncode == 2
    assert "who watches a record arrive knows its date" in ended.stderr


def test_no_output_is_sealed_and_all_are_in_the_list():
    assert not [output.topic for output in RELEASED if output.secret]
    assert [output.name for output in RELEASED] == [output.name for output in SOURCES]
    assert {output.system for output in RELEASED} == {"deid"}
    assert all(source in OUTPUTS for source in SOURCES)
