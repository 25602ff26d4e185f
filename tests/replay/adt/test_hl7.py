"""`headrace import hl7`: every byte that says something is a record, under the right key."""

from __future__ import annotations

import base64
from collections import Counter
from pathlib import Path

import orjson
import pytest

from connectors.adt.envelope import domain
from connectors.adt.reader import recorded_ns
from connectors.hl7.header import Header
from connectors.hl7.message import Message
from flows.__main__ import main
from replay.message import Message as Record
from replay.recording import Recording
from state.clock import NS
from state.records import HEARTBEAT_HEADER
from state.sealing import Keyring
from tests.replay.recordings import read

DATA = Path(__file__).parents[4] / "shared/data/adt"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="there is no ../shared/data/adt")
SENT_NS = 1_709_640_000 * NS
"""2024-03-05T12:00Z."""


def adt(control: str, facility: str = "B", evn: str = "20240305120000", msh7: str = "20240304"):
    """Return an admission that the flow takes."""
    head = f"MSH|^~\\&|A|{facility}|||{msh7}||ADT^A01|{control}|P|2.5"
    return f"{head}\rEVN|A01|{evn}\rPID|1||7\rPV1|1|I|W^1^1{'|' * 16}V{control}\r".encode()


def framed(raw: bytes) -> bytes:
    return b"\x0b" + raw + b"\x1c\r"


def imported(tmp_path: Path, *words: str | Path) -> list[Record]:
    """Import, and return the records without the heartbeats."""
    out = tmp_path / "out.parquet"
    assert main(["import", "hl7", *map(str, words), "--plaintext", "--out", str(out)]) == 0
    found = read(out)
    assert {m.topic for m in found} <= {"adt.raw"}
    return [m for m in found if not m.headers]


def values(found: list[Record]) -> list[bytes]:
    return [(m.value or b"").rstrip(b"\r") for m in found]


def test_files_keep_their_order_and_a_directory_is_by_name(tmp_path, capsys):
    folder = tmp_path / "in"
    (folder / "b").mkdir(parents=True)
    (folder / "c.hl7").write_bytes(adt("4"))
    (folder / "b" / "x").write_bytes(adt("2") + adt("3"))
    (folder / "a.hl7").write_bytes(framed(adt("1")))
    last = tmp_path / "0.hl7"
    last.write_bytes(adt("5"))
    found = imported(tmp_path, folder, last)
    controls = [Message(value).text("MSH", 10) for value in values(found)]
    assert controls == ["1", "2", "3", "4", "5"]
    assert [m.offset for m in found] == [0, 1, 2, 3, 4]
    assert {(m.key, m.timestamp_ns) for m in found} == {(b"B", SENT_NS)}
    assert capsys.readouterr() == (f"{tmp_path / 'out.parquet'}: 5 messages\n", "")


def test_each_partition_ends_with_a_heartbeat(tmp_path, capsys):
    path = tmp_path / "a.hl7"
    path.write_bytes(b"".join(adt(str(n), facility=f"F{n % 7}") for n in range(40)))
    out = tmp_path / "out.parquet"
    words = ["--out", str(out), "--partitions", "3", "--plaintext", "--json"]
    assert main(["import", "hl7", str(path), *words]) == 0
    assert orjson.loads(capsys.readouterr().out) == {"file": str(out), "messages": 40}
    homes: dict[bytes | None, set[int]] = {}
    for partition in range(3):
        of_it = [m for m in read(out) if m.partition == partition]
        *records, end = of_it
        assert [name for name, _ in end.headers] == [HEARTBEAT_HEADER]
        assert end.timestamp_ns > SENT_NS
        assert [m.offset for m in of_it] == list(range(len(of_it)))
        for record in records:
            homes.setdefault(record.key, set()).add(partition)
    assert len(homes) == 7
    assert all(len(places) == 1 for places in homes.values()), "a domain lies in one partition"
    assert Recording([out]).partitions == {"adt.raw": 3}


@pytest.mark.parametrize(
    ("head", "wanted"),
    [
        (b"MSH|^~\\&|APP|FAC^1.2^ISO|", b"FAC"),
        (b"MSH|^~\\&|APP^x||", b"APP"),
        (b"MSH|^~\\&|APP^x|^1.2.3^ISO|", b"APP"),
        (b'MSH|^~\\&|APP|""|', b"APP"),
        (b"MSH|^~\\&|||", b"unknown"),
        (b"MSH$*~\\&$APP$FAC*x$", b"FAC"),
    ],
)
def test_the_domain_is_the_facility_else_the_application(head, wanted):
    assert domain(Header(head + b"|||||")) == wanted


@pytest.mark.parametrize(
    ("evn", "msh7", "wanted"),
    [
        ("20240305120000", "20240304", SENT_NS),
        ("", "20240305120000", SENT_NS),
        ("soon", "202403051200", SENT_NS),
        ("20240305140000", "20240305+0200", SENT_NS),
        ("20240305070000-0500", "20240305+0200", SENT_NS),
        ("", "soon", None),
        ("20240230", "", None),
    ],
)
def test_the_recorded_time_is_that_of_the_event_else_of_the_message(evn, msh7, wanted):
    assert recorded_ns(Message(adt("1", evn=evn, msh7=msh7))) == wanted


