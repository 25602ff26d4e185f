"""FHIR R4 resources as HL7 v2 messages, from which the flow makes its tables again.

Patient becomes A28, and A40 for each number that it replaces; Encounter A05, A01 or A04, a transfer
for each further place, A21, A03, or what cancels it; the Conditions of a visit one A08; Observation
an ORU^R01. What is recorded is `meta.lastUpdated`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any, NamedTuple
from urllib.parse import unquote

Resource = dict[str, Any]
CLASSES = {"IMP": "I", "EMER": "E", "AMB": "O", "PRENC": "P", "UNK": ""}
"""v3-ActCode -> table 0004; codes of table 0004 stay."""
GENDERS = {"female": "F", "male": "M", "other": "O", "unknown": "U"}
SYSTEMS = {
    "http://hl7.org/fhir/sid/icd-10-cm": "I10C",
    "http://hl7.org/fhir/sid/icd-10": "I10",
    "http://hl7.org/fhir/sid/icd-9-cm": "I9C",
    "http://snomed.info/sct": "SCT",
    "http://loinc.org": "LN",
}
"""The system's address -> table 0396."""
VERIFIED = {"confirmed": "F", "provisional": "W", "differential": "W"}
"""condition-ver-status -> DG1-6."""
STATUSES = {
    "final": "F", "preliminary": "P", "corrected": "C", "amended": "C", "registered": "I",
    "entered-in-error": "W", "cancelled": "X",
}  # fmt: skip
"""observation-status -> OBX-11."""
TRANSFERS = {"I": "A06"}
"""The class that a visit changes to -> the trigger; for any other it is A07."""
CANCELS = {"cancelled": "A11", "entered-in-error": "A23"}
URI = "urn:ietf:rfc:3986"
AUTHORITY, PLACES, CODES = "urn:headrace:authority:", "urn:headrace:places:", "urn:headrace:codes:"
UNKNOWN = "unknown"
_SENT = re.compile(r"As sent: (<=|>=|<|>)?(\S*) ?(.*)")
_ESCAPES = str.maketrans(
    {"\\": "\\E\\", "|": "\\F\\", "^": "\\S\\", "&": "\\T\\", "~": "\\R\\", "\r": " ", "\n": " "}
)


class Unusable(Exception):
    """A resource that cannot become a message; args: (why,), without a value of it."""


class Person(NamedTuple):
    """A patient's number and whose it is, which is the facility of the messages."""

    number: str
    authority: str

    @property
    def text(self) -> str:
        """PID-3."""
        return f"{escaped(self.number)}^^^{escaped(self.authority)}^MR"


class Known(NamedTuple):
    """What resources refer to, by ``Type/id``; visits are (patient's reference, PV1-19, class)."""

    patients: dict[str, Person]
    visits: dict[str, tuple[str, str, str]]
    places: dict[str, str]
    doctors: dict[str, str]


class Made(NamedTuple):
    """A message: its merge domain, when it was recorded (ns since 1970 UTC), and its bytes."""

    facility: str
    recorded: datetime
    raw: bytes


def escaped(text: str) -> str:
    """Return a text as a field holds it."""
    return text.translate(_ESCAPES)


def person_of(resource: Resource) -> Person:
    """Return a patient's number: the first that is more than an address. Raises Unusable."""
    value, authority = _number(resource)
    return Person(value, authority or UNKNOWN)


def visit_of(resource: Resource) -> tuple[str, str, str]:
    """Return whose a visit is, its number and its class. Raises Unusable."""
    value, authority = _number(resource)
    number = f"{escaped(value)}^^^{escaped(authority)}^VN"
    return _reference(resource, "subject"), number, _class(resource.get("class"))


def place_of(resource: Resource) -> str:
    """Return PL.1 to PL.3 of a Location: as we told it, else its name as a ward."""
    for each in resource.get("identifier", ()):
        if each.get("system", "").startswith(PLACES):
            parts = str(each["value"]).split("^")
            told = (part.replace("\\S\\", "^").replace("\\F\\", "|") for part in parts)
            return "^".join(map(escaped, told))
    return escaped(resource.get("name") or resource["id"])


