"""The people of a made-up hospital. Their names are made of syllables, and belong to nobody."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from random import Random

BEGIN = datetime(2024, 1, 1, tzinfo=UTC)
"""When a simulated hospital opens, a Monday. Times in it are seconds since then."""
DAY_S, HOUR_S, MINUTE_S = 86_400, 3_600, 60

FIRST = ("BRAN", "CORV", "DELM", "FENN", "GARV", "HELD", "KORS", "LUND", "MARV", "TORV")
MIDDLE = ("A", "AVI", "E", "ELO", "I", "INA", "O", "UMA")
LAST = ("BACK", "DALE", "GREN", "LING", "MARK", "STED", "THORP", "WICK")
GIVEN = ("ALVA", "BENTO", "CIRA", "DORIN", "ELKE", "FARO", "GITTA", "HANNO", "ILVA", "JORIN")
STREETS = ("MILL", "WEIR", "SLUICE", "FORD", "BRIDGE", "LOCK")
CONDITIONS = {
    "I21.9": ("Myocardial infarction", 1),
    "I50.9": ("Heart failure", 1),
    "F03": ("Dementia", 1),
    "J44.9": ("COPD", 1),
    "E11.9": ("Diabetes", 1),
    "N18.5": ("Renal disease", 2),
    "C34.9": ("Tumour of the lung", 2),
    "C78.0": ("Metastatic tumour", 6),
}
"""ICD-10 codes: what they are called, and their weight in the Charlson index of 1987."""
_SHARES = (0.08, 0.12, 0.06, 0.12, 0.18, 0.08, 0.05, 0.02)


@dataclass(slots=True, eq=False)
class Person:
    """A person under the number that the hospital gave."""

    number: str
    family: str
    given: str
    born: date
    sex: str
    address: str
    conditions: tuple[str, ...] = ()
    haemoglobin: float = 13.5
    sodium: float = 139.0
    mother: Person | None = None
    died_s: int | None = None
    busy: bool = False
    """In the hospital, or sure to come again."""
    left_s: int | None = None
    """When the last stay as an inpatient ended."""
    admissions_s: list[int] = field(default_factory=list)
    """When stays as an inpatient began."""

    @property
    def charlson(self) -> int:
        """The Charlson index of the person's conditions, without age."""
        return sum(CONDITIONS[code][1] for code in self.conditions)

    def age(self, time_s: int) -> int:
        """Return the age in whole years."""
        today = moment(time_s).date()
        return today.year - self.born.year - ((today.month, today.day) < self.born.timetuple()[1:3])


def moment(time_s: int) -> datetime:
    """Return the time as others count it."""
    return BEGIN + timedelta(seconds=time_s)


class People:
    """All who ever came, by a random generator."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self.known: list[Person] = []
        self._unknown = 0
        self._numbers = 100_000

    def adult(self, oldest: int = 97, usual: int = 68) -> Person:
        """Return somebody of 18 years up to ``oldest``, ``usual`` for most, who was never here."""
        rng = self._rng
        age = int(rng.triangular(18, oldest + 1, usual))
        born = BEGIN.date() - timedelta(days=365 * age + rng.randrange(1, 365) + age // 4 + 1)
        person = self._person(born)
        older = min(age / 60, 1.4)
        chances = zip(CONDITIONS, _SHARES, strict=True)
        person.conditions = tuple(code for code, share in chances if rng.random() < share * older)
        person.haemoglobin = rng.gauss(13.4 - 0.3 * person.charlson, 1.4)
        person.sodium = rng.gauss(138.5 - 0.4 * person.charlson, 2.5)
        self.known.append(person)
        return person

    def mother(self) -> Person:
        """Return a woman of 18 to 44 years who was never here."""
        person = self.adult(oldest=44, usual=30)
        person.sex = "F"
        return person

    def newborn(self, mother: Person, time_s: int) -> Person:
        """Return the child of a mother."""
        child = self._person(moment(time_s).date())
        child.family, child.address, child.mother = mother.family, mother.address, mother
        return child

    def unknown(self, person: Person) -> Person:
        """Return who a person is while nobody knows the name."""
        self._unknown += 1
        given = "JANE" if person.sex == "F" else "JOHN"
        number = f"U{self._unknown:06d}"
        return Person(number, "DOE", given, date(1900, 1, 1), person.sex, "")

    def _person(self, born: date) -> Person:
        rng = self._rng
        self._numbers += 1
        number = self._numbers
        family = rng.choice(FIRST) + rng.choice(MIDDLE) + rng.choice(LAST)
        address = f"{rng.randrange(1, 200)} {rng.choice(STREETS)} ST^^HEADRACE^^HR1 {number % 97}"
        return Person(str(number), family, rng.choice(GIVEN), born, rng.choice("FM"), address)
