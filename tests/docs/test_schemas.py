"""Each output has a strict JSON Schema, and every record of a replay validates."""

from __future__ import annotations

import copy
from pathlib import Path

import orjson
import pytest
from jsonschema import Draft202012Validator

from connectors.market.frames import encode_frame
from connectors.market.tick_columns import TickColumns
from flows.commands.schemas import documents
from replay.market.session import Session, simulate
from replay.message import Message
from state.clock import NS
from state.market.outputs import MARKET
from state.outputs import DEAD
from tests.daily_events import topics
from tests.flows.runs import ROOT, settings
from tests.replay.recordings import write
from tests.system.market import EVERYTHING, PORTFOLIOS, daily_messages, records, written

DOCS = ROOT / "docs"
SCHEMAS = DOCS / "schemas/market"
OUTPUTS = [*(output.name for output in MARKET), DEAD]
TOPIC = "market.ticks"


@pytest.fixture(scope="module")
def replayed(tmp_path_factory) -> Path:
    """A session with spoilt frames, a large dead letter, one dead tick of a frame, a late trade."""
    directory: Path = tmp_path_factory.mktemp("schemas")
    config = directory / "headrace.toml"
    config.write_text("[run]\nmax_dead_bytes = 1000\n" + EVERYTHING + PORTFOLIOS)
    session = list(simulate(Session(seed=1, count=6000)))
    last = session[-1]
    frame = encode_frame(
        TickColumns.of(
            kind=[1, 1], symbol=[0, 0], symbols=["SIM0000"], ts_ns=[last.timestamp_ns] * 2,
            price=[-1.0, 9.0], size=[1.0, 1.0], ask=[0.0, 0.0], ask_size=[0.0, 0.0],
        )
    )  # fmt: skip
    late = b'{"type":"trade","symbol":"SIM0000","ts_ns":%d,"price":9,"size":1}'
    cancelled = (
        b'{"type":"trade","symbol":"SIM0000","ts_ns":%d,"price":9,"size":1,"seq":7,"venue":"Z"}'
    )
    more = [
        b"x" * 5000,
        frame[:-1],
        frame[:-1] + bytes([frame[-1] ^ 1]),
        frame,
        late % session[0].timestamp_ns,
        cancelled % last.timestamp_ns,
        b'{"type":"cancel","symbol":"SIM0000","ts_ns":%d,"trade_seq":7,"venue":"Z"}'
        % (last.timestamp_ns + 4 * NS),
    ]
    messages = [
        *session,
        *(
            Message(TOPIC, 0, last.offset + 1 + i, last.timestamp_ns, b"SIM0000", value)
            for i, value in enumerate(more)
        ),
        Message(TOPIC, 0, last.offset + 9, last.timestamp_ns, None, b"{}"),
    ]
    messages += daily_messages()
    recording = write(directory / "session.parquet", topics(messages), messages)
    env = settings("127.0.0.1:1", "redis://127.0.0.1:1/0", directory, HEADRACE_CONFIG=str(config))
    written(env, "replay", "market", recording, "--out", directory / "out")
    return directory / "out"


def versioned(output: str) -> str:
    """Return the name of the newest schema of an output."""
    versions = {each.name: each.version for each in MARKET}
    return f"{output}.v{versions.get(output, 1)}"


def schema(output: str) -> dict:
    """Return the newest schema of an output."""
    found: dict = orjson.loads((SCHEMAS / f"{versioned(output)}.json").read_bytes())
    return found


def test_every_output_has_a_schema_and_no_schema_is_without_an_output():
    assert sorted(path.name for path in SCHEMAS.iterdir()) == sorted(
        f"{versioned(name)}.json" for name in OUTPUTS
    )


def test_the_documents_are_what_the_code_makes():
    found = list(DOCS.rglob("*.json"))
    made = documents()
    assert sorted(str(path.relative_to(DOCS)) for path in found) == sorted(made)
    for path in found:
        assert path.read_bytes() == made[str(path.relative_to(DOCS))], f"{path}: make docs"


@pytest.mark.parametrize("output", OUTPUTS)
def test_a_schema_is_valid_strict_and_named_after_its_file(output):
    found = schema(output)
    Draft202012Validator.check_schema(found)
    assert found["additionalProperties"] is False
    assert found["$id"] == f"urn:headrace:market:{versioned(output).replace('.', ':')}"
    optional = {"value", "length", "sha256", "sealed"} if output == DEAD else set()
    assert set(found["properties"]) - set(found["required"]) == optional


@pytest.mark.parametrize("output", OUTPUTS)
def test_every_record_of_a_replay_validates(output, replayed):
    validator = Draft202012Validator(schema(output))
    found = records(replayed, output)
    assert found
    assert [str(error) for record in found for error in validator.iter_errors(record)] == []


def test_the_replay_has_every_shape_that_the_schemas_tell_apart(replayed):
    dead = records(replayed, DEAD)
    assert {"value", "sha256"} <= {name for record in dead for name in record}
    assert {record["error"] for record in dead} >= {
        "Malformed", "BadChecksum", "OutOfRange", "NoKey",
    }  # fmt: skip
    assert any(record["key"] is None for record in dead)
    risk = records(replayed, "risk")
    for name in ("components", "marginal", "incremental"):
        assert {record[name] is None for record in risk} == {True, False}
    assert {record["valid"] for record in risk} == {True, False}
    assert {record["interval"] for record in risk} == {"1m", "session"}
    assert {record["stale"] for record in records(replayed, "weights")} == {True, False}
    assert "pairs" in {record["kind"] for record in records(replayed, "features")}
    nbbo = records(replayed, "nbbo")
    assert {record["bid"] is None for record in nbbo} == {True, False}
    assert {record["kind"] for record in records(replayed, "signals")} == {
        "breach_up", "breach_down",
    }  # fmt: skip


@pytest.mark.parametrize("output", OUTPUTS)
def test_a_schema_refuses_what_is_missing_unknown_or_of_another_type(output, replayed):
    validator = Draft202012Validator(schema(output))
    good = records(replayed, output)[0]
    assert validator.is_valid(good)
    assert not validator.is_valid(good | {"surprise": 1})
    for name in good:
        less = copy.deepcopy(good)
        del less[name]
        assert not validator.is_valid(less), f"{output} without {name}"
        assert not validator.is_valid(good | {name: [good[name]]}), f"{output}: {name} in a list"
