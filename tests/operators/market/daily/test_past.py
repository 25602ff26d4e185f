"""What is told late: it counts where it belongs, or is refused; never as of now."""

from __future__ import annotations

import random
from typing import Any

import orjson
import pytest

from operators.market.daily.engine import Daily
from operators.market.daily.logics import DailyRisk, EventMerge
from operators.market.daily.past import Past
from operators.market.daily.settings import DailySettings
from operators.market.models import answer
from operators.outputs import Outputs
from replay.accounts import accounts
from state.metrics import LATE
from state.records import Coordinates
from state.rows import Event, RowBlock
from tests.daily_events import DAY_NS, TOPIC_OF, close_ns

SETTINGS = DailySettings(methods=("historical",), window=20, confidences=(0.9,))
DEFAULTS = {"ex_ns": None, "value": 1.0, "rebalance": "daily"}
TOPICS = sorted(set(TOPIC_OF.values()))
HOUR_NS = 3600 * 10**9


def told(events: list[dict], seed: int | None = None) -> dict[str, list[dict]]:
    """Return the records of events in their order within each topic, whatever the interleaving.

    An event without a type is a heartbeat of all topics, and so is the end.
    """
    merge, engine = EventMerge(TOPICS), Daily(SETTINGS, compute=answer)
    risk, outputs = DailyRisk(engine, answer), Outputs()
    last_ns = max(event["ts_ns"] for event in events)
    lanes: dict[str, list[Event]] = {topic: [] for topic in TOPICS}
    for number, event in enumerate([*events, {"ts_ns": last_ns + DAY_NS}]):
        for topic in [TOPIC_OF[event["type"]]] if "type" in event else TOPICS:
            body = DEFAULTS | event if "type" in event else {}
            lanes[topic].append(Event(event["ts_ns"], Coordinates(topic, 0, number), body))
    rng = random.Random(seed)
    while any(lanes.values()):
        topic = rng.choice([t for t in TOPICS if lanes[t]])
        size = rng.randint(1, 5)
        block = RowBlock[Event](topic, 1, lanes[topic][:size])
        del lanes[topic][:size]
        for moment in merge.process(block, outputs):
            list(risk.process(moment, outputs))
        if rng.random() < 0.2:
            kept = engine.snapshot()
            engine = Daily(SETTINGS, compute=answer)
            engine.restore(kept)
            risk = DailyRisk(engine, answer)
    found: dict[str, list[dict]] = {}
    for batch in outputs.take():
        found.setdefault(batch.output, []).extend(map(orjson.loads, batch.values))
    return found


def close(session: int, price: float = 100.0, symbol: str = "A") -> dict:
    return {"type": "closes", "ts_ns": close_ns(session), "prices": {symbol: price}}


def at(ts_ns: int, **event: Any) -> dict:
    return event | {"ts_ns": ts_ns}


HOLDS_A = at(close_ns(0) - 1, type="portfolio", portfolio="P", weights={"A": 1.0})


def refused(found: dict[str, list[dict]]) -> list[tuple[str, str]]:
    return [(record["type"], record["reason"]) for record in found.get("late", [])]


def test_a_correction_of_a_close_is_late_and_a_session_has_one_profit() -> None:
    before = LATE.labels("market.closes")._value.get()
    found = told([HOLDS_A, close(0), close(1, 101.0), close(0, 90.0), close(2, 102.0)])
    assert [r["return"] for r in found["pnl"]] == pytest.approx([0.01, 102 / 101 - 1])
    (late,) = found["late"]
    assert late == {
        "id": "market.closes/0/3/0",
        "ts_ns": close_ns(0),
        "topic": "market.closes",
        "partition": 0,
        "offset": 3,
        "sequence": 0,
        "symbol": "",
        "venue": "",
        "type": "closes",
        "watermark_ns": close_ns(1),
        "reason": "behind the watermark",
    }
    assert LATE.labels("market.closes")._value.get() == before + 1


