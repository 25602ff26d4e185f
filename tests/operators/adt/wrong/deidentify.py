"""Wrong rules of de-identification; and for each class of identifiers a way by which it leaves."""

from __future__ import annotations

from tests.operators.adt.mutants import Mutant

DEIDENTIFY, RANDOM = "operators.adt.deidentify", "connectors.adt.codes"
ALLOWED = "state.adt.deidentified"


def loose(field: str) -> Mutant:
    """Return an allow-list in which a field is kept as it is, whatever it looks like."""
    return Mutant(
        ALLOWED,
        "\nSTATES = (",
        f'\nALLOWED["{field}"], FORMS["{field}"] = _KEEP, "(?s).*"\nSTATES = (',
    )


CLASSES = {
    "A name": loose("patients.family"),
    "B place smaller than a state": loose("patients.address"),
    "B ZIP code": Mutant(DEIDENTIFY, '"000" if match[1] in self._small else match[1]', "match[0]"),
    "C date": loose("patients.birth_date"),
    "D telephone": loose("patients.phone"),
    "E fax": loose("encounters.service"),
    "F e-mail": loose("encounters.attending"),
    "G social security": loose("encounters.disposition"),
    "G social security as a number": Mutant(DEIDENTIFY, "len(digits) <= MOST_DIGITS and ", ""),
    "H record number": loose("patients.patient"),
    "I health plan": loose("encounters.admission_type"),
    "J account": loose("encounters.visit"),
    "K licence": loose("observations.text"),
    "L vehicle": loose("conditions.text"),
    "M device": loose("observations.filler"),
    "N URL": loose("conditions.code"),
    "O IP address": loose("encounters.source"),
    "P biometric": loose("observations.sub_id"),
    "Q photograph": loose("encounters.vip"),
    "R any other": loose("location_visits.location"),
}
DEIDENTIFY_RULES = {
    "89 is over 89": Mutant(DEIDENTIFY, "> OLDEST:", ">= OLDEST:"),
    "90 is not over 89": Mutant(DEIDENTIFY, "OLDEST = 89", "OLDEST = 90"),
    "the dead grow older": Mutant(DEIDENTIFY, '0 if row["died"] else year', "year"),
    "the age is that of today alone": Mutant(
        DEIDENTIFY, "max(newest.get(whose, 0), 0 if", "max(0, 0 if"
    ),
    "who becomes 90 keeps the code": Mutant(
        DEIDENTIFY, '("90+",) if whose in self._aged else ()', "()"
    ),
    "the age of who is old is told": Mutant(
        DEIDENTIFY, '{"age": "90+"} if whose in self._aged else', ""
    ),
    "a day before the visit is told": Mutant(DEIDENTIFY, "if day >= 0 else {}", ""),
    "a day is of the calendar": Mutant(
        DEIDENTIFY,
        "(_time(row[field]) - began) // _DAY",
        "(_time(row[field]).date() - began.date()).days",
    ),
    "the discharge has a year": Mutant(
        ALLOWED,
        '"encounters.discharged": _DAY',
        '"encounters.discharged": Treatments(T.YEAR, T.SHIFT)',
    ),
    "a death has a year": Mutant(
        ALLOWED, '"patients.died": Treatments(T.DROP', '"patients.died": Treatments(T.YEAR'
    ),
    "a length of stay is told to the second": Mutant(
        ALLOWED, '"encounters.stay_s": Treatments(T.DROP', '"encounters.stay_s": Treatments(T.KEEP'
    ),
    "the facility has a code": Mutant(
        ALLOWED, "_FACILITY = Treatments(T.DROP, T.CODE)", "_FACILITY = Treatments(T.CODE, T.CODE)"
    ),
    "since when somebody lies there is told": Mutant(
        ALLOWED, '"beds.since": Treatments(T.DROP', '"beds.since": Treatments(T.YEAR'
    ),
    "small areas are told": Mutant(DEIDENTIFY, '"000" if match[1] in self._small else', ""),
    "a list of small areas is not taken": Mutant(
        DEIDENTIFY, "self._small = frozenset(small_zip3)", "self._small = frozenset(SMALL_ZIP3)"
    ),
    "a small area is missing": Mutant(ALLOWED, '"036", "059"', '"036"'),
    "any country's code is a ZIP code": Mutant(
        DEIDENTIFY, 'address.get("country", "").upper() not in _COUNTRIES', "False"
    ),
    "digits of other scripts are digits": Mutant(
        DEIDENTIFY, "([0-9]{3})[0-9]{2}(-?[0-9]{4})?", r"(\\d{3})\\d{2}(-?\\d{4})?"
    ),
    "a state is what stands there": Mutant(
        DEIDENTIFY, 're.fullmatch(STATES, address.get("state", ""))', 'address.get("state")'
    ),
    "a form that begins right is right": Mutant(DEIDENTIFY, "re.fullmatch(FORMS", "re.match(FORMS"),
    "a record number is a measurement": Mutant(DEIDENTIFY, "len(digits) <= MOST_DIGITS and ", ""),
    "seven digits are a measurement": Mutant(ALLOWED, "MOST_DIGITS = 6", "MOST_DIGITS = 7"),
    "an age is a measurement": Mutant(DEIDENTIFY, ' and found.get("code") not in AGES', ""),
    "a birth date is a measurement": Mutant(ALLOWED, '{"21112-8", ', "{"),
    "what is worth nothing stays": Mutant(
        DEIDENTIFY, "for name in NEEDED.get(output, ()))", "for name in ())"
    ),
    "what has no line is kept": Mutant(
        DEIDENTIFY,
        "if treatments is not None and value is not None:",
        "found |= {field: value} if treatments is None else {}\n"
        "            if treatments is not None and value is not None:",
    ),
    "rows are in the order of the patients": Mutant(
        DEIDENTIFY, "sorted(filter(None, rows), key=_order)", "list(filter(None, rows))"
    ),
    "ten are told": Mutant(DEIDENTIFY, "LEAST_CELL = 11", "LEAST_CELL = 10"),
    "eleven are not told": Mutant(DEIDENTIFY, "count >= LEAST_CELL", "count > LEAST_CELL"),
    "a code is a hash": Mutant(
        RANDOM, "_letters(os.urandom(CODE_BYTES))", "_letters(key.encode()[-16:])"
    ),
    "a code is short": Mutant(RANDOM, "CODE_BYTES = 16", "CODE_BYTES = 8"),
    "a code is shared after a merge": Mutant(
        RANDOM, "self.known.pop(_key(kind, each), None)", "self.known.get(_key(kind, each))"
    ),
    "a merge makes a new code": Mutant(
        DEIDENTIFY, 'code("patient", (*whose, *aged), former)', 'code("patient", (*whose, *aged))'
    ),
    "a code of two facilities is one": Mutant(
        DEIDENTIFY, 'code("ward", (domain, ward))', 'code("ward", (ward,))'
    ),
    "the bed of a ward is known": Mutant(
        DEIDENTIFY, "^{self._names.code('bed', (domain, ward, bed))}", "^{bed}"
    ),
    "times move by hours": Mutant(
        DEIDENTIFY, "astimezone(UTC) + days * _DAY", "astimezone(UTC) + days * _DAY / 24"
    ),
    "times do not move": Mutant(DEIDENTIFY, "astimezone(UTC) + days * _DAY", "astimezone(UTC)"),
    "a birth date does not move": Mutant(
        DEIDENTIFY, "(_time(text + middle) + days * _DAY)", "_time(text + middle)"
    ),
    "all move by one number of days": Mutant(RANDOM, '_key("patient", parts).encode())', 'b"")'),
    "a pseudonym needs no key": Mutant(
        RANDOM,
        'self._seal.fingerprint("adt.pseudonym", _key(kind, parts).encode())',
        "_key(kind, parts).encode()[-16:]",
    ),
    "times move forward alone": Mutant(
        RANDOM, "% (2 * self._most + 1) - self._most", "% (2 * self._most + 1)"
    ),
}
