"""Snapshots of released versions load, and go on as if nothing had been.

``released/<version>/<logic>.snapshot`` was written by that version, half-way through the items of
its case (``python -m tests.contracts.released VERSION`` writes those of this one). Such a file is
never written anew: a change that cannot read it needs a migration.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from state.errors import SnapshotRefused
from tests.contracts import logics as contract
from tests.contracts.cases import CASES
from tests.contracts.released import FOLDER, halves, read

RULES_CHANGED = {("0.1.0", "shard"): {"late", "nbbo"}}
"""Outputs that have other records for the first half since a release, and so other counters behind
it: a retried quote behind the watermark is late now, and makes no window."""
ADDED = {("0.1.0", "decide"): {"limits"}}
"""Outputs that came after a release: all that they would have told by then comes behind it."""
REFUSED = {("0.1.0", "timeline"): "form of patients is another one"}
"""Those that lack what their messages alone can tell, and what the refusal names."""
VERSIONS = sorted(path.name for path in FOLDER.iterdir() if path.is_dir())


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", CASES)
def test_a_snapshot_of_a_release_goes_on(version: str, name: str) -> None:
    path = FOLDER / version / f"{name}.snapshot"
    if not path.exists():
        pytest.skip(f"{name} came after {version}")
    case = CASES[name]
    first, second = halves(case)
    state, counters = read(path)
    if (version, name) in REFUSED:
        with pytest.raises(SnapshotRefused, match=REFUSED[version, name]):
            contract.going_on(case.make, state, counters, second, case.outputs)
        return
    whole = contract.told(case.make, [*first, *second], case.outputs, lambda: False)
    before = contract.told(case.make, first, case.outputs, lambda: False)
    rest = contract.going_on(case.make, state, counters, second, case.outputs)
    assert any(rest), "the second half makes something of it"
    changed, added = (of.get((version, name), set()) for of in (RULES_CHANGED, ADDED))
    found = [row for row in before[0] + rest[0] if row[0] not in added]
    expected = [row for row in whole[0] if row[0] not in added]
    assert {row[0] for row in rest[0]} >= added
    assert _told((found, before[1] + rest[1]), changed) == _told((expected, whole[1]), changed)


def _told(found: contract.Told, changed: set[str]) -> contract.Told:
    """Return what was told, without the counters of some outputs."""
    rows, handed = found
    if not changed:
        return found
    rows = [(*r[:2], 0 if r[0] in changed else r[2], *r[3:]) for r in rows]
    # Homes are told once more behind a snapshot of before they were told.
    kept = [h._replace(homes=()) for h in handed]
    return sorted(rows), [h for h in kept if h.passed or h.sessions]


def test_this_version_has_its_files() -> None:
    assert {path.stem for path in Path(FOLDER / VERSIONS[-1]).iterdir()} == set(CASES)