def doctor_of(resource: Resource) -> str:
    """Return PV1-7 of a Practitioner."""
    name = _first(resource, "name")
    numbers = [e["value"] for e in resource.get("identifier", ()) if e.get("system") != URI]
    parts = [*numbers[:1], *([""] if not numbers else []), name.get("family", "")]
    return "^".join(map(escaped, [*parts, " ".join(name.get("given", ()))])).rstrip("^")


def of_patient(resource: Resource, known: Known) -> Iterator[Made]:
    """Yield who a patient is, and whose numbers became theirs."""
    person = person_of(resource)
    links = resource.get("link", ())
    if any(each.get("type") == "replaced-by" for each in links):
        return  # the survivor tells it
    recorded = _recorded(resource)
    pid = _pid(resource, person)
    if resource.get("active", True):
        yield _adt("A28", person, recorded, recorded, pid)
    for each in links:
        if each.get("type") == "replaces":
            prior = _known(known.patients, _reference(each, "other"), "patient")
            yield _adt("A40", person, recorded, recorded, pid, f"MRG|{prior.text}")


def of_encounter(resource: Resource, known: Known) -> Iterator[Made]:
    """Yield how a visit went."""
    who, number, last_class = visit_of(resource)
    person, status = _known(known.patients, who, "patient"), resource.get("status")
    recorded, period = _recorded(resource), resource.get("period", {})
    begun, over = _time(period.get("start")), _time(period.get("end"))
    stays = _stays(resource, known, begun, last_class)
    pv1 = _Pv1(resource, known, number, begun, over)
    pid = f"PID|1||{person.text}"

    def told(trigger: str, when: datetime, patient_class: str, place: str, prior: str = "") -> Made:
        return _adt(trigger, person, recorded, when, pid, pv1.text(patient_class, place, prior))

    first_class, place = (stays[0].patient_class, stays[0].place) if stays else (last_class, "")
    start = begun or (stays[0].start if stays else None) or over or recorded
    if status == "planned":
        yield told("A05", start, last_class, place)
        return
    yield told("A04" if first_class in ("E", "O") else "A01", start, first_class, place)
    for before, stay in pairwise(stays):
        trigger = "A02"
        if stay.patient_class != before.patient_class:
            trigger = TRANSFERS.get(stay.patient_class, "A07")
        yield told(trigger, stay.start, stay.patient_class, stay.place, before.place)
    end_class, end_place = (stays[-1].patient_class, stays[-1].place) if stays else (last_class, "")
    if status == "onleave":
        yield told("A21", recorded, end_class, end_place)
    if status == "finished" or (over and status in CANCELS):
        yield told("A03", over or recorded, end_class, end_place)
    if status in CANCELS:
        yield told(CANCELS[status], start, end_class, end_place)


def of_conditions(resources: list[Resource], known: Known) -> Iterator[Made]:
    """Yield the diagnoses of one visit."""
    reference = _reference(resources[0], "encounter")
    who, number, patient_class = _known(known.visits, reference, "visit")
    person = _known(known.patients, who, "patient")
    recorded = max(map(_recorded, resources))
    pid, pv1 = f"PID|1||{person.text}", f"PV1|1|{patient_class}{'|' * 17}{number}"
    lines = [_dg1(place, each) for place, each in enumerate(resources, start=1)]
    yield _adt("A08", person, recorded, recorded, pid, pv1, *lines)


def of_observation(resource: Resource, known: Known) -> Iterator[Made]:
    """Yield a result."""
    person = _known(known.patients, _reference(resource, "subject"), "patient")
    recorded = _recorded(resource)
    when = _time(resource.get("effectiveDateTime")) or recorded
    lines = [f"PID|1||{person.text}"]
    if "encounter" in resource:
        _, number, patient_class = _known(known.visits, _reference(resource, "encounter"), "visit")
        lines.append(f"PV1|1|{patient_class}{'|' * 17}{number}")
    filler = next(
        (e["value"] for e in resource.get("identifier", ()) if e.get("system") != URI),
        resource["id"],
    )
    lines.append(f"OBR|1||{escaped(filler)}|{_coded(resource)}|||{stamp(when)}")
    kind, value, unit = _value(resource)
    status = STATUSES.get(resource.get("status", ""), "")
    lines.append(f"OBX|1|{kind}|{_coded(resource)}||{value}|{unit}|||||{status}|||{stamp(when)}")
    head = _head("ORU^R01^ORU_R01", person.authority, recorded)
    yield Made(person.authority, recorded, "\r".join([head, *lines, ""]).encode())


