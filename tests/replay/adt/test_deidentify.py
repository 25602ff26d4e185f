"""``headrace deidentify adt``: what is planted in messages is nowhere in what may leave."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC
from pathlib import Path
from typing import Any

import orjson
import pytest

from connectors.adt.codes import Codes, Pseudonyms, kept_codes
from flows.__main__ import main
from operators.adt.deidentify import Deidentifier, Names
from replay.adt.cases import see
from state.adt.deidentified import ALLOWED, Mode
from state.adt.outputs import OUTPUTS
from state.errors import Misuse
from state.sealing import Keyring, Seal

PLANTS = {
    "A name": "CANARYFAM",
    "B place smaller than a state": "CANARYVILLE",
    "B ZIP code": "03601-1234",
    "C date": "19310204",
    "D telephone": "555-0142",
    "E fax": "+15550143",
    "F e-mail": "canary@example.org",
    "G social security": "078-05-1120",
    "G social security as a number": "078051120",
    "H record number": "MRN7654321",
    "I health plan": "HPB-7654321",
    "J account": "76543210",
    "K licence": "LIC-7654321",
    "L vehicle": "CNRY-4711",
    "M device": "SN-7654321",
    "N URL": "https://canary.example",
    "O IP address": "203.0.113.77",
    "P biometric": "FINGERPRINT-AB12",
    "Q photograph": "canary.jpg",
    "R any other": "ZZ-CANARY-5",
}
STAY = [
    r"MSH|^~\&|PAS|GH|||20240305090000||ADT^A01|1|P|2.5.1",
    "EVN|A01|20240305090000||||20240305080000",
    "PID|1||7^^^GH^MR||Doe^Jo||19650204|F|||1 Road^^Town^MA^02139||1",
    "PV1|1|I|4W^1^A||||||||||||||||V1",
    "DG1|1||I50.9^Failure^I10C|||A",
    "NTE|1||x",
    "ZCN|x",
]
RESULTS = [
    r"MSH|^~\&|LAB|GH|||20240305100000||ORU^R01|2|P|2.5.1",
    "PID|1||7^^^GH^MR",
    "PV1|1|I|4W^1^A||||||||||||||||V1",
    "OBR|1||F1|718-7^Hb^LN|||20240305093000",
    "OBX|1|NM|718-7^Hb^LN||11.8|g/dL|||||F|||20240305093000",
    "OBX|2|ST|8480-6^SBP^LN||120|mm[Hg]|||||F|||20240305093000",
    "NTE|1||x",
]
FIELDS = {"MSH": 20, "EVN": 8, "PID": 40, "PV1": 54, "DG1": 22, "OBR": 46, "OBX": 26}
MODES: tuple[Mode, ...] = ("safe_harbor", "pseudonymised")
SEAL = Seal(Keyring.generate())


def planted(segments: list[str], place: int, field: int, text: str) -> bytes:
    """Return a message with a text in a field, as a whole and in its first components."""
    fields = segments[place].split("|")
    fields += [""] * (field + 1 - len(fields))
    fields[field] = "^".join([text] * 6) if field % 2 else text
    return "\r".join([*segments[:place], "|".join(fields), *segments[place + 1 :]]).encode()


def plantings(segments: list[str], text: str) -> Iterator[tuple[str, bytes]]:
    """Yield messages with a text in each field, and in each component of those that have some."""
    for place, segment in enumerate(segments):
        fields = segment.split("|")
        begin = 3 if segment.startswith("MSH") else 1
        for field in range(begin, FIELDS.get(segment[:3], 4)):
            where = f"{segment[:3]}-{field}"
            yield where, planted(segments, place, field, text)
            parts = fields[field].split("^") if field < len(fields) else []
            for at in range(len(parts) if any(parts) else 0):
                one = "^".join([*parts[:at], text, *parts[at + 1 :]])
                told = "|".join([*fields[:field], one, *fields[field + 1 :]])
                told_all = [*segments[:place], told, *segments[place + 1 :]]
                yield f"{where}.{at + 1}", "\r".join(told_all).encode()


def left(raws: list[bytes], *modes: Mode) -> str:
    """Return all that is written about messages in these modes."""
    tables = see(raws, UTC).tables
    names: dict[Mode, Names] = {"safe_harbor": Codes(), "pseudonymised": Pseudonyms(SEAL, 365)}
    found = [Deidentifier(mode, names[mode], tables, 2024).tables() for mode in modes]
    return orjson.dumps(found).decode()


@pytest.mark.parametrize("plant", PLANTS.values(), ids=PLANTS)
def test_what_is_planted_in_any_field_is_nowhere(plant):
    stay, results = ("\r".join(each).encode() for each in (STAY, RESULTS))
    texts = {plant, plant.lower(), plant.split("-")[0] if plant.startswith("03601") else plant}
    texts.add(plant.lstrip("0"))  # as a number
    assert left([stay, results], *MODES).count('"unit_ucum":"g/dL"') == 2
    for segments in (STAY, RESULTS):
        for where, message in plantings(segments, plant):
            came, told = (message, results) if segments is STAY else (stay, message)
            left_at = came.replace(b"A01", b"A03").replace(b"202403050", b"202403060")
            raws = [came, left_at, told]
            found = left(raws, *MODES)
            assert not [text for text in texts if text in found], where
            if plant == PLANTS["C date"]:  # pseudonymised, a date may be this one by chance
                assert "1931-02" not in left(raws, "safe_harbor"), where


def test_whole_dates_are_nowhere_and_neither_is_a_month():
    admitted = planted(STAY, 1, 6, "20231231235900")
    found = left([admitted, "\r".join(RESULTS).encode()], "safe_harbor")
    assert '"admitted_year":2023' in found
    for text in ("2023-12", "12-31", "20231231", "2024", "03-05", "T0"):
        assert text not in found


@pytest.fixture
def replayed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> Path:
    """A replay of a stay and a result, sealed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HEADRACE_KEY_FILE", str(tmp_path / "keys" / "adt.key"))
    (tmp_path / "a.hl7").write_bytes("\r".join([*STAY, *RESULTS]).encode())
    assert main(["import", "hl7", "a.hl7", "--out", "a.parquet"]) == 0
    assert main(["replay", "adt", "a.parquet", "--out", "sealed"]) == 0
    assert main(["replay", "adt", "a.parquet", "--out", "plain", "--plaintext"]) == 0
    capsys.readouterr()
    return tmp_path


