"""Any order of merges and moves gives the same patients and visits: those of the reference."""

from __future__ import annotations

import os
import random
from itertools import pairwise, permutations, product

from operators.adt.identity import Edge, Identity
from state.adt.facts import Alias, Rekey, VisitKey
from tests.reference.adt import terms
from tests.reference.adt.keys import Keys

HISTORIES = int(os.environ.get("HEADRACE_HISTORIES", "2000"))
PATIENTS, VISITS = "ABCD", "123"


def alias(recorded: int, prior: str, survivor: str) -> Alias:
    return Alias(recorded, recorded, f"{prior}{survivor}", prior, survivor)


def survivors(*aliases: Alias) -> str:
    """Return the survivors of A, B, C and D."""
    return "".join(map(Identity(aliases).survivor, PATIENTS))


def test_a_chain_is_followed_to_its_end():
    assert survivors(alias(1, "C", "B"), alias(2, "B", "A")) == "AAAD"
    assert survivors(alias(2, "C", "B"), alias(1, "B", "A")) == "AAAD"


def test_the_newest_statement_about_a_number_counts():
    assert survivors(alias(1, "C", "B"), alias(2, "C", "A")) == "ABAD"


def test_in_a_circle_the_oldest_gives_way():
    circle = [alias(1, "A", "B"), alias(2, "B", "C"), alias(3, "C", "A")]
    assert survivors(*circle) == "AAAD"
    assert Identity(circle).circles == [Edge(*circle[0])]
    assert survivors(alias(1, "A", "B"), alias(2, "B", "A")) == "AACD"
    assert survivors(alias(2, "A", "B"), alias(1, "B", "A")) == "BBCD"


def test_a_move_is_newer_than_a_merge_only_if_it_was_recorded_later():
    moved = Rekey(2, 2, "m", ("B", "1"), ("A", "1"), moves=True)
    before, after = alias(1, "A", "B"), alias(3, "A", "B")
    assert Identity([before], [moved]).key("B", "1") == ("A", "1")
    assert Identity([after], [moved]).key("B", "1") == ("B", "1")
    assert Identity([before], [moved]).key("B", "2") == ("B", "2")


def test_a_renamed_visit_follows_its_patient():
    renamed = Rekey(1, 1, "r", ("A", "1"), ("A", "2"), moves=False)
    for merged in (alias(2, "A", "B"), alias(0, "A", "B")):
        assert Identity([merged], [renamed]).key("A", "1") == ("B", "2")
        assert Identity([merged], [renamed]).key("B", "1") == ("B", "2")


def test_a_long_chain_of_merges_takes_no_long_time():
    numbers = [f"{n:05}" for n in range(20_000)]
    told = [alias(n, prior, survivor) for n, (prior, survivor) in enumerate(pairwise(numbers))]
    for aliases in (told, [each._replace(recorded_ns=-each.recorded_ns) for each in told]):
        assert Identity(aliases).survivor(numbers[0]) == numbers[-1]


def test_no_order_and_no_repetition_changes_anything():
    rng = random.Random(4)
    for _ in range(300):
        aliases, rekeys = _statements(rng)
        told: list[Alias | Rekey] = list(aliases[:3])
        told += rekeys[:3]
        found = {_keys([*order, *order[:2]]) for order in permutations(told[:5])}
        assert len(found) == 1, told


def test_random_statements_give_the_keys_of_the_reference():
    rng = random.Random(int(os.environ.get("HEADRACE_SEED", "1")))
    for number in range(HISTORIES):
        aliases, rekeys = _statements(rng)
        found, wanted = Identity(aliases, rekeys), _reference(aliases, rekeys)
        for patient, visit in product(PATIENTS, VISITS):
            theirs = wanted.key(_id(patient), _id(visit))
            mine = found.key(patient, visit)
            assert mine == (theirs[0].number, theirs[1].number), (number, aliases, rekeys)
        circles = {(each.source.number, each.target.number) for each in wanted.back}
        assert {(each.prior, each.survivor) for each in found.circles} == circles


def _keys(told: list[Alias | Rekey]) -> tuple[object, ...]:
    identity = Identity(
        [each for each in told if isinstance(each, Alias)],
        [each for each in told if isinstance(each, Rekey)],
    )
    return tuple(identity.key(*each) for each in product(PATIENTS, VISITS))


def _statements(rng: random.Random) -> tuple[list[Alias], list[Rekey]]:
    """Return up to seven statements of a narrow span of time, no two of one message."""
    aliases: list[Alias] = []
    rekeys: list[Rekey] = []
    for number in range(rng.randint(1, 7)):
        when = rng.randint(0, 4), rng.randint(0, 2), f"{rng.random()}{number}"
        if rng.random() < 0.5:
            aliases.append(Alias(*when, *rng.sample(PATIENTS, 2)))
        else:
            old, new = ((rng.choice(PATIENTS), rng.choice(VISITS)) for _ in range(2))
            moves = rng.random() < 0.5
            rekeys.append(Rekey(*when, old, new if moves else (old[0], new[1]), moves))
    return aliases, rekeys


def _reference(aliases: list[Alias], rekeys: list[Rekey]) -> Keys:
    said = terms.Said()
    for alias_ in aliases:
        recorded, clinical, digest, prior, survivor = alias_
        said.aliases.add(terms.Edge(_id(prior), _id(survivor), recorded, clinical, digest))
    for rekey in rekeys:
        recorded, clinical, digest, old, new, moves = rekey
        said.rekeys.add(terms.Rekey(_key(old), _key(new), recorded, clinical, digest, moves))
    return Keys(said)


def _key(key: VisitKey) -> terms.VisitKey:
    return _id(key[0]), _id(key[1])


def _id(number: str) -> terms.Id:
    return terms.Id(number, "GH")
