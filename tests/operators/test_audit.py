"""The chain of audit entries: what it is, and that no change of its file stays unseen."""

from __future__ import annotations

import hashlib
import io
import json
import pickle
from collections.abc import Iterable

import pytest

from operators.audit import AuditChain, Fault, Head, Verifier
from state.outputs import to_json

ZERO = "0" * 64


def lines_of(count: int, chain: str = "trading") -> list[bytes]:
    """Return the lines of a chain whose time does not always go on."""
    audit = AuditChain(chain)
    return [to_json(audit.append(1_000 + i // 2, {"n": i})) + b"\n" for i in range(count)]


def fault(lines: Iterable[bytes]) -> Fault | None:
    verifier = Verifier()
    for _ in verifier.read(lines):
        pass
    return verifier.fault


def cut(data: bytes) -> list[bytes]:
    """Return the lines of a file's bytes, as a file hands them out."""
    return io.BytesIO(data).readlines()


def test_an_entry_is_as_the_definition_says():
    audit = AuditChain("trading")
    first = audit.append(7, {"b": 1.5, "a": "ä"})
    second = audit.append(8, {})
    for entry, previous, number in ((first, ZERO, 1), (second, first["hash"], 2)):
        content = {
            "chain": "trading", "id": f"trading|{number:012d}", "number": number,
            "previous": previous, "ts_ns": 6 + number, "what": entry["what"],
        }  # fmt: skip
        text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        expected = hashlib.sha256(b"headrace audit entry v1\n" + text.encode()).hexdigest()
        assert entry == content | {"hash": expected}


def test_time_never_goes_back_so_files_are_in_the_order_of_the_numbers():
    audit = AuditChain("a")
    entries = [audit.append(ts_ns, {}) for ts_ns in (5, 3, 9, *[9] * 12, 8)]
    assert [entry["ts_ns"] for entry in entries] == [5, 5, *[9] * 14]
    assert sorted(entries, key=lambda e: (e["ts_ns"], e["id"])) == entries


def test_a_restored_chain_goes_on_as_if_nothing_had_been():
    whole, before = AuditChain("a"), AuditChain("a")
    expected = [whole.append(i, {"n": i}) for i in range(6)]
    found = [before.append(i, {"n": i}) for i in range(3)]
    after = AuditChain("a")
    after.restore(pickle.loads(pickle.dumps(before.snapshot())))
    assert found + [after.append(i, {"n": i}) for i in range(3, 6)] == expected


def test_a_good_file_is_read_to_its_end():
    verifier = Verifier()
    one, two = lines_of(3, "one"), lines_of(2, "two")
    read = list(verifier.read([one[0], two[0], one[1], two[1], one[2]]))
    assert verifier.fault is None
    assert verifier.entries == len(read) == 5
    assert verifier.heads["two"] == Head(2, read[3]["hash"], 1_000)
    assert fault([]) is None


def test_every_changed_byte_is_found_at_its_line():
    data = b"".join(lines_of(4))
    found = 0
    for at in range(len(data)):
        line = data[:at].count(b"\n") + 1
        values = {data[at] ^ 1, data[at] ^ 0x20, data[at] ^ 0x80, 0, 0x0A, 0x20, 0x30, 0xFF}
        for value in values - {data[at]}:
            changed = fault(cut(data[:at] + bytes([value]) + data[at + 1 :]))
            assert changed is not None, (at, value)
            assert changed.line == line
            found += 1
    assert found > 6 * len(data)


def test_every_inserted_or_removed_byte_is_found():
    data = b"".join(lines_of(3))
    for at in range(len(data) + 1):
        for byte in (b" ", b"\n", b"0", b"\x00"):
            assert fault(cut(data[:at] + byte + data[at:])) is not None, (at, byte)
    for at in range(len(data)):
        assert fault(cut(data[:at] + data[at + 1 :])) is not None, at


@pytest.mark.parametrize("at", range(5))
def test_a_missing_line_is_found_unless_it_is_the_last(at):
    lines = lines_of(5)
    found = fault(lines[:at] + lines[at + 1 :])
    if at == 4:
        assert found is None  # only a head that is known from elsewhere can tell
    else:
        assert found is not None
        assert (found.line, found.number) == (at + 1, at + 2)
        assert "missing" in found.reason


@pytest.mark.parametrize("at", range(4))
def test_two_lines_that_change_places_are_found(at):
    lines = lines_of(5)
    lines[at : at + 2] = reversed(lines[at : at + 2])
    found = fault(lines)
    assert found is not None
    assert (found.line, found.number) == (at + 1, at + 2)


@pytest.mark.parametrize("at", range(5))
def test_a_line_that_comes_twice_is_found_wherever_it_comes_again(at):
    lines = lines_of(5)
    for place in range(at + 1, 6):
        found = fault([*lines[:place], lines[at], *lines[place:]])
        assert found is not None
        assert (found.line, found.number) == (place + 1, at + 1)


def test_a_replaced_entry_with_a_true_hash_is_found_behind_it():
    lines = lines_of(4)
    forger = AuditChain("trading")
    forged = [to_json(forger.append(1_000, {"n": n})) + b"\n" for n in (0, 99)]
    found = fault([lines[0], forged[1], *lines[2:]])
    assert found is not None
    assert (found.line, found.number) == (3, 3)
    assert "replaced" in found.reason


def test_an_inserted_entry_with_a_true_hash_is_found_behind_it():
    lines = lines_of(3)
    forger = AuditChain("trading")
    forger.restore({"number": 2, "hash": json.loads(lines[1])["hash"], "ts_ns": 1_000})
    forged = to_json(forger.append(1_000, {"n": 77})) + b"\n"
    found = fault([*lines[:2], forged, lines[2]])
    assert found is not None
    assert (found.line, found.number) == (4, 3)


@pytest.mark.parametrize(
    "line",
    [
        b"", b"\n", b"[]\n", b"{}\n", b"null\n", b'{"id":"x"}\n', b"\xff\xfe\n",
        to_json(dict.fromkeys(("id", "chain", "number", "ts_ns", "what", "previous", "hash"), True))
        + b"\n",
    ],
)  # fmt: skip
def test_what_is_no_entry_is_a_fault_of_the_first_line(line):
    found = fault([line])
    assert found is not None
    assert (found.line, found.number) == (1, 0)


def test_a_forged_time_or_id_is_found_although_the_hash_is_true():
    for change in ({"ts_ns": 1}, {"id": "trading|2"}):
        audit = AuditChain("trading")
        first = audit.append(1_000, {})
        entry = audit.append(1_000, {}) | change
        content = {name: value for name, value in entry.items() if name != "hash"}
        digest = hashlib.sha256(b"headrace audit entry v1\n" + to_json(content)).hexdigest()
        lines = [to_json(first) + b"\n", to_json(entry | {"hash": digest}) + b"\n"]
        found = fault(lines)
        assert found is not None
        assert found.line == 2
