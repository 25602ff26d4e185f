"""FHIR R4 resources out of files into a recording of ``adt.raw``, as HL7 v2 messages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from connectors.adt.envelope import TOPIC, domain
from connectors.hl7.message import Message
from replay.adt.fhir_messages import (
    Known,
    Made,
    Resource,
    Unusable,
    doctor_of,
    of_conditions,
    of_encounter,
    of_observation,
    of_patient,
    person_of,
    place_of,
    visit_of,
)
from replay.keyed import KeyedWriter
from replay.sealed import Protection
from replay.writer import RecordingWriter
from state.clock import iso_time_ns
from state.errors import Misuse

TAKEN = ("Patient", "Encounter", "Condition", "Observation", "Location", "Practitioner")


class Imported(NamedTuple):
    """What an import wrote, and which types it left out how often."""

    records: int
    ignored: Counter[str]


class Found(NamedTuple):
    """A resource and where it is: ``place`` is a line, or the number of a Bundle's entry."""

    path: Path
    place: int
    url: str
    resource: Resource

    def fault(self, why: str) -> Misuse:
        """Return an error that tells where, and nothing of the patient."""
        kind = self.resource["resourceType"]
        return Misuse(f"{self.path}:{self.place}: {kind}: {why}")


def import_fhir(
    files: Iterable[Path],
    out: Path,
    partitions: int,
    protection: Protection,
    advance: Callable[[int], None] = lambda count: None,
) -> Imported:
    """Write the messages of all resources to ``out``, in the order in which they were recorded.

    The messages are held in memory. Nothing is written unless all can be used: raises Misuse, which
    names file, line and type.
    """
    found = [each for path in files for each in _found(path)]
    ignored = Counter(
        kind for each in found if (kind := each.resource["resourceType"]) not in TAKEN
    )
    known = _known(found)
    made = sorted(_made(found, known), key=lambda each: each.recorded)
    with RecordingWriter(out, {TOPIC: partitions}, protection) as writer:
        keyed = KeyedWriter(writer, TOPIC, partitions)
        for message in made:
            time_ns = iso_time_ns(message.recorded.isoformat())
            keyed.add(domain(Message(message.raw).header), time_ns, message.raw)
            advance(1)
        keyed.end()
    return Imported(keyed.count, ignored)


def _made(found: list[Found], known: Known) -> Iterator[Made]:
    makers = {"Patient": of_patient, "Encounter": of_encounter, "Observation": of_observation}
    by_visit: dict[str, list[Found]] = {}
    for each in found:
        kind = each.resource["resourceType"]
        if kind in makers:
            yield from _told(each, lambda: makers[kind](each.resource, known))  # noqa: B023 - used at once
        elif kind == "Condition" and not _is_wrong(each.resource):
            visit = each.resource.get("encounter", {}).get("reference", "")
            by_visit.setdefault(visit, []).append(each)
    for some in by_visit.values():
        yield from _told(some[0], lambda: of_conditions([e.resource for e in some], known))  # noqa: B023 - as above


def _told(at: Found, make: Callable[[], Iterator[Made]]) -> Iterator[Made]:
    try:
        yield from make()
    except Unusable as error:
        raise at.fault(str(error)) from None
    except (AttributeError, KeyError, TypeError):
        raise at.fault("it is not in the form of FHIR R4") from None


def _is_wrong(condition: Resource) -> bool:
    codings = condition.get("verificationStatus", {}).get("coding", ())
    return any(each.get("code") == "entered-in-error" for each in codings)


def _known(found: list[Found]) -> Known:
    known = Known({}, {}, {}, {})
    readers: dict[str, tuple[dict[str, Any], Callable[[Resource], Any]]] = {
        "Patient": (known.patients, person_of),
        "Encounter": (known.visits, visit_of),
        "Location": (known.places, place_of),
        "Practitioner": (known.doctors, doctor_of),
    }
    for each in found:
        kind = each.resource["resourceType"]
        if kind not in readers:
            continue
        held, read = readers[kind]
        try:
            told = read(each.resource)
        except Unusable as error:
            raise each.fault(str(error)) from None
        except (AttributeError, KeyError, TypeError):
            raise each.fault("it is not in the form of FHIR R4") from None
        held[f"{kind}/{each.resource['id']}"] = told
        if each.url:
            held[each.url] = told
    return known


def _found(path: Path) -> Iterator[Found]:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise Misuse(f"cannot read {path}: {error.strerror}") from None
    try:
        whole = orjson.loads(content)
    except orjson.JSONDecodeError:
        for place, line in enumerate(content.splitlines(), start=1):
            if line.strip():
                yield _one(path, place, "", _parsed(path, place, line))
        return
    if isinstance(whole, dict) and whole.get("resourceType") == "Bundle":
        for place, entry in enumerate(whole.get("entry") or (), start=1):
            resource = entry.get("resource") if isinstance(entry, dict) else None
            url = entry.get("fullUrl", "") if isinstance(entry, dict) else ""
            yield _one(path, place, url, resource)
    else:
        yield _one(path, 1, "", whole)


def _parsed(path: Path, place: int, line: bytes) -> Any:
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError:
        raise Misuse(f"{path}:{place}: it is no JSON") from None


def _one(path: Path, place: int, url: str, resource: Any) -> Found:
    if not isinstance(resource, dict) or not isinstance(resource.get("resourceType"), str):
        raise Misuse(f"{path}:{place}: it is no FHIR resource")
    if not resource["resourceType"].isalpha():
        raise Misuse(f"{path}:{place}: it is no FHIR resource")
    resource.setdefault("id", url.rpartition(":")[2] if url else str(place))
    return Found(path, place, url, resource)
