"""Wrong rules of patient care as rows of OMOP."""

from __future__ import annotations

from tests.operators.adt.mutants import Mutant

OMOP, OMOP_STATE = "operators.adt.omop", "state.adt.omop"
OMOP_RULES = {
    "emergency and inpatient are two visits": Mutant(
        OMOP, 'both = {"E", "I"} <= classes', "both = False"
    ),
    "the class of the visit does not count": Mutant(OMOP, ' | {encounter["class"]}', ""),
    "the classes of the stays do not count": Mutant(
        OMOP, '{each["class"] for each in stays} | ', ""
    ),
    "a person has a year of birth, or 0": Mutant(
        OMOP,
        'if each["birth_date"]:',
        'each["birth_date"] = each["birth_date"] or "0"\n        if True:',
    ),
    "who has no sex is male": Mutant(
        OMOP, 'GENDERS.get(each["sex"] or "", 0)', 'GENDERS.get(each["sex"] or "", 8507)'
    ),
    "women are men": Mutant(OMOP_STATE, '"F": 8532', '"F": 8507'),
    "emergency is inpatient": Mutant(OMOP_STATE, '"E": EMERGENCY', '"E": INPATIENT'),
    "recurring is inpatient": Mutant(OMOP_STATE, '"R": OUTPATIENT', '"R": INPATIENT'),
    "a visit knows none before it": Mutant(OMOP, 'made["visit_occurrence"][-1:]', "[]"),
    "a visit follows the first": Mutant(
        OMOP, 'made["visit_occurrence"][-1:]', 'made["visit_occurrence"][:1]'
    ),
    "visits are in any order": Mutant(
        OMOP, 'key=lambda visit: (visit["admitted"], visit["visit"])', "key=lambda visit: 0"
    ),
    "visits of one moment are in any order": Mutant(
        OMOP, '(visit["admitted"], visit["visit"])', '(visit["admitted"],)'
    ),
    "what is planned is a visit": Mutant(
        OMOP_STATE,
        '{"planned", "cancelled", "entered-in-error"}',
        '{"cancelled", "entered-in-error"}',
    ),
    "what was cancelled is a visit": Mutant(
        OMOP_STATE,
        '{"planned", "cancelled", "entered-in-error"}',
        '{"planned", "entered-in-error"}',
    ),
    "who was not admitted has a visit": Mutant(OMOP, 'bool(encounter["admitted"]) and', ""),
    "a pending result was measured": Mutant(
        OMOP_STATE,
        '{"registered", "cancelled", "entered-in-error"}',
        '{"cancelled", "entered-in-error"}',
    ),
    "a wrong result was measured": Mutant(
        OMOP_STATE, '{"registered", "cancelled", "entered-in-error"}', '{"registered", "cancelled"}'
    ),
    "an open visit ends as it began": Mutant(
        OMOP, "else max(begin, self._last)).date()", "else begin).date()"
    ),
    "an open visit ends before it began": Mutant(OMOP, "max(begin, self._last)", "self._last"),
    "a visit ends before it began": Mutant(OMOP, "begin = _moment(end)  #", "pass  #"),
    "a stay knows none before it": Mutant(OMOP, "ids[place - 1] if place else None", "None"),
    "a stay comes from itself": Mutant(OMOP, '[encounter.get("source"), *places]', "[*places]"),
    "a stay leads home": Mutant(
        OMOP, '[*places[1:], encounter["disposition"]]', '[encounter["disposition"]] * len(places)'
    ),
    "one bed in two hospitals is one": Mutant(
        OMOP, 'identity("care_site", domain, location)', 'identity("care_site", location)'
    ),
    "a diagnosis has the time of its visit": Mutant(
        OMOP, '_moment(record["time"]) if record["time"] else visit', "visit"
    ),
    "a diagnosis without a time is none": Mutant(
        OMOP, 'else visit and visit["visit_start_datetime"]', "else None"
    ),
    "a diagnosis is the standard's": Mutant(
        OMOP,
        '"condition_source_concept_id": mapped.source',
        '"condition_source_concept_id": mapped.standard',
    ),
    "a local code is a vocabulary's": Mutant(
        OMOP,
        'VOCABULARIES.get((system or "").upper())',
        'VOCABULARIES.get((system or "").upper(), "LOINC")',
    ),
    "vocabularies are in capitals": Mutant(OMOP, '(system or "").upper()', '(system or "")'),
    "a number is as sent": Mutant(OMOP, 'if record["value_ucum"] is not None:', "if False:"),
    "a number without a unit is text": Mutant(
        OMOP, 'float(record["value"]) if _NUMBER.fullmatch(record["value"] or "") else None', "None"
    ),
    "digits of other scripts are a number": Mutant(OMOP, "([0-9]+", r"(\d+"),
    "a bound has no operator": Mutant(
        OMOP,
        '{"operator_concept_id": OPERATORS.get(record["comparator"] or "")}',
        '{"operator_concept_id": None}',
    ),
    "at least is more than": Mutant(OMOP_STATE, '">=": 4171755', '">=": 4172704'),
    "at most is less than": Mutant(OMOP_STATE, '"<=": 4171754', '"<=": 4171756'),
    "an id has 64 bits": Mutant(OMOP, "digest()[:8]) >> 1", "digest()[:8])"),
    "ids of two tables are one": Mutant(OMOP, "orjson.dumps((table, *key))", "orjson.dumps(key)"),
    "parts of a key run together": Mutant(
        OMOP, "orjson.dumps((table, *key))", '"".join((table, *key)).encode()'
    ),
    "a person of two domains is one": Mutant(
        OMOP,
        'identity("person", record["domain"], record["patient"])',
        'identity("person", record["patient"])',
    ),
    "text may be long": Mutant(OMOP, '.replace("\\0", "")[:letters]', '.replace("\\0", "")'),
    "text has NUL": Mutant(OMOP, '.replace("\\0", "")[:letters]', "[:letters]"),
    "a period begins with the last that is known": Mutant(
        OMOP,
        '"observation_period_start_date": min(days)',
        '"observation_period_start_date": max(days)',
    ),
    "a death is not known of": Mutant(OMOP, 'made["death"] += ', 'made["person"][1:] = '),
    "a measurement is of no visit": Mutant(
        OMOP,
        'visit and visit["visit_occurrence_id"],\n            f"{table}_source_value"',
        'None,\n            f"{table}_source_value"',
    ),
    "a diagnosis is of no visit": Mutant(
        OMOP,
        'visit and visit["visit_occurrence_id"],\n            "condition_source_value"',
        'None,\n            "condition_source_value"',
    ),
}
