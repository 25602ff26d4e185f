"""Any order of merges gives the same survivors, and the newest statement is true."""

from __future__ import annotations

import random
from itertools import permutations

from operators.adt.aliases import Aliases, Edge


def edge(recorded: int, prior: str, survivor: str) -> Edge:
    return Edge(recorded, recorded, f"{prior}{survivor}", prior, survivor)


def survivors(*edges: Edge) -> str:
    """Return the survivors of A, B, C and D."""
    aliases = Aliases(edges)
    return "".join(map(aliases.survivor, "ABCD"))


def test_a_chain_is_followed_to_its_end():
    assert survivors(edge(1, "C", "B"), edge(2, "B", "A")) == "AAAD"
    assert survivors(edge(2, "C", "B"), edge(1, "B", "A")) == "AAAD"


def test_the_newest_statement_about_a_number_counts():
    assert survivors(edge(1, "C", "B"), edge(2, "C", "A")) == "ABAD"


def test_in_a_circle_the_oldest_gives_way():
    circle = [edge(1, "A", "B"), edge(2, "B", "C"), edge(3, "C", "A")]
    assert survivors(*circle) == "AAAD"
    assert Aliases(circle).dropped == [circle[0]]
    assert survivors(edge(1, "A", "B"), edge(2, "B", "A")) == "AACD"
    assert survivors(edge(2, "A", "B"), edge(1, "B", "A")) == "BBCD"


def test_a_number_that_is_merged_into_itself_stays():
    itself = edge(3, "A", "A")
    assert survivors(edge(1, "A", "B"), itself) == "BBCD"
    assert Aliases([itself]).into_itself == [itself]


def test_no_order_changes_who_survives_and_the_newest_edge_is_true():
    rng = random.Random(4)
    for _ in range(300):
        edges = [
            edge(recorded, rng.choice("ABCD"), rng.choice("ABCD"))
            for recorded in range(rng.randint(1, 5))
        ]
        whole = survivors(*edges)
        assert {survivors(*order) for order in permutations(edges)} == {whole}
        told = [each for each in edges if each.prior != each.survivor]
        if told:
            last = max(told)
            assert Aliases(edges).survivor(last.prior) == Aliases(edges).survivor(last.survivor)