def stamp(when: datetime) -> str:
    """Return a time as HL7 writes it."""
    return f"{when:%Y%m%d%H%M%S.%f}"[:-2] + "+0000"


class _Stay(NamedTuple):
    place: str
    patient_class: str
    start: datetime


def _stays(
    resource: Resource, known: Known, begun: datetime | None, last_class: str
) -> list[_Stay]:
    """Return the places of a visit in order, each with the class that the visit had then."""
    classes = [
        (_time(each.get("period", {}).get("start")), _class(each.get("class")))
        for each in resource.get("classHistory", ())
    ]
    found = []
    for each in resource.get("location", ()):
        place = _known(known.places, _reference(each, "location"), "place")
        start = _time(each.get("period", {}).get("start")) or begun
        if start is None:
            continue
        then = [name for since, name in classes if since is not None and since <= start]
        found.append(_Stay(place, then[-1] if then else last_class, start))
    return sorted(found, key=lambda stay: stay.start)


class _Pv1:
    """Makes the PV1 segments of a visit."""

    def __init__(
        self,
        resource: Resource,
        known: Known,
        number: str,
        begun: datetime | None,
        over: datetime | None,
    ) -> None:
        hospital = resource.get("hospitalization", {})
        courtesy = _first(hospital, "specialCourtesy")
        kind = _first(resource, "type")
        people = [
            each["individual"] for each in resource.get("participant", ()) if "individual" in each
        ]
        doctor = known.doctors.get(people[0].get("reference", ""), "") if people else ""
        self._fields = {
            4: _code(kind), 7: doctor, 10: _code(resource.get("serviceType", {})),
            14: _code(hospital.get("admitSource", {})), 16: _code(courtesy), 19: number,
            36: _disposition(hospital.get("dischargeDisposition", {})),
            44: stamp(begun) if begun else "", 45: stamp(over) if over else "",
        }  # fmt: skip

    def text(self, patient_class: str, place: str, prior: str) -> str:
        fields = {**self._fields, 1: "1", 2: patient_class, 3: place, 6: prior}
        told = [fields.get(at, "") for at in range(1, 46)]
        return "|".join(["PV1", *told]).rstrip("|")


def _pid(resource: Resource, person: Person) -> str:
    name = _first(resource, "name")
    address = _first(resource, "address")
    phones = [
        each["value"] for each in resource.get("telecom", ()) if each.get("system") == "phone"
    ]
    died = _time(resource.get("deceasedDateTime"))
    dead = {True: "Y", False: "N", None: "Y" if died else ""}[resource.get("deceasedBoolean")]
    parts = ("city", "state", "postalCode", "country")
    told = [escaped(address.get(part, "")) for part in parts]
    line = escaped(" ".join(address.get("line", ())))
    given = escaped(" ".join(name.get("given", ())))
    fields = {
        1: "1", 3: person.text, 5: f"{escaped(name.get('family', ''))}^{given}".rstrip("^"),
        7: resource.get("birthDate", "").replace("-", ""),
        8: GENDERS.get(resource.get("gender", ""), ""),
        11: "^".join([line, "", *told]).rstrip("^"), 13: escaped(next(iter(phones), "")),
        29: stamp(died) if died else "", 30: dead,
    }  # fmt: skip
    return "|".join(["PID", *(fields.get(at, "") for at in range(1, 31))]).rstrip("|")


def _dg1(place: int, resource: Resource) -> str:
    made = _time(resource.get("recordedDate"))
    status = _code(resource.get("verificationStatus", {}))
    when = stamp(made) if made else ""
    return f"DG1|{place}||{_coded(resource)}||{when}|{VERIFIED.get(status, '')}".rstrip("|")


