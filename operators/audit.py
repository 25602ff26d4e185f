"""A chain of audit entries: each holds the hash of the one before, so that tampering is evident.

An entry is a record of an output like any other::

    {"id": "trading|000000000002", "chain": "trading", "number": 2, "ts_ns": ...,
     "what": {...}, "previous": "<hash of entry 1>", "hash": "<hash of this entry>"}

The hash is SHA-256 over a name of its own (so that it is never taken for the hash of something
else) and the canonical JSON of the entry without its hash. Whoever changes an entry has to
change all that follow, and then the last hash, the *head*, is another: so a head that was
written down elsewhere proves all entries up to it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import orjson

from state.outputs import to_json

DOMAIN = b"headrace audit entry v1\n"
FIRST_PREVIOUS = "0" * 64
"""What the first entry of a chain has for the hash of the one before."""
FIELDS = frozenset(("id", "chain", "number", "ts_ns", "what", "previous", "hash"))


class Head(NamedTuple):
    """The last entry of a chain: its number (0 where there is none), its hash and time (ns)."""

    number: int = 0
    hash: str = FIRST_PREVIOUS
    ts_ns: int = 0


class AuditChain:
    """Makes the entries of one chain; its state is the head."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.head = Head()

    def append(self, ts_ns: int, what: dict[str, Any]) -> dict[str, Any]:
        """Return the next entry, for ``what`` happened: plain values that JSON can say.

        An entry's time never goes back, so that the order of time is that of the numbers:
        where ``ts_ns`` is before the last entry's, that one's is taken.
        """
        number = self.head.number + 1
        entry: dict[str, Any] = {
            "id": identity(self.name, number),
            "chain": self.name,
            "number": number,
            "ts_ns": max(ts_ns, self.head.ts_ns),
            "what": what,
            "previous": self.head.hash,
        }
        entry["hash"] = entry_hash(entry)
        self.head = Head(number, entry["hash"], entry["ts_ns"])
        return entry

    def resume(self, line: bytes) -> None:
        """Go on behind an entry, given as its line of a file; b"" is before the first.

        Raises ValueError where it is no whole entry of this chain.
        """
        if not line:
            self.head = Head()
            return
        try:
            entry = _parse(line)
        except _Wrong as wrong:
            raise ValueError(wrong.args[1]) from None
        if entry["chain"] != self.name or entry_hash(entry) != entry["hash"]:
            raise ValueError("it is of another chain, or was altered")
        self.head = Head(entry["number"], entry["hash"], entry["ts_ns"])

    def snapshot(self) -> dict[str, Any]:
        """Return the head as plain values."""
        return self.head._asdict()

    def restore(self, parts: dict[str, Any]) -> None:
        """Take over a snapshot's head."""
        self.head = Head(**parts)


def identity(chain: str, number: int) -> str:
    """Return an entry's id, which sorts as the numbers do: a file of records is in its order."""
    return f"{chain}|{number:012d}"


def entry_hash(entry: dict[str, Any]) -> str:
    """Return the hash (hexadecimal) of an entry, of which ``hash`` itself is no part."""
    content = {name: value for name, value in entry.items() if name != "hash"}
    return hashlib.sha256(DOMAIN + to_json(content)).hexdigest()


def record_hash(line: bytes) -> str:
    """Return the hash (hexadecimal) by which an entry names a record: of its canonical JSON."""
    return hashlib.sha256(line).hexdigest()


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong at a line (from 1); ``number`` is the entry's, 0 where it tells none."""

    line: int
    number: int
    reason: str


@dataclass(slots=True)
class Verifier:
    """Reads the lines of an audit file, which may hold several chains, up to the first fault."""

    heads: dict[str, Head] = field(default_factory=dict)
    """The last good entry of each chain."""
    entries: int = 0
    fault: Fault | None = None

    def read(self, lines: Iterable[bytes]) -> Iterator[dict[str, Any]]:
        """Yield the entries of a whole file's lines, each with its newline, while all is well.

        A fault that was found ends it and is in ``fault``.
        """
        for line, content in enumerate(lines, start=1):
            try:
                entry = _parse(content)
                self._follow(entry)
            except _Wrong as wrong:
                self.fault = Fault(line, *wrong.args)
                return
            self.entries += 1
            yield entry

    def _follow(self, entry: dict[str, Any]) -> None:
        """Check an entry against the one before it in its chain; raises _Wrong."""
        number, chain = entry["number"], entry["chain"]
        if entry_hash(entry) != entry["hash"]:
            raise _Wrong(number, "its content does not have its hash: it was altered")
        head = self.heads.get(chain, Head())
        due = head.number + 1
        if number > due:
            missing = f"{due}" if number == due + 1 else f"{due} to {number - 1}"
            raise _Wrong(number, f"{missing} of chain {chain} should come before: missing or moved")
        if number < due:
            raise _Wrong(number, f"{due} of chain {chain} should be here: repeated, or moved")
        if entry["previous"] != head.hash:
            raise _Wrong(number, "it does not follow the entry before it: one of them was replaced")
        if entry["id"] != identity(chain, number) or entry["ts_ns"] < head.ts_ns:
            raise _Wrong(number, "no chain of ours holds such an entry: its id or time is wrong")
        self.heads[chain] = Head(number, entry["hash"], entry["ts_ns"])


class _Wrong(Exception):
    """args: (number, reason)."""


def _parse(content: bytes) -> dict[str, Any]:
    """Return the entry of one line, which has to be exactly as it was written; raises _Wrong."""
    if not content.endswith(b"\n"):
        raise _Wrong(0, "the line does not end: the file was cut off")
    line = content[:-1]
    try:
        entry = orjson.loads(line)
    except orjson.JSONDecodeError:
        raise _Wrong(0, "the line is no JSON") from None
    if not isinstance(entry, dict) or entry.keys() != FIELDS:
        raise _Wrong(0, "the line is no audit entry: a field is missing or unknown")
    number = entry["number"] if type(entry["number"]) is int else 0
    kinds = {"id": str, "chain": str, "number": int, "ts_ns": int, "what": dict}
    if any(type(entry[name]) is not kind for name, kind in kinds.items()):
        raise _Wrong(number, "the line is no audit entry: a field is of another type")
    if to_json(entry) != line:
        raise _Wrong(number, "the line is not in canonical form: it was altered")
    return entry