def test_closes_behind_a_heartbeat_make_no_session_of_their_own() -> None:
    events = [HOLDS_A, close(0), close(1, 101.0), {"ts_ns": close_ns(1) + 1}, close(1, 50.0, "B")]
    found = told([*events, close(2, 102.0)])
    assert [r["ts_ns"] for r in found["pnl"]] == [close_ns(1), close_ns(2)]
    assert refused(found) == [("closes", "behind the watermark")]


def position(ts_ns: int, quantity: float, symbol: str = "A", portfolio: str = "Q") -> dict:
    return at(ts_ns, type="position", portfolio=portfolio, symbol=symbol, quantity=quantity)


def cash(ts_ns: int, amount: float, portfolio: str = "Q") -> dict:
    return at(ts_ns, type="cash", portfolio=portfolio, amount=amount)


def equity(*events: dict) -> list[float]:
    return [round(record["equity"], 6) for record in told(list(events))["pnl"]]


def test_cash_counts_behind_the_positions_of_its_time_and_pays_for_later_ones() -> None:
    """Whatever the order in which they come, and whenever the first price does."""
    night = close_ns(1) + HOUR_NS
    rest = [close(2, 100.0), close(3, 90.0)]
    begun = [close(0), close(1)]
    same = [position(night, 100.0), cash(night, 500.0)]
    assert equity(*begun, *same, *rest) == equity(*begun, *same[::-1], *rest) == [10500.0, 9500.0]
    paid = [cash(night, 500.0), position(night + 9, 100.0)]
    beat = {"ts_ns": night + 20}
    for words in (paid, [*paid[:1], beat, *paid[1:]], [paid[1], paid[0]], [paid[1], beat, paid[0]]):
        assert equity(*begun, *words, *rest) == [500.0, -500.0], words
    # Before there is any price, and of a symbol whose price comes later.
    early = [position(close_ns(0) - 9, 100.0), cash(close_ns(0) - 9, 0.0)]
    assert equity(*early, close(0), close(1, 90.0)) == [9000.0]
    later = [
        close(0),
        cash(night, 1000.0),
        position(night + 1, 10.0),
        position(night + 1, 5.0, "N"),
    ]
    both = {"type": "closes", "ts_ns": close_ns(3), "prices": {"A": 100.0, "N": 50.0}}
    then = both | {"ts_ns": close_ns(4), "prices": {"A": 100.0, "N": 60.0}}
    assert equity(close(0), close(1), *later[1:], close(2), both, then) == [1000.0, 1000.0, 1050.0]
    dividend = at(close_ns(3) + 1, type="dividend", symbol="A", amount=2.0)
    assert equity(close(0), close(1), *later[1:3], close(2), close(3), dividend, close(4)) == [
        1000.0, 1000.0, 1020.0
    ]  # fmt: skip


def test_a_split_finds_the_positions_that_there_are() -> None:
    """A portfolio that has ended or has weights by now holds no position to be split."""
    night = close_ns(1) + HOUR_NS
    split = at(night + 30, type="split", symbol="A", ratio=2.0, ex_ns=night + 1)
    for weights, sessions in (({}, 0), ({"A": 0.5, "B": 0.5}, 1)):
        whole = at(night + 20, type="portfolio", portfolio="Q", weights=weights, value=1000.0)
        found = told(
            [close(0), close(1), position(night + 10, 100.0), whole, split, close(2, 55.0)]
        )
        assert len(found.get("pnl", [])) == sessions
        assert all(r["pnl"] == pytest.approx(500.0) for r in found.get("pnl", []))


def test_a_split_waits_for_a_close_of_its_symbol() -> None:
    night = close_ns(1) + HOUR_NS
    held = [close(0), close(1), position(night, 10.0)]
    other = close(2, 7.0, "B")
    split = at(close_ns(2) + 9, type="split", symbol="A", ratio=2.0, ex_ns=night + 9)
    found = told([*held, other, split, close(3, 50.0)])
    assert "late" not in found
    assert [r["pnl"] for r in found["pnl"]] == [0.0, 0.0]


