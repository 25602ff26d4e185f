"""The text of a simulated hospital's messages: HL7 2.5.1, by templates."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import NamedTuple

from replay.adt.people import CONDITIONS, Person, moment
from replay.adt.plan import Visit

FACILITY = "HEADRACE"
"""MSH-4, so the merge domain and the authority of all numbers."""
STRUCTURES = {
    "A01": "A01", "A02": "A02", "A03": "A03", "A04": "A01", "A05": "A05", "A06": "A06",
    "A08": "A01", "A11": "A09", "A12": "A12", "A13": "A01", "A17": "A17", "A20": "A20",
    "A21": "A21", "A22": "A21", "A38": "A38", "A40": "A39", "A45": "A45",
}  # fmt: skip
"""The triggers of ADT that a hospital sends, and the structure of each."""
RESULTS = "R01"
WITH_DIAGNOSES = ("A01", "A03", "A06")
DOCTORS = ("4711^GREVEN^OLA", "4712^HOLTMARK^PER", "4713^LINDSTED^UNA", "4714^MARBACK^IVO")


class Code(NamedTuple):
    """A LOINC code, what it is called, and its unit in UCUM."""

    code: str
    name: str
    unit: str


VITALS = {
    "respiration": Code("9279-1", "Respiratory rate", "/min"),
    "oxygen": Code("59408-5", "Oxygen saturation", "%"),
    "flow": Code("3151-8", "Inhaled oxygen flow rate", "L/min"),
    "systolic": Code("8480-6", "Systolic blood pressure", "mm[Hg]"),
    "pulse": Code("8867-4", "Heart rate", "/min"),
    "temperature": Code("8310-5", "Body temperature", "Cel"),
    "consciousness": Code("80288-4", "Level of consciousness", ""),
}
LABS = {
    "haemoglobin": Code("718-7", "Hemoglobin", "g/dL"),
    "sodium": Code("2951-2", "Sodium", "mmol/L"),
    "leukocytes": Code("6690-2", "Leukocytes", "10*3/uL"),
}


@lru_cache(maxsize=4096)  # a message has the same time in many fields
def stamp(time_s: int) -> str:
    """Return a time as HL7 writes it, to the second. It is UTC, as MSH-7 says."""
    return f"{moment(time_s):%Y%m%d%H%M%S}"


def header(trigger: str, sent_s: int, control: int) -> str:
    """Return the MSH segment, which is the envelope."""
    kind = (
        f"ADT^{trigger}^ADT_{STRUCTURES[trigger]}" if trigger in STRUCTURES else "ORU^R01^ORU_R01"
    )
    times = f"{stamp(sent_s)}+0000||{kind}|S{control:09d}"
    return f"MSH|^~\\&|SIM|{FACILITY}|FLOW|{FACILITY}|{times}|P|2.5.1||||||UNICODE UTF-8"


def evn(trigger: str, recorded_s: int, clinical_s: int) -> str:
    """Return the EVN segment: when it was recorded, and when it happened."""
    return f"EVN|{trigger}|{stamp(recorded_s)}||||{stamp(clinical_s)}"


def pid(person: Person) -> str:
    """Return the PID segment of a person."""
    mother = "" if person.mother is None else patient_number(person.mother)
    died = "" if person.died_s is None else f"{stamp(person.died_s)}|Y"
    who = f"{person.family}^{person.given}||{person.born:%Y%m%d}|{person.sex}"
    behind = f"{'|' * 10}{mother}{'|' * 8}{died}"
    return f"PID|1||{patient_number(person)}||{who}|||{person.address}{behind}".rstrip("|")


def pv1(visit: Visit, prior: str = "") -> str:
    """Return the PV1 segment of a visit as it stands; ``prior`` is the bed before."""
    admitted, discharged = _stamp(visit.admitted_s), _stamp(visit.discharged_s)
    where = f"{visit.patient_class}|{visit.location}|{visit.admission_type}||{prior}"
    doctor = DOCTORS[int(visit.number[1:]) % len(DOCTORS)]
    behind = f"{'|' * 17}{visit.disposition}{'|' * 8}{admitted}|{discharged}"
    return f"PV1|1|{where}|{doctor}{'|' * 12}{visit_number(visit)}{behind}".rstrip("|")


def pv2(expected_s: int) -> str:
    """Return the PV2 segment of a planned visit: when it is expected."""
    return f"PV2{'|' * 8}{stamp(expected_s)}"


def mrg(prior: Person, visit: Visit | None = None) -> str:
    """Return the MRG segment: the number before, and the visit that leaves it."""
    moved = "" if visit is None else f"||||{visit_number(visit)}"
    return f"MRG|{patient_number(prior)}{moved}"


def npu(location: str, status: str) -> str:
    """Return the NPU segment: a bed's status by table 0116."""
    return f"NPU|{location}|{status}"


def diagnoses(person: Person) -> list[str]:
    """Return a DG1 segment for each condition."""
    return [
        f"DG1|{place}||{code}^{CONDITIONS[code][0]}^I10|||W"
        for place, code in enumerate(person.conditions, start=1)
    ]


def results(
    codes: Mapping[str, Code], values: Mapping[str, float | str], time_s: int
) -> Iterable[str]:
    """Yield the OBR and OBX segments of measured values."""
    panel = "VITALS^Vital signs^L" if codes is VITALS else "BLOOD^Blood tests^L"
    yield f"OBR|1|||{panel}|||{stamp(time_s)}{'|' * 18}F"
    for place, (name, value) in enumerate(values.items(), start=1):
        code = codes[name]
        kind = "ST" if isinstance(value, str) else "NM"
        what = f"{code.code}^{code.name}^LN||{value}|{code.unit}"
        yield f"OBX|{place}|{kind}|{what}|||||F|||{stamp(time_s)}"


def patient_number(person: Person) -> str:
    """Return PID-3."""
    return f"{person.number}^^^{FACILITY}^MR"


def visit_number(visit: Visit) -> str:
    """Return PV1-19."""
    return f"{visit.number}^^^{FACILITY}^VN"


def _stamp(time_s: int | None) -> str:
    return "" if time_s is None else stamp(time_s)