def test_a_message_without_a_time_has_that_of_the_record_before_it(tmp_path):
    path = tmp_path / "a.hl7"
    timeless = adt("0", evn="", msh7="")
    ancient = adt("0", evn="19000101", msh7="")
    path.write_bytes(timeless + adt("1") + timeless + ancient)
    found = imported(tmp_path, path)
    assert [m.timestamp_ns for m in found] == [0, SENT_NS, SENT_NS, SENT_NS]


NASTY = {
    "a.hl7": framed(adt("1")) + b"[relay] sent\r\n" + framed(adt("2")) + b"\x0b" + adt("3"),
    "b.hl7": b"log of today\r\n" + adt("4"),
    "c.hl7": framed(adt("5")) + adt("6") + framed(b"PID|1"),
    "d.hl7": b"hello",
    "e.hl7": b"MSH||A|B\rPID|1||7\r" + adt("7"),
    "f.hl7": b"\xff\xfeM\0S",
    "g.hl7": b"\r\n\r\n",
}
NO_MESSAGES = [
    b"\x0b" + adt("3"),
    b"\x1c[relay] sent\r\n",
    b"log of today\r\n",
    b"PID|1",
    b"\x1c" + adt("6"),
    b"hello",
    b"MSH||A|B\rPID|1||7\r",
    b"\xff\xfeM\0S",
]


@pytest.fixture
def nasty(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    folder.mkdir()
    for name, data in NASTY.items():
        (folder / name).write_bytes(data)
    return folder


def test_what_is_no_message_is_a_record_under_the_key_unknown(nasty, tmp_path, capsys):
    found = imported(tmp_path, nasty)
    messages = [m for m in found if m.key == b"B"]
    others = [m for m in found if m.key == b"unknown"]
    assert len(messages) + len(others) == len(found)
    controls = [Message(value).text("MSH", 10) for value in values(messages)]
    assert controls == ["1", "2", "4", "5", "7"]
    assert sorted(values(others)) == sorted(raw.rstrip(b"\r") for raw in NO_MESSAGES)
    err = capsys.readouterr().err
    assert err == f"{len(NO_MESSAGES)} records are no message: a replay makes them dead letters\n"


def test_a_replay_makes_a_dead_letter_of_each_and_applies_the_rest(nasty, tmp_path, monkeypatch):
    keys = tmp_path / "keys.toml"
    keys.write_text(Keyring.generate().text())
    monkeypatch.setenv("HEADRACE_SEALING__KEYS_FILE", str(keys))
    found = imported(tmp_path, nasty)
    recording, out = str(tmp_path / "out.parquet"), tmp_path / "replayed"
    assert main(["replay", "adt", recording, "--out", str(out), "--plaintext"]) == 0
    letters = [orjson.loads(line) for line in (out / "dead.jsonl").open("rb")]
    dead = {letter["offset"]: base64.b64decode(letter["value"]) for letter in letters}
    assert dead == {m.offset: m.value for m in found if m.key == b"unknown"}
    visits = {
        orjson.loads(line)["visit"] for line in (out / "tables/location_visits.jsonl").open("rb")
    }
    assert {visit.partition("^")[0] for visit in visits} == {"V1", "V2", "V4", "V5", "V7"}
    reasons = {letter["reason"] for letter in letters}
    assert any("IncompleteFrame" in reason for reason in reasons)
    assert any("outside of frames" in reason for reason in reasons)


def test_a_batch_that_tells_another_number_is_a_warning(tmp_path, capsys):
    path = tmp_path / "batch.hl7"
    path.write_bytes(b"FHS|^~\\&\rBHS|^~\\&\r" + adt("1") + b"BTS|3\rFTS|1\r")
    assert len(imported(tmp_path, path)) == 1
    told = f"{path}: a batch, or a file of batches, tells 3 and holds 1\n"
    assert capsys.readouterr().err == told


def test_a_path_that_is_not_there_is_misuse(tmp_path, capsys):
    out = tmp_path / "out.parquet"
    assert main(["import", "hl7", str(tmp_path / "none"), "--out", str(out)]) == 2
    assert capsys.readouterr().err == f"headrace: import: there is no file {tmp_path / 'none'}\n"
    assert not out.exists()


SIMHOSPITAL = {"ADT^A01": 400, "ORU^R01": 610, "MDM^T02": 2, "ADT^A34": 1}
LINUXFORHEALTH = {
    "VXU^V04": 82, "ADT^A01": 105, "PPR^PC1": 30, "ORU^R01": 26, "RDE^O11": 24, "OMP^O09": 19,
    "ORM^O01": 9, "OML^O21": 7, "DFT^P03": 7, "ADT^A03": 5, "ADT^A40": 5, "MDM^T02": 4,
    "ADT^A18": 1, "ADT^A02": 1, "ADT^A08": 1, "ADT^A34": 1, "CUSTOM^PAT": 1,
}  # fmt: skip


@needs_data
@pytest.mark.parametrize(
    ("path", "wanted"),
    [("simhospital/messages.out", SIMHOSPITAL), ("linuxforhealth/messages", LINUXFORHEALTH)],
)
def test_the_shared_messages_are_all_there_by_trigger(tmp_path, path, wanted):
    found = imported(tmp_path, DATA / path)
    told = [Message(value) for value in values(found)]
    assert Counter(f"{m.text('MSH', 9)}^{m.text('MSH', 9, 2)}" for m in told) == wanted
    assert len(found) == sum(wanted.values())
