"""A vocabulary from Athena: what the codes of LOINC, ICD-10-CM and UCUM are in OMOP.

Its files are tables with tabs between the fields and no quotes, ``CONCEPT.csv`` and
``CONCEPT_RELATIONSHIP.csv``. A code stands for its own concept where that is standard, else for
the one of the least id that it ``Maps to``; for none where there is no such one.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from state.adt.omop import BUILT_IN, ICD, LOINC, UCUM, Concept, Mapped
from state.errors import Misuse

if TYPE_CHECKING:
    import polars as pl

NAMES = (ICD, LOINC, UCUM)
_MAPS_TO = "Maps to"


class Vocabulary:
    """What is known of codes; without a folder, nothing."""

    def __init__(self, folder: Path | None = None) -> None:
        """Read a folder. Raises Misuse where it is none of Athena's."""
        self.concepts: dict[int, Concept] = {each.concept_id: each for each in BUILT_IN}
        """Every concept that a row may name."""
        self._mapped: dict[tuple[str, str], Mapped] = {}
        if folder is not None:
            self._read(folder)

    def __call__(self, vocabulary: str, code: str) -> Mapped:
        """Return what a code is; ICD-10-CM with its dot or without."""
        return self._mapped.get((vocabulary, _plain(vocabulary, code)), Mapped())

    def _read(self, folder: Path) -> None:
        # Only who has a vocabulary pays for it: polars takes 60 MB.
        import polars as pl  # noqa: PLC0415

        concepts = _table(folder / "CONCEPT.csv", Concept._fields)
        related = _table(
            folder / "CONCEPT_RELATIONSHIP.csv",
            ("concept_id_1", "concept_id_2", "relationship_id", "invalid_reason"),
        )
        sources = concepts.filter(pl.col("vocabulary_id").is_in(NAMES)).collect()
        maps = (
            related.filter(
                (pl.col("relationship_id") == _MAPS_TO) & pl.col("invalid_reason").is_null()
            )
            .filter(pl.col("concept_id_1").is_in(sources["concept_id"].implode()))
            .collect()
        )
        targets = concepts.filter(
            pl.col("concept_id").is_in(maps["concept_id_2"].implode())
        ).collect()
        self._learn(sources, targets, maps)

    def _learn(self, sources: pl.DataFrame, targets: pl.DataFrame, maps: pl.DataFrame) -> None:
        standing: dict[int, int] = {}
        for source, target in maps.select("concept_id_1", "concept_id_2").iter_rows():
            standing[int(source)] = min(int(target), standing.get(int(source), int(target)))
        for row in [*targets.iter_rows(), *sources.iter_rows()]:
            concept = _concept(row)
            self.concepts.setdefault(concept.concept_id, concept)
        for row in sources.iter_rows():
            source = _concept(row)
            own = source.concept_id
            standard = own if source.standard_concept == "S" else standing.get(own, 0)
            code = _plain(source.vocabulary_id, source.concept_code)
            found = Mapped(own, standard if standard in self.concepts else 0)
            if source.invalid_reason is None or (source.vocabulary_id, code) not in self._mapped:
                self._mapped[source.vocabulary_id, code] = found


def _table(path: Path, columns: tuple[str, ...]) -> pl.LazyFrame:
    """Return columns of a file of Athena, all of them as text."""
    import polars as pl  # noqa: PLC0415

    try:
        found = pl.scan_csv(path, separator="\t", quote_char=None, infer_schema=False)
        missing = set(columns) - set(found.collect_schema().names())
    except (OSError, pl.exceptions.PolarsError) as error:
        raise Misuse(
            f"adt.vocabulary: cannot read {path}: {' '.join(str(error).split())}"
        ) from None
    if missing:
        raise Misuse(f"adt.vocabulary: {path} has no column {min(missing)}: it is none of Athena's")
    return found.select(columns)


def _concept(row: tuple[str | None, ...]) -> Concept:
    """Return a row of CONCEPT.csv; raises Misuse where one of its fields is none of Athena's."""
    identity, name, domain, vocabulary, of, standard, code, start, end, reason = row
    try:
        return Concept(
            int(identity or ""),
            (name or "")[:255],
            domain or "",
            vocabulary or "",
            of or "",
            standard,
            code or "",
            datetime.strptime(start or "", "%Y%m%d").date(),  # noqa: DTZ007 - a date has no zone
            datetime.strptime(end or "", "%Y%m%d").date(),  # noqa: DTZ007
            reason,
        )
    except ValueError as error:
        raise Misuse(
            f"adt.vocabulary: the concept {identity} is none of Athena's: {error}"
        ) from None


def _plain(vocabulary: str, code: str) -> str:
    return code.replace(".", "").upper() if vocabulary == ICD else code
