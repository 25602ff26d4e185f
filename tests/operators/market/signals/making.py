"""The signals of a reference's settings, and feeds that name the aggressor."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from flows.market.settings import Market
from flows.market.settings import Signals as MarketSignals
from operators.market.operator import Operator, Stateless
from operators.market.signals.cusum import Cusum
from operators.market.signals.hawkes import Excitation, Hawkes
from operators.market.signals.kyle_lambda import KyleLambda
from operators.market.signals.micro_price import MicroPrice
from operators.market.signals.order_flow import OrderFlow
from operators.market.signals.realised_variance import RealisedVariance
from operators.market.signals.signal import Signal
from operators.market.signals.signals import Signals
from operators.market.signals.vpin import Vpin
from operators.market.work import Work
from operators.outputs import Outbox
from state.clock import NS
from state.market.ticks import TRADE
from tests.reference.signals import SignalSettings
from tests.reference.vocabulary import Tick

TABLE = ((-0.02, -0.04), (float("nan"), 0.0), (0.02, 0.04))

OURS = SignalSettings(
    interval_ns=NS,
    grid_ns=NS // 8,
    hawkes_own={"BB": (0.1, 0.8, 3.0)},
    vpin_own={"C.D": 333.25},
    tables={"AAA": TABLE, "Ö": TABLE[::-1]},
    pairs={"A-B": ("AAA", "BB"), "B-C": ("BB", "C.D"), "Ö-A": ("Ö", "AAA")},
    pairs_process_variance=1e-4,
    pairs_noise_variance=0.01,
    pairs_prior_variance=4.0,
)


def with_pairs(market: Market, ours: SignalSettings) -> Market:
    """Return the flow's settings with the pairs of the reference's."""
    names = ("process_variance", "noise_variance", "prior_variance", "min_observations")
    parameters = {f"pairs_{name}": getattr(ours, f"pairs_{name}") for name in names}
    signals = MarketSignals(pairs=dict(ours.pairs), **parameters)
    return market.model_copy(update={"signals": signals})


def signals_of(ours: SignalSettings) -> list[Signal]:
    """Return every signal, with these settings."""
    return [
        OrderFlow(),
        MicroPrice({name: np.array(t) for name, t in ours.tables.items()}, ours.tick_size),
        RealisedVariance(ours.interval_ns, ours.grid_ns, ours.price),
        KyleLambda(ours.kyle_trades, ours.kyle_min_observations),
        Hawkes(
            Excitation(*ours.hawkes),
            {name: Excitation(*found) for name, found in ours.hawkes_own.items()},
        ),
        Cusum(
            ours.cusum_threshold,
            "sigma" if ours.cusum_of_sigma else "return",
            ours.min_observations,
        ),
        Vpin(ours.vpin_volume, ours.vpin_buckets, ours.vpin_own),
    ]


def side_by_offset(tick: Tick) -> int:
    """Return an aggressor, unknown for a third of the offsets."""
    return tick.offset % 3


class Sides(Stateless):
    """Gives the block's trades the aggressors of `side_by_offset`; for tests alone."""

    name = "sides"

    def process(self, work: Work, outbox: Outbox) -> None:
        """Put a copy of the block in the place of the block."""
        trades = work.block.kind == TRADE
        side = np.where(trades, work.block.offset % 3, 0).astype(np.uint8)
        work.block = replace(work.block, side=side)


def operators(ours: SignalSettings) -> Callable[[], list[Operator]]:
    """Return what makes the operators for a shard."""
    return lambda: [Sides(), Signals(ours.interval_ns, signals_of(ours))]
