"""A vocabulary from Athena: codes to concepts. Ours is made up, but for its form."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from connectors.adt.omop.vocabulary import Vocabulary
from state.adt.omop import BUILT_IN, ICD, LOINC, UCUM, Mapped
from state.errors import Misuse

NAMES = (
    "concept_id|concept_name|domain_id|vocabulary_id|concept_class_id|standard_concept|"
    "concept_code|valid_start_date|valid_end_date|invalid_reason"
)
CONCEPTS = f"""{NAMES}
3000963|Hemoglobin "x" [Mass/volume]|Measurement|LOINC|Lab Test|S|718-7|19700101|20991231|
8713|gram per deciliter|Unit|UCUM|Unit|S|g/dL|19700101|20991231|
45566731|Heart failure, unspecified|Condition|ICD10CM|4-char||I50.9|19700101|20991231|
316139|Heart failure|Condition|SNOMED|Disorder|S|84114007|20020131|20991231|
319835|Congestive heart failure|Condition|SNOMED|Disorder|S|42343007|20020131|20991231|
40000001|No standard|Condition|ICD10CM|4-char||Z99.9|19700101|20991231|
40000002|Old haemoglobin|Measurement|LOINC|Lab Test||718-7|19700101|20001231|D
40000003|Elsewhere|Condition|CPT4|Code||718-7|19700101|20991231|
""".replace("|", "\t")
RELATIONS = """\
concept_id_1|concept_id_2|relationship_id|valid_start_date|valid_end_date|invalid_reason
45566731|319835|Maps to|19700101|20991231|
45566731|316139|Maps to|19700101|20991231|
45566731|40000001|Subsumes|19700101|20991231|
40000001|99999999|Maps to|19700101|20991231|
40000002|316139|Maps to|19700101|20991231|D
""".replace("|", "\t")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "CONCEPT.csv").write_text(CONCEPTS)
    (tmp_path / "CONCEPT_RELATIONSHIP.csv").write_text(RELATIONS)
    return tmp_path


def test_a_standard_code_stands_for_itself(folder):
    found = Vocabulary(folder)
    assert found(LOINC, "718-7") == Mapped(3000963, 3000963)
    assert found(UCUM, "g/dL") == Mapped(8713, 8713)
    assert found.concepts[3000963].concept_name == 'Hemoglobin "x" [Mass/volume]'


@pytest.mark.parametrize("code", ["I50.9", "I509", "i50.9"])
def test_another_stands_for_the_least_that_it_maps_to(folder, code):
    found = Vocabulary(folder)
    assert found(ICD, code) == Mapped(45566731, 316139)
    assert found.concepts[316139].valid_start_date == date(2002, 1, 31)


def test_what_maps_to_nothing_that_is_there_stands_for_nothing(folder):
    found = Vocabulary(folder)
    assert found(ICD, "Z99.9") == Mapped(40000001, 0)
    assert found(LOINC, "1-8") == found(UCUM, "718-7") == Mapped()


def test_every_concept_that_is_named_is_known(folder):
    found = Vocabulary(folder)
    for vocabulary, code in ((LOINC, "718-7"), (ICD, "I509"), (ICD, "Z999"), (UCUM, "g/dL")):
        assert set(found(vocabulary, code)) <= found.concepts.keys()


def test_without_a_folder_nothing_is_known_but_what_is_built_in():
    found = Vocabulary()
    assert found(LOINC, "718-7") == Mapped()
    assert list(found.concepts.values()) == list(BUILT_IN)


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("CONCEPT.csv", None, "cannot read .*CONCEPT.csv"),
        ("CONCEPT_RELATIONSHIP.csv", "a\tb\n1\t2\n", "has no column concept_id_1"),
        ("CONCEPT.csv", CONCEPTS.replace("19700101", "1970-01-01"), "concept 3000963 is none"),
    ],
)
def test_a_folder_that_is_none_of_athenas_is_misuse(folder, name, text, told):
    if text is None:
        (folder / name).unlink()
    else:
        (folder / name).write_text(text)
    with pytest.raises(Misuse, match=told) as caught:
        Vocabulary(folder)
    assert "\n" not in str(caught.value)