def _value(resource: Resource) -> tuple[str, str, str]:
    """Return OBX-2, -5 and -6; as they were sent, where a note of ours tells."""
    if "valueString" in resource:
        return "ST", escaped(resource["valueString"]), ""
    quantity = resource.get("valueQuantity")
    if quantity is None:
        concept = resource.get("valueCodeableConcept", {})
        return "ST", escaped(concept.get("text") or _code(concept)), ""
    for note in resource.get("note", ()):
        if sent := _SENT.fullmatch(note.get("text", "")):
            return "NM", f"{sent[1] or ''}{escaped(sent[2])}", escaped(sent[3])
    value = f"{quantity.get('comparator', '')}{quantity.get('value', '')}"
    return "NM", value, escaped(quantity.get("code") or quantity.get("unit") or "")


def _coded(resource: Resource) -> str:
    concept = resource.get("code", {})
    coding = _first(concept, "coding")
    address, code = str(coding.get("system", "")), coding.get("code", "")
    text = concept.get("text") or coding.get("display") or ""
    if address.startswith(CODES):
        system = unquote(address.rpartition(":")[2])
        system = "" if system == "local" else system
    else:
        system = SYSTEMS.get(address, address)
    if not code and not text:
        raise Unusable("it has no code")
    return "^".join(map(escaped, (code or text, text, system))).rstrip("^")


def _class(coding: Resource | None) -> str:
    code = "" if coding is None else str(coding.get("code", ""))
    return CLASSES.get(code, code)


def _code(concept: Resource) -> str:
    return escaped(str(_first(concept, "coding").get("code", "")))


def _first(resource: Resource, name: str) -> Resource:
    """Return the first of a list of objects, {} where there is none."""
    found: Resource = next(iter(resource.get(name, ())), {})
    return found


def _disposition(concept: Resource) -> str:
    """Return PV1-36: the code as it was sent stands last."""
    codings = concept.get("coding", ())
    return escaped(codings[-1].get("code", "")) if codings else ""


def _adt(trigger: str, person: Person, recorded: datetime, when: datetime, *segments: str) -> Made:
    head = _head(f"ADT^{trigger}", person.authority, recorded)
    evn = f"EVN|{trigger}|{stamp(recorded)}||||{stamp(when)}"
    return Made(person.authority, recorded, "\r".join([head, evn, *segments, ""]).encode())


def _head(kind: str, facility: str, recorded: datetime) -> str:
    who = f"FHIR|{escaped(facility)}|HEADRACE|{escaped(facility)}"
    return rf"MSH|^~\&|{who}|{stamp(recorded)}||{kind}|1|P|2.5.1||||||UNICODE UTF-8"


def _number(resource: Resource) -> tuple[str, str]:
    """Return value and authority of the first identifier with a value that is no address."""
    for each in resource.get("identifier", ()):
        system = each.get("system", "")
        if not each.get("value") or system == URI:
            continue
        if system.startswith(AUTHORITY):
            return each["value"], unquote(system.removeprefix(AUTHORITY))
        if system.startswith("urn:headrace:domain:"):
            return each["value"], ""
        return each["value"], system.removeprefix("urn:oid:")
    raise Unusable("it has no identifier with a value")


def _recorded(resource: Resource) -> datetime:
    """Return when a resource was told: by lastUpdated, else by what it is about."""
    told = resource.get("meta", {}).get("lastUpdated")
    period = resource.get("period", {})
    others = ("issued", "effectiveDateTime", "recordedDate")
    for text in (
        told,
        *(resource.get(name) for name in others),
        *map(period.get, ("end", "start")),
    ):
        if found := _time(text):
            return found
    raise Unusable("it has no meta.lastUpdated")


def _time(text: str | None) -> datetime | None:
    if not text:
        return None
    try:
        found = datetime.fromisoformat(text if len(text) != 7 else f"{text}-01")
    except ValueError:
        raise Unusable("it has a time that is none") from None
    return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)


def _reference(resource: Resource, name: str) -> str:
    found = resource.get(name, {}).get("reference", "")
    if not found:
        raise Unusable(f"it has no {name}")
    return str(found)


def _known(held: dict[str, Any], reference: str, what: str) -> Any:
    try:
        return held[reference]
    except KeyError:
        raise Unusable(f"the {what} that it refers to is in none of the files") from None