def test_a_refused_close_dates_no_session() -> None:
    dated = close(0, 90.0) | {"session": "2001-01-01"}
    past = Past()
    where = (1, "market.closes", 0, 0, 0)
    past.sort(close_ns(0), [(*where, close(0))])
    facts = past.sort(close_ns(1), [(*where, dated), (*where, close(1))])
    assert (len(facts.refused), facts.session) == (1, None)


def test_a_figure_comes_once() -> None:
    words = at(close_ns(39), type="portfolio", portfolio="P", weights={"A": 0.3})
    closes = [close(n, 100.0 + n % 3) for n in range(42)]
    beats = [{"ts_ns": close_ns(39) + 5}]
    found = told([HOLDS_A, *closes[:40], *beats, words, *closes[40:]])
    ids = [record["id"] for record in found["risk"]]
    assert len(set(ids)) == len(ids) > 20


def test_a_position_that_is_told_late_counts_from_its_time_until_a_session_has_closed() -> None:
    night = close_ns(1) + HOUR_NS
    in_order = [close(0), close(1), position(night, 10.0), position(night + 9, 1.0, "B")]
    swapped = [close(0), close(1), position(night + 9, 1.0, "B"), position(night, 10.0)]
    rest = [close(2, 101.0), close(3, 102.0)]
    assert told([*swapped, *rest])["pnl"] == told([*in_order, *rest])["pnl"]
    # After the close of the next session it is a fact of the past.
    late = [close(0), close(1), position(close_ns(2) + 1, 1.0, "B"), position(night, 10.0)]
    found = told([*late[:2], close(2), *late[2:], close(3)])
    assert refused(found) == [("position", "session closed")]


def test_an_older_word_does_not_replace_a_newer_one() -> None:
    night = close_ns(1) + HOUR_NS
    words = [position(night + 9, 10.0), position(night, 99.0)]
    found = told([close(0), close(1), *words, close(2, 101.0)])
    assert refused(found) == [("position", "replaced")]
    assert [r["pnl"] for r in found["pnl"]] == pytest.approx([10.0])
    # A portfolio speaks of all its positions, and each of them of a part of it.
    whole = at(night, type="portfolio", portfolio="Q", weights={"A": 1.0})
    found = told([close(0), close(1), position(night + 9, 10.0), whole, close(2, 101.0)])
    assert "late" not in found, "they come on two topics, and in order"
    again = whole | {"ts_ns": night + 5, "weights": {}}
    found = told([close(0), close(1), whole | {"ts_ns": night + 9}, again, close(2, 101.0)])
    assert refused(found) == [("portfolio", "replaced")]
    view = at(night, type="view", portfolio="Q", view="v", assets={"A": 1.0}, confidence=0.5)
    views = [view | {"ts_ns": night + 9, "return": 0.1}, view | {"return": 0.2}]
    assert refused(told([close(0), close(1), *views, close(2)])) == [("view", "replaced")]


@pytest.mark.parametrize(("ex", "reasons"), [(close_ns(1), ["session closed"]), (close_ns(2), [])])
def test_an_action_counts_at_the_first_close_from_its_ex_time_or_not_at_all(
    ex: int, reasons: list[str]
) -> None:
    night = close_ns(1) + HOUR_NS
    split = at(night, type="split", symbol="A", ratio=2.0, ex_ns=ex)
    found = told([HOLDS_A, close(0), close(1), split, close(2, 50.0)])
    assert [reason for _, reason in refused(found)] == reasons
    assert found["pnl"][-1]["return"] == (0.0 if not reasons else -0.5)


def test_a_split_that_is_told_behind_a_position_of_a_later_time_does_not_split_it() -> None:
    night = close_ns(1) + HOUR_NS
    split = at(night, type="split", symbol="A", ratio=2.0)
    late_split = [at(night + 20, type="dividend", symbol="B", amount=1.0), split]
    for actions in ([split], late_split):
        events = [close(0), close(1), position(night + 9, 10.0), *actions]
        found = told([*events, close(2, 50.0), close(3, 51.0)])
        assert "late" not in found
        assert [r["pnl"] for r in found["pnl"]] == pytest.approx([0.0, 10.0])


