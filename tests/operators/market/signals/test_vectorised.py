"""The kernels against whole-array numpy on the same ticks, through the operator's own tape."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np
import pytest

from flows.market.flow import make_shard
from operators.market.signals.cusum import Cusum
from operators.market.signals.hawkes import Excitation, Hawkes
from operators.market.signals.kyle_lambda import KyleLambda
from operators.market.signals.micro_price import MicroPrice
from operators.market.signals.order_flow import OrderFlow
from operators.market.signals.realised_variance import RealisedVariance
from operators.market.signals.signal import Figure, Signal, Tape
from operators.market.signals.signals import Signals
from operators.market.signals.table import Table
from operators.market.signals.vpin import Vpin
from operators.outputs import Outputs
from state.clock import NS
from tests.driver import block_of
from tests.operators.market.signals import vectorised
from tests.operators.market.signals.making import Sides
from tests.operators.market.signals.test_signals import dense_stream, exact
from tests.operators.market.test_against_reference import market_settings
from tests.reference.streams import reference_settings

TABLE = np.linspace(-0.03, 0.03, 7)[:, None] * np.ones(2)
INTERVAL, GRID = NS, NS // 10


@dataclass
class Seen(Signal):
    """Keeps the tape that the signals behind it work on; no signal itself."""

    tapes: list[Tape] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(Table(), Table())

    kind = "seen"

    def step(self, tape: Tape) -> Iterable[Figure]:
        """Keep it."""
        self.tapes.append(tape)
        return ()


@pytest.fixture(scope="module")
def tape() -> Tape:
    """Thousands of ticks of four busy symbols in one block."""
    theirs = reference_settings(1)
    ticks = [t for t in exact(dense_stream(4, 6000, theirs).ticks) if t.kind != "heartbeat"]
    market = market_settings(theirs)
    seen = Seen()
    shard = make_shard(market, in_order=lambda: [Sides(), Signals(INTERVAL, [seen])])
    shard.process(block_of(ticks, 1), Outputs())
    return seen.tapes[0]


def stepped(signal: Signal, tape: Tape) -> list[Figure]:
    """Return what happened at single rows in one step of a signal without history."""
    return list(signal.step(tape))


def test_the_tape_is_worth_comparing(tape: Tape) -> None:
    assert min(tape.quotes.sum(), tape.trades.sum()) > 900
    assert len(np.unique(tape.place)) > 30


def test_order_flow(tape: Tape) -> None:
    signal = OrderFlow()
    stepped(signal, tape)
    slot = tape.work.slot
    again = vectorised.order_flow(tape.quotes, slot, tape.place, tape.best, tape.places)
    assert signal._windows["flow"][: tape.places] == pytest.approx(again, rel=1e-12, abs=1e-12)
    assert again[:, 0].any()


def test_micro_price(tape: Tape) -> None:
    signal = MicroPrice(dict.fromkeys(tape.work.names, TABLE), 0.05)
    stepped(signal, tape)
    again = vectorised.micro_price(tape.quotes, tape.place, tape.best, TABLE, 0.05, tape.places)
    assert signal._windows["last"][: tape.places] == pytest.approx(again, rel=1e-12, abs=1e-12)
    assert (again[:, 0] != again[:, 1]).any()


def test_kyle_lambda(tape: Tape) -> None:
    signal, work = KyleLambda(20), tape.work
    stepped(signal, tape)
    again = vectorised.kyle_lambda(
        tape.trades, work.slot, tape.place, tape.sign, work.block.size, tape.mid, 20, tape.places
    )
    assert signal._windows["last"][: tape.places] == pytest.approx(again, rel=1e-8, abs=1e-12)
    assert (again[:, 2] == 20).sum() > 10


def test_hawkes(tape: Tape) -> None:
    signal, work = Hawkes(Excitation(0.1, 0.5, 2.0)), tape.work
    stepped(signal, tape)
    again = vectorised.excitation(
        tape.trades, work.slot, tape.place, tape.sign, work.block.ts_ns, 2.0, tape.places
    )
    assert signal._windows["last"][: tape.places] == pytest.approx(again, rel=1e-9, abs=1e-12)
    assert again[:, :2].all(axis=1).sum() > 10


@pytest.mark.parametrize("price", ["mid", "trade"])
def test_realised_variance(tape: Tape, price: str) -> None:
    signal = RealisedVariance(INTERVAL, GRID, "mid" if price == "mid" else "trade")
    stepped(signal, tape)
    windows = np.arange(tape.places)
    start = tape.start_ns[: tape.places]
    slot = np.zeros(tape.places, np.int32)
    inside = tape.place >= 0
    slot[tape.place[inside]] = tape.work.slot[inside]
    order = np.lexsort((start, slot))
    out = np.empty((tape.places, 4))
    _close(signal)(slot[order], start[order], windows[order], out)
    block = tape.work.block
    chosen, prices = (tape.quotes, tape.mid) if price == "mid" else (tape.trades, block.price)
    again = vectorised.realised(
        chosen, tape.place, prices, block.ts_ns, start, slot, INTERVAL, GRID
    )
    assert out == pytest.approx(again[order], rel=1e-9, abs=1e-15, nan_ok=True)
    assert (~np.isnan(again[:, 3])).sum() > 5


def _close(signal: RealisedVariance) -> Callable[..., None]:
    from operators.market.kernels import realised

    columns = signal._windows["cells"], signal._symbols["last"], signal._symbols["last_end"]
    return lambda slot, start, place, out: realised.close(
        slot, start, place, INTERVAL, *columns, out
    )


def test_vpin(tape: Tape) -> None:
    found = [(row, value, d["buckets"]) for row, value, d in stepped(Vpin(300.0, 5), tape)]
    work = tape.work
    again = vectorised.vpin(tape.trades, work.slot, tape.sign, work.block.size, 300.0, 5)
    assert len(found) > 50
    assert [(row, buckets) for row, _, buckets in found] == [(r, b) for r, _, b in again]
    assert [v for _, v, _ in found] == pytest.approx([v for _, v, _ in again], rel=1e-9, abs=1e-9)


def test_cusum(tape: Tape) -> None:
    h = 0.00105
    found = [(row, value) for row, value, _ in stepped(Cusum(h, "return"), tape)]
    again = vectorised.cusum(tape.trades, tape.work.slot, tape.work.block.price, h)
    assert len(found) > 50
    assert [row for row, _ in found] == [row for row, _ in again]
    assert [v for _, v in found] == pytest.approx([v for _, v in again], rel=1e-9)