def lines(directory: Path) -> dict[str, list[bytes]]:
    return {path.name: path.read_bytes().splitlines() for path in sorted(directory.iterdir())}


def test_a_sealed_replay_and_a_plain_one_give_the_same_files_twice(replayed, monkeypatch, capsys):
    monkeypatch.setenv("HEADRACE_ADT__DEIDENTIFY", "safe_harbor")
    for source, out in (("sealed", "1"), ("plain", "2")):
        assert main(["deidentify", "adt", source, "--out", out, "--json"]) == 0
    first, again = lines(replayed / "1"), lines(replayed / "2")
    assert first == again
    (row,) = map(orjson.loads, first["encounters.jsonl"])
    assert row["admitted_year"] == 2024
    assert orjson.loads(first["counts.jsonl"][0]) == {"class": "I", "visits": None, "year": 2024}
    codes = replayed / "keys" / "adt.codes"
    assert codes.stat().st_mode & 0o777 == 0o600
    assert row["patient"].encode() not in codes.read_bytes()
    assert b"GH" not in codes.read_bytes()
    assert {"anomalies.jsonl", "dead.jsonl"}.isdisjoint(first)


def test_pseudonymised_needs_no_table_of_codes(replayed, monkeypatch):
    monkeypatch.setenv("HEADRACE_ADT__DEIDENTIFY", "pseudonymised")
    assert main(["deidentify", "adt", "sealed", "--out", "1"]) == 0
    assert main(["deidentify", "adt", "plain", "--out", "2"]) == 0
    assert lines(replayed / "1") == lines(replayed / "2")
    assert not (replayed / "keys" / "adt.codes").exists()


@pytest.mark.parametrize(
    ("mode", "source", "told"),
    [
        ("", "plain", "set adt.deidentify to safe_harbor or pseudonymised"),
        ("safe_harbor", "nowhere", "nowhere has no tables of adt"),
    ],
)
def test_misuse_is_one_line(replayed, monkeypatch, capsys, mode, source, told):
    monkeypatch.setenv("HEADRACE_ADT__DEIDENTIFY", mode)
    assert main(["deidentify", "adt", source, "--out", "1"]) == 2
    err = capsys.readouterr().err
    assert told in err
    assert err.count("\n") == 1


def test_a_directory_that_holds_something_is_refused_and_left_alone(replayed, monkeypatch, capsys):
    monkeypatch.setenv("HEADRACE_ADT__DEIDENTIFY", "safe_harbor")
    (replayed / "1").mkdir()
    (replayed / "1" / "beds.jsonl").write_text("of last year")
    assert main(["deidentify", "adt", "plain", "--out", "1"]) == 2
    assert "1 is not empty" in capsys.readouterr().err
    assert lines(replayed / "1") == {"beds.jsonl": [b"of last year"]}
    assert not (replayed / "keys" / "adt.codes").exists()
    assert main(["deidentify", "adt", "plain", "--out", "1/beds.jsonl"]) == 2
    assert "cannot write 1/beds.jsonl" in capsys.readouterr().err


def test_codes_under_other_keys_do_not_open_and_are_not_written_over(tmp_path):
    path = tmp_path / "adt.codes"
    with kept_codes(path, Seal(Keyring.generate())) as codes:
        codes.code("patient", ("GH", "7"))
    before = path.read_bytes()
    with (
        pytest.raises(Misuse, match="cannot read the codes"),
        kept_codes(path, Seal(Keyring.generate())),
    ):
        pass
    assert path.read_bytes() == before


def test_every_output_of_the_list_is_written(replayed, monkeypatch):
    monkeypatch.setenv("HEADRACE_ADT__DEIDENTIFY", "safe_harbor")
    assert main(["deidentify", "adt", "plain", "--out", "1"]) == 0
    listed = {field.partition(".")[0] for field in ALLOWED} & {output.name for output in OUTPUTS}
    names = {f"{name}.jsonl" for name in listed}
    assert lines(replayed / "1").keys() == names | {"counts.jsonl"}
