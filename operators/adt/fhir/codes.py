"""The tables of codes between HL7 v2 and FHIR R4.

Source: the official v2-to-FHIR maps; docs/fhir.md tells where we differ, and why.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import quote

TERMINOLOGY = "http://terminology.hl7.org/CodeSystem/"
UCUM = "http://unitsofmeasure.org"
UNKNOWN_CLASS = {"system": f"{TERMINOLOGY}v3-NullFlavor", "code": "UNK", "display": "unknown"}
RESTRICTED = {"system": f"{TERMINOLOGY}v3-Confidentiality", "code": "R", "display": "restricted"}

CLASSES = {
    "E": ("EMER", "emergency"),
    "I": ("IMP", "inpatient encounter"),
    "O": ("AMB", "ambulatory"),
    "P": ("PRENC", "pre-admission"),
}
"""Table 0004 -> v3-ActCode; the other classes stay what they are."""
SERVICES = {"MED": ("382", "Medical Services"), "URO": ("222", "Urology")}
"""Table 0069 -> service-type; the others stay."""
GENDERS = {"F": "female", "M": "male", "O": "other", "U": "unknown", "A": "other", "N": "other"}
"""Table 0001; others say nothing that we know."""
DISPOSITIONS = {
    "01": "home", "02": "other-hcf", "03": "snf", "04": "long", "05": "other-hcf", "06": "home",
    "07": "aadvice", "20": "exp", "21": "oth", "40": "exp", "41": "exp", "42": "exp",
    "43": "other-hcf", "50": "hosp", "51": "hosp", "61": "snf", "62": "rehab", "63": "long",
    "64": "long", "65": "psy", "66": "other-hcf", "69": "other-hcf", "70": "oth",
}  # fmt: skip
"""UB-04's patient discharge status -> discharge-disposition; the official map is empty."""
DISPOSITION_NAMES = {
    "home": "Home", "other-hcf": "Other healthcare facility", "hosp": "Hospice",
    "long": "Long-term care", "aadvice": "Left against advice", "exp": "Expired",
    "psy": "Psychiatric hospital", "rehab": "Rehabilitation", "snf": "Skilled nursing facility",
    "oth": "Other",
}  # fmt: skip
SYSTEMS = {
    "I10C": "http://hl7.org/fhir/sid/icd-10-cm",
    "ICD-10-CM": "http://hl7.org/fhir/sid/icd-10-cm",
    "ICD10CM": "http://hl7.org/fhir/sid/icd-10-cm",
    "I10": "http://hl7.org/fhir/sid/icd-10",
    "I9C": "http://hl7.org/fhir/sid/icd-9-cm",
    "I9CDX": "http://hl7.org/fhir/sid/icd-9-cm",
    "SCT": "http://snomed.info/sct",
    "LN": "http://loinc.org",
    "LOINC": "http://loinc.org",
    "RXNORM": "http://www.nlm.nih.gov/research/umls/rxnorm",
    "NDC": "http://hl7.org/fhir/sid/ndc",
    "CVX": "http://hl7.org/fhir/sid/cvx",
    "C4": "http://www.ama-assn.org/go/cpt",
    "UCUM": UCUM,
}
"""Table 0396 -> the system's address."""
VERIFIED = {"F": "confirmed", "W": "provisional", "A": "provisional"}
"""DG1-6 (table 0052) -> condition-ver-status; without one it is unconfirmed."""

_OID = re.compile(r"[0-2](\.(0|[1-9]\d*))+")


def plain(text: str | None) -> str:
    """Return a text as FHIR's code takes it: no outer space, and single ones inside."""
    return " ".join((text or "").split())


@lru_cache(1 << 12)  # a hospital has few, and names them in every resource
def own(kind: str, *names: str) -> str:
    """Return an address of ours for what has no other: ``urn:headrace:<kind>:<names>``."""
    return ":".join(("urn:headrace", kind, *(quote(name, safe="") for name in names)))


@lru_cache(1 << 12)
def authority(name: str, domain: str) -> str:
    """Return the system of a number: an OID's, else one of ours."""
    if _OID.fullmatch(name):
        return f"urn:oid:{name}"
    return own("authority", name) if name else own("domain", domain)


def coding(system: str, code: str, display: str = "") -> dict[str, Any]:
    """Return a Coding."""
    return {"system": system, "code": code} | ({"display": display} if display else {})


def concept(system: str, code: str, display: str = "") -> dict[str, Any]:
    """Return a CodeableConcept of one coding."""
    return {"coding": [coding(system, code, display)]}


def by_table(table: str, code: str, known: Mapping[str, tuple[str, str]], to: str) -> Any:
    """Return the Coding of a code of a v2 table, by its map to ``to`` where there is one."""
    if code in known:
        return coding(f"{TERMINOLOGY}{to}", *known[code])
    return coding(f"{TERMINOLOGY}v2-{table}", code)


def encounter_class(sent: str | None) -> dict[str, Any]:
    """Return the class of a visit, which FHIR insists on."""
    code = plain(sent)
    return by_table("0004", code, CLASSES, "v3-ActCode") if code else UNKNOWN_CLASS


def disposition(sent: str) -> dict[str, Any]:
    """Return where a patient went; the code as sent stays beside ours."""
    as_sent = coding(f"{TERMINOLOGY}v2-0112", sent)
    code = DISPOSITIONS.get(sent.zfill(2))
    if code is None:
        return {"coding": [as_sent]}
    ours = coding(f"{TERMINOLOGY}discharge-disposition", code, DISPOSITION_NAMES[code])
    return {"coding": [ours, as_sent]}


def coded(code: str, system: str | None, text: str | None, domain: str) -> dict[str, Any]:
    """Return a diagnosis or an observation as a CodeableConcept."""
    name, display = plain(system), plain(text)
    address = SYSTEMS.get(name.upper()) or own("codes", domain, name or "local")
    found: dict[str, Any] = {"coding": [coding(address, plain(code))]}
    return found | ({"text": display} if display else {})
