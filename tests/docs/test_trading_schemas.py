"""The outputs of trading have strict JSON Schemas, and every record of a replay validates."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest
from jsonschema import Draft202012Validator

from flows.__main__ import main
from operators.market.controls.reasons import Reason
from state.market.outputs import TRADING
from state.outputs import DEAD
from tests.flows.runs import ROOT
from tests.flows.sequences import message, sequence
from tests.replay.recordings import write
from tests.system.market import records

SCHEMAS = ROOT / "docs/schemas/trading"
OUTPUTS = [output.name for output in TRADING]


@pytest.fixture(scope="module")
def replayed(tmp_path_factory) -> Path:
    directory: Path = tmp_path_factory.mktemp("schemas")
    recording = write(
        directory / "x.parquet", {"market.sequenced": 1}, map(message, sequence(9, 3000))
    )
    out = directory / "out"
    assert main(["replay", "trading", str(recording), "--out", str(out)]) == 0
    return out


def schema(output: str) -> dict:
    found: dict = orjson.loads((SCHEMAS / f"{output}.v1.json").read_bytes())
    return found


def test_every_output_has_a_schema_and_no_schema_is_without_an_output():
    found = sorted(path.name for path in SCHEMAS.iterdir())
    assert found == sorted(f"{name}.v1.json" for name in [*OUTPUTS, DEAD])


@pytest.mark.parametrize("output", OUTPUTS)
def test_a_schema_is_valid_strict_and_named_after_its_file(output):
    found = schema(output)
    Draft202012Validator.check_schema(found)
    assert found["additionalProperties"] is False
    assert found["$id"] == f"urn:headrace:trading:{output}:v1"
    assert set(found["properties"]) == set(found["required"])


@pytest.mark.parametrize("output", OUTPUTS)
def test_every_record_of_a_replay_validates(output, replayed):
    validator = Draft202012Validator(schema(output))
    found = records(replayed, output)
    assert found
    assert [str(error) for record in found for error in validator.iter_errors(record)] == []


def test_the_replay_has_every_shape_that_the_schemas_tell_apart(replayed):
    decisions, states = records(replayed, "decisions"), records(replayed, "state")
    assert {d["kind"] for d in decisions} == {"order", "cancel", "fill"}
    assert {d["reason"] for d in decisions} >= {
        "NONE", "DUPLICATE_ORDER", "ACCOUNT_HALTED", "ACCOUNT_REDUCING", "UNKNOWN_SYMBOL",
        "SYMBOL_PAUSED", "UNKNOWN_ORDER",
    }  # fmt: skip
    assert {s["cause"] for s in states} == {"kill", "manual", "drawdown", "var", None}
    assert {s["event"] for s in states} >= {"kill", "resume", "reduce", "reset", "heartbeat"}
    whats = [entry["what"] for entry in records(replayed, "audit")]
    assert {w["output"] for w in whats} == {"decisions", "state", None}
    assert any(w["model"] for w in whats)


@pytest.mark.parametrize("output", OUTPUTS)
def test_a_schema_refuses_what_is_missing_unknown_or_of_another_type(output, replayed):
    validator = Draft202012Validator(schema(output))
    good = records(replayed, output)[0]
    assert validator.is_valid(good)
    assert not validator.is_valid(good | {"surprise": 1})
    for name in good:
        less = {key: value for key, value in good.items() if key != name}
        assert not validator.is_valid(less), f"{output} without {name}"
        assert not validator.is_valid(good | {name: [good[name]]}), f"{output}: {name} in a list"


def test_the_page_names_every_reason_with_its_code():
    text = (ROOT / "docs/trading.md").read_text()
    for reason in Reason:
        assert f"| `{reason.name}` | {reason.code} |" in text
