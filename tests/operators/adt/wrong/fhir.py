"""Wrong rules of visits as Encounters."""

from __future__ import annotations

from tests.operators.adt.mutants import Mutant

ENCOUNTERS, CODES = "operators.adt.fhir.encounters", "operators.adt.fhir.codes"
RESOURCES = "operators.adt.fhir.resources"
FHIR_RULES = {
    "a place left is active": Mutant(
        ENCOUNTERS, '"completed" if stay["end"] or status in OVER else "active"', '"active"'
    ),
    "a place of a finished visit is active": Mutant(
        ENCOUNTERS, 'stay["end"] or status in OVER', 'stay["end"]'
    ),
    "a place of a cancelled visit is active": Mutant(
        ENCOUNTERS, 'frozenset({"finished", "cancelled", WRONG})', 'frozenset({"finished", WRONG})'
    ),
    "a place of a visit in error is active": Mutant(
        ENCOUNTERS, '"cancelled", WRONG})', '"cancelled"})'
    ),
    "who is planned is in a bed": Mutant(
        ENCOUNTERS, "    if status == NOBODY_IN:\n        return NOBODY_IN\n", ""
    ),
    "places are not in order": Mutant(
        ENCOUNTERS,
        "            for stay in stays\n        ],",
        "            for stay in stays[::-1]\n        ],",
    ),
    "a period ends before it starts": Mutant(ENCOUNTERS, "stay_s < 0", "False"),
    "a stay of no length is an error": Mutant(ENCOUNTERS, "stay_s < 0", "stay_s <= 0"),
    "an open period has an end": Mutant(
        ENCOUNTERS, '({"end": end} if end else {})', '{"end": end or start}'
    ),
    "each place is a class": Mutant(
        ENCOUNTERS,
        'key=lambda stay: stay["class"])',
        'key=lambda stay: (stay["class"], stay["start"]))',
    ),
    "a class ends with its first place": Mutant(ENCOUNTERS, 'rows[-1]["end"]', 'rows[0]["end"]'),
    "one class is a history": Mutant(ENCOUNTERS, "found if len(found) > 1 else []", "found"),
    "a VIP is as open as others": Mutant(
        ENCOUNTERS, '{"security": [RESTRICTED]} if vip else {}', "{}"
    ),
    "everybody is restricted": Mutant(
        ENCOUNTERS, '{"security": [RESTRICTED]} if vip else {}', '{"security": [RESTRICTED]}'
    ),
    "a VIP has no courtesy": Mutant(ENCOUNTERS, "    if vip:\n", "    if False:\n"),
    "the number is the patient's": Mutant(
        ENCOUNTERS,
        '"identifier": [number(record["visit"], domain, "VN")]',
        '"identifier": [number(record["patient"], domain, "VN")]',
    ),
    "the number is a record number": Mutant(
        ENCOUNTERS,
        'number(record["visit"], domain, "VN")]',
        'number(record["visit"], domain, "MR")]',
    ),
    "a visit is of nobody": Mutant(
        ENCOUNTERS,
        'names.url("Patient", patient_key(patient, domain))},\n        "participant"',
        'names.url("Patient", patient_key("", domain))},\n        "participant"',
    ),
    "who attends is a participant": Mutant(
        ENCOUNTERS, '"ATND", "attender"', '"PART", "participation"'
    ),
    "a stub says that a visit goes on": Mutant(
        ENCOUNTERS, '"status": "unknown"', '"status": "in-progress"'
    ),
    "a visit taken back is cancelled": Mutant(
        ENCOUNTERS, 'WRONG = "entered-in-error"', 'WRONG = "cancelled"'
    ),
    "a visit taken back is another patient's": Mutant(
        ENCOUNTERS, '_, patient, domain = key.split("|")', 'patient, _, domain = key.split("|")'
    ),
    "two patients' visits of a number are one": Mutant(
        ENCOUNTERS, 'return f"{visit}|{patient}|{domain}"', 'return f"{visit}||{domain}"'
    ),
    "the source is not told": Mutant(ENCOUNTERS, 'found["admitSource"]', 'found["origin"]'),
    "the disposition as sent is lost": Mutant(
        CODES, '{"coding": [ours, as_sent]}', '{"coding": [ours]}'
    ),
    "a disposition of one digit is unknown": Mutant(CODES, "sent.zfill(2)", "sent"),
    "emergency is ambulatory": Mutant(
        CODES, '"E": ("EMER", "emergency")', '"E": ("AMB", "ambulatory")'
    ),
    "recurring is ambulatory": Mutant(
        CODES,
        '"O": ("AMB", "ambulatory"),',
        '"O": ("AMB", "ambulatory"), "R": ("AMB", "ambulatory"),',
    ),
    "no class is inpatient": Mutant(
        CODES,
        "if code else UNKNOWN_CLASS",
        'if code else coding(f"{TERMINOLOGY}v3-ActCode", "IMP")',
    ),
    "who expired went home": Mutant(CODES, '"20": "exp"', '"20": "home"'),
    "a visit is told before its status is known": Mutant(
        RESOURCES, 'if change.output == "encounters" else []', ""
    ),
    "a timeline is forgotten with a new status": Mutant(
        RESOURCES, 'stays["stays"] if stays else []', "[]"
    ),
    "of which messages is not told": Mutant(
        RESOURCES,
        "return [*entries, self._names.provenance(entries[0], record, recorded)]",
        "return entries",
    ),
}
