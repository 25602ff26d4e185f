"""Who has read which secret output: each read is audited before it is answered.

An entry is an AuditEvent of FHIR R4 in the shape of IHE's Basic Audit Log Patterns. Of patients it
holds keyed hashes alone, and the reason of a break-glass read sealed, for people write names there.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from functools import partial
from types import MappingProxyType
from typing import Any, NamedTuple

from connectors.web.channels import Filters, Source, text
from connectors.web.trail import LOG, Trail
from state.clock import iso_time
from state.metrics import FEED_AUDITED, FEED_BREAK_GLASS
from state.sealing import Seal

CHAIN = "reads"
PURPOSE = "feed.audit"
"""Of the hashes of persons and filters, and of sealed reasons."""
MAX_NAMED = 100
"""Persons, or values of a filter, that an entry names; of more it tells how many."""
TIMEOUT_S = 10.0
"""How long a read waits for its entry."""
DONE, REFUSED = "0", "4"
"""Outcomes of an AuditEvent: success, minor failure."""
UNWRITTEN = "unwritten"
_DCM = "http://dicom.nema.org/resources/ontology/DCM"
_V3 = "http://terminology.hl7.org/CodeSystem"


class Read(NamedTuple):
    """A read of a secret output, or one that was refused.

    ``action`` is such as latest or subscribe; ``what`` the output, or the dead letter's
    coordinates. ``records`` is None where none was read. ``about`` are hashes of whom the records
    are about, () for more than `MAX_NAMED`. ``reason`` is that of a break-glass read, ``refused``
    why it was not answered.
    """

    subject: str
    address: str
    action: str
    what: str
    query: Filters = MappingProxyType({})
    records: int | None = None
    about: tuple[str, ...] = ()
    reason: str = ""
    refused: str = ""


class Reads:
    """Writes the entries. Threads may share it."""

    def __init__(self, trail: Trail, seal: Seal | None) -> None:
        """``seal`` makes the hashes; without it an entry has none, and only envelopes are read."""
        self._trail = trail
        self._seal = seal
        self._told = 0
        for outcome in ("given", "ended", "refused", UNWRITTEN):
            FEED_AUDITED.labels(outcome)  # from 0 on, so that an alert sees the first

    def add(self, read: Read) -> Future[None]:
        """Audit a read; the future is done once that is on the disk, or fails with Unaudited."""
        now_ns = time.time_ns()
        done = self._trail.add(now_ns, self._event(read, now_ns))
        done.add_done_callback(partial(_count, read))
        return done

    def about(self, source: Source, records: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
        """Return whom records of a secret output are about, hashed; () for more than `MAX_NAMED`.

        Of sealed records, and where no person is named, their keys in envelopes stand for it.
        """
        found = set()
        for record in records:
            if name := self._about(source, record):
                found.add(name)
            if len(found) > MAX_NAMED:
                return ()
        return tuple(sorted(found))

    def persons(self, numbers: Iterable[str]) -> tuple[str, ...]:
        """Return what stands for patients' numbers."""
        return tuple(sorted(filter(None, map(self._hash, numbers))))

    def tell(self) -> None:
        """Log the last entry where it is new: kept elsewhere, it proves all entries before it."""
        head = self._trail.head
        if head.number != self._told:
            self._told = head.number
            LOG.info("audit of reads: entry %d has the hash %s", head.number, head.hash)

    def open(self) -> None:
        """Open the file. Raises Misuse and OSError."""
        self._trail.open()

    def close(self) -> None:
        """Write what waits."""
        self._trail.close()
        self.tell()

    def _about(self, source: Source, record: Mapping[str, Any]) -> str:
        privacy = source.output.privacy
        if source.output.secret:
            return str(record["key"])
        if privacy is not None:
            person = record.get(privacy.person)
            return "" if person is None else self._hash(text(person))
        if self._seal is None or not source.key:
            return ""
        return self._seal.key(source.output, source.table_key(record))

    def _hash(self, value: str) -> str:
        return hashed(self._seal, value) if self._seal else ""

    def _query(self, query: Filters) -> str:
        told = []
        for name, values in query.items():
            named = [self._hash(value) for value in sorted(values)[:MAX_NAMED]]
            told.append(f"{name}={','.join(named)}")
        return "&".join(told)

    def _event(self, read: Read, now_ns: int) -> dict[str, Any]:
        """Return the AuditEvent (FHIR R4, 6.4; IHE BALP 1.1, "Query" and "Read")."""
        about = [
            {
                "type": _coding(f"{_V3}/audit-entity-type", "1", "Person"),
                "role": _coding(f"{_V3}/object-role", "1", "Patient"),
                "what": {"identifier": {"value": each}},
            }
            for each in read.about
        ]
        event = {
            "resourceType": "AuditEvent",
            "type": _coding(_DCM, "110112", "Query"),
            "subtype": [{"system": "urn:headrace:read", "code": read.action}],
            "action": "R" if read.action == "dead" else "E",
            "recorded": iso_time(now_ns),
            "outcome": REFUSED if read.refused else DONE,
            "agent": [
                {
                    "type": {
                        "coding": [_coding(f"{_V3}/v3-ParticipationType", "IRCP", "recipient")]
                    },
                    "who": {"identifier": {"value": read.subject}},
                    "requestor": True,
                    "network": {"address": read.address, "type": "2"},
                }
            ],
            "source": {"observer": {"display": "headrace feed"}},
            "entity": [self._asked(read), *about],
        }
        if read.refused:
            event["outcomeDesc"] = read.refused
        if read.reason and self._seal is not None:
            glass = _coding(f"{_V3}/v3-ActReason", "BTG", "break the glass")
            event["purposeOfEvent"] = [
                {"coding": [glass], "text": _sealed(self._seal, read.reason)}
            ]
        return event

    def _asked(self, read: Read) -> dict[str, Any]:
        query = base64.b64encode(self._query(read.query).encode()).decode()
        asked = {
            "type": _coding(f"{_V3}/audit-entity-type", "2", "System Object"),
            "role": _coding(f"{_V3}/object-role", "24", "Query"),
            "what": {"identifier": {"value": read.what}},
        }
        if read.records is not None:
            asked["detail"] = [{"type": "records", "valueString": str(read.records)}]
        return asked | ({"query": query} if query else {})


def _count(read: Read, done: Future[None]) -> None:
    outcome = "refused" if read.refused else "ended" if read.records is None else "given"
    FEED_AUDITED.labels(UNWRITTEN if done.exception() else outcome).inc()
    if read.reason and outcome == "given" and not done.exception():
        FEED_BREAK_GLASS.labels(read.what).inc()


def hashed(seal: Seal, value: str) -> str:
    """Return what stands for a person's number, or for a filter's value, in the audit."""
    return seal.fingerprint(PURPOSE, value.encode()).hex()


def _sealed(seal: Seal, reason: str) -> str:
    return base64.b64encode(seal.close(reason.encode(), PURPOSE)).decode()


def _coding(system: str, code: str, display: str) -> dict[str, str]:
    return {"system": system, "code": code, "display": display}
