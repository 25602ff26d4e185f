"""`headrace audit show`: who has read what, of whom, and why, from the gateway's audit."""

from __future__ import annotations

from contextlib import closing

import orjson
import pytest
from fhir.resources.R4B.auditevent import AuditEvent

from connectors.web.reads import MAX_NAMED, Read, Reads, hashed
from connectors.web.trail import Trail
from flows.__main__ import main
from operators.audit import AuditChain
from state.outputs import to_json
from state.sealing import Keyring, Seal
from tests.operators.adt.fhir.rules import compiled

KEYRING = Keyring.generate()
SEAL = Seal(KEYRING)
ANN, BOB = (hashed(SEAL, name) for name in ("Ann", "Bob"))
RULES = (
    "id.matches('^[A-Za-z0-9.-]{1,64}$')",
    "entity.all(name.empty() or query.empty())",  # sev-1
    "agent.where(requestor = true).count() = 1",
    "recorded.exists() and source.observer.exists()",
)
READS = (
    Read("nurse", "10.0.0.1", "latest", "adt.beds", {"wards": frozenset("A")}, 2, (ANN, BOB)),
    Read("nurse", "10.0.0.1", "latest", "adt.beds", {"patient": frozenset({"Bob"})}, 0),
    Read("doctor", "10.0.0.2", "subscribe", "adt.encounters", {}, 1, (BOB,), "he collapsed"),
    Read("doctor", "10.0.0.2", "latest", "adt.encounters", {}, MAX_NAMED + 1),
    Read("clerk", "10.0.0.3", "history", "adt.beds", {}, refused="the scope is missing"),
)


@pytest.fixture
def path(tmp_path, monkeypatch):
    monkeypatch.setenv("HEADRACE_SEALING__KEYS", KEYRING.text())
    path = tmp_path / "reads.jsonl"
    with closing(Reads(Trail(path, AuditChain("reads")), SEAL)) as reads:
        for read in READS:
            reads.add(read).result(20)
    return path


def show(*words):
    return main(["audit", "show", *map(str, words)])


def test_each_read_is_a_line(path, capsys):
    assert show(path) == 0
    said = [line.split(" ", 1)[1] for line in capsys.readouterr().out.splitlines()]
    assert said == [
        "nurse 10.0.0.1 latest adt.beds 2 records of 2",
        "nurse 10.0.0.1 latest adt.beds 0 records",
        "doctor 10.0.0.2 subscribe adt.encounters 1 records of 1 break-glass: he collapsed",
        "doctor 10.0.0.2 latest adt.encounters 101 records",
        "clerk 10.0.0.3 history adt.beds refused: the scope is missing",
    ]


def test_the_reads_are_audit_events_of_fhir(path, capsys):
    assert show(path, "--fhir") == 0
    events = [orjson.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len(events) == len(READS)
    for event, read in zip(events, READS, strict=True):
        AuditEvent.model_validate(event)
        for rule in RULES:
            assert compiled(rule)(event) == [True], f"{rule}: {event}"
        assert event["agent"][0]["who"]["identifier"]["value"] == read.subject
    assert len({event["id"] for event in events}) == len(READS)
    assert show(path, "--fhir", "--person", "Ann") == 0
    found = [orjson.loads(line)["id"] for line in capsys.readouterr().out.splitlines()]
    assert found == [events[0]["id"], events[3]["id"]]
    assert "collapsed" not in str(events)


@pytest.mark.parametrize(("person", "lines"), [("Ann", [0, 3]), ("Bob", [0, 1, 2, 3]), ("X", [3])])
def test_the_reads_of_one_patient_are_found_and_those_that_may_be(path, capsys, person, lines):
    assert show(path) == 0
    every = capsys.readouterr().out.splitlines()
    assert show(path, "--person", person) == 0
    assert capsys.readouterr().out.splitlines() == [every[line] for line in lines]


def test_without_the_keys_no_reason_is_told_and_nobody_is_found(path, capsys, monkeypatch):
    monkeypatch.delenv("HEADRACE_SEALING__KEYS")
    monkeypatch.setenv("HEADRACE_KEY_FILE", str(path.parent / "none"))
    assert show(path) == 0
    assert "break-glass: (sealed)" in capsys.readouterr().out
    assert show(path, "--person", "Bob") == 1
    assert "HEADRACE_SEALING__KEYS_FILE" in capsys.readouterr().err
    monkeypatch.setenv("HEADRACE_SEALING__KEYS", Keyring.generate().text())
    assert show(path) == 0
    assert "collapsed" not in capsys.readouterr().out


def test_what_is_shown_ends_where_the_chain_does(path, capsys):
    content = path.read_bytes()
    path.write_bytes(content.replace(b'"adt.encounters"', b'"adt.beds"', 1))
    assert show(path) == 1
    *shown, trouble = capsys.readouterr().out.splitlines()
    assert len(shown) == 2
    assert trouble.startswith(f"{path}:3: entry 3: ")


def test_the_audit_of_another_system_is_not_shown(tmp_path, capsys):
    path = tmp_path / "audit.jsonl"
    path.write_bytes(to_json(AuditChain("trading").append(1, {"what": "started"})) + b"\n")
    assert show(path) == 2
    assert "holds no reads" in capsys.readouterr().err