def random_events(seed: int) -> list[dict]:
    """Return events in the order of time, of positions, portfolios, actions and closes."""
    rng = random.Random(seed)
    events: list[dict] = []
    price = {"A": 100.0, "B": 50.0}
    for session in range(12):
        start = close_ns(session) - DAY_NS
        for _ in range(rng.randint(0, 4)):
            ts_ns = start + rng.randrange(1, DAY_NS)
            symbol = rng.choice("AB")
            kind = rng.choice(["position", "position", "weights", "split", "dividend", "cash"])
            if kind == "position":
                events.append(position(ts_ns, rng.choice([0, 5, -3, 8]), symbol))
            elif kind == "weights":
                weights = {"A": rng.choice([0.2, 0.5]), "B": 0.5}
                events.append(at(ts_ns, type="portfolio", portfolio="P", weights=weights))
            elif kind == "cash":
                events.append(cash(ts_ns, rng.choice([0.0, 1000.0, -300.0])))
            elif kind == "split":
                ex_ns = rng.choice([None, ts_ns + rng.randrange(2 * DAY_NS)])
                events.append(at(ts_ns, type="split", symbol=symbol, ratio=2.0, ex_ns=ex_ns))
            else:
                events.append(at(ts_ns, type="dividend", symbol=symbol, amount=0.5))
        price = {name: round(p * rng.choice([0.99, 1.0, 1.02]), 2) for name, p in price.items()}
        events.append({"type": "closes", "ts_ns": close_ns(session), "prices": dict(price)})
    return sorted(events, key=lambda event: event["ts_ns"])


@pytest.mark.parametrize("seed", range(30))
def test_what_counts_counts_as_if_it_had_come_in_order(seed: int) -> None:
    rng = random.Random(seed)
    late_ns = rng.choice([DAY_NS // 4, DAY_NS, 2 * DAY_NS])
    arrival = sorted(
        random_events(seed),
        key=lambda e: e["ts_ns"] + (rng.randrange(late_ns) if rng.random() < 0.3 else 0),
    )
    found = told(arrival, seed)
    assert told(arrival, seed + 1) == found, "how topics interleave changes nothing"
    gone = {record["offset"] for record in found.get("late", [])}
    counted = [event for number, event in enumerate(arrival) if number not in gone]
    in_order = told(sorted(counted, key=lambda event: event["ts_ns"]))
    assert "late" not in in_order
    for output in ("pnl", "backtest"):
        assert _figures(found, output) == _figures(in_order, output)


def _figures(found: dict[str, list[dict]], output: str) -> list[dict]:
    """Return the records with their numbers to 9 digits: sums have another order."""
    return [
        {k: pytest.approx(v, rel=1e-9, abs=1e-9) if type(v) is float else v for k, v in r.items()}
        for r in found.get(output, [])
    ]


def test_the_random_events_are_late_in_every_way() -> None:
    reasons = set()
    for seed in range(30):
        rng = random.Random(seed)
        arrival = sorted(
            random_events(seed),
            key=lambda e: e["ts_ns"] + (rng.randrange(2 * DAY_NS) if rng.random() < 0.3 else 0),
        )
        reasons |= set(refused(told(arrival)))
    kinds = {kind for kind, _ in reasons}
    assert {reason for _, reason in reasons} == {
        "behind the watermark",
        "session closed",
        "replaced",
    }
    assert kinds == {"closes", "position", "cash", "portfolio", "split", "dividend"}


def test_what_waits_for_a_topic_at_the_end_is_kept() -> None:
    merge = EventMerge(["some.closes", "some.views"])
    where = Coordinates("some.closes", 0, 7, 0)
    block = RowBlock[Event]("some.closes", 1, [Event(close_ns(1), where, close(1))])
    assert list(merge.process(block, Outputs())) == []
    assert list(merge.finish(Outputs())) == []
    assert accounts()["some.closes"].kept == 1
