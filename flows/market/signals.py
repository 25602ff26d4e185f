"""The streaming signals of the settings."""

from __future__ import annotations

from collections.abc import Callable

from flows.market.settings import Market, Signals
from operators.market.pair_signals import PairSignals
from operators.market.signals import signals as operator
from operators.market.signals.cusum import Cusum
from operators.market.signals.hawkes import Excitation, Hawkes
from operators.market.signals.kyle_lambda import KyleLambda
from operators.market.signals.micro_price import MicroPrice
from operators.market.signals.order_flow import OrderFlow
from operators.market.signals.pairs import Pairs
from operators.market.signals.realised_variance import RealisedVariance
from operators.market.signals.signal import Signal
from operators.market.signals.vpin import Vpin

_MAKE: dict[str, Callable[[Signals], Signal]] = {
    "order-flow-imbalance": lambda s: OrderFlow(),
    "micro-price": lambda s: MicroPrice(tick_size=s.tick_size),
    "realised-variance": lambda s: RealisedVariance(s.interval, s.grid),
    "kyle-lambda": lambda s: KyleLambda(s.kyle_trades),
    "hawkes": lambda s: Hawkes(Excitation(s.hawkes_mu, s.hawkes_alpha, s.hawkes_beta)),
    "cusum": lambda s: Cusum(s.cusum_threshold),
    "vpin": lambda s: Vpin(s.vpin_volume, s.vpin_buckets),
}


def pairs_of(market: Market) -> PairSignals:
    """Return the signals of the settings' pairs, without history."""
    ours = market.signals
    filters = {
        name: Pairs(
            name,
            ours.pairs_process_variance,
            ours.pairs_noise_variance,
            ours.pairs_prior_variance,
            ours.pairs_min_observations,
        )
        for name in ours.pairs
    }
    return PairSignals(ours.pairs, filters)


def signals_of(market: Market) -> operator.Signals:
    """Return the operator that runs the signals of the settings, at least one."""
    chosen = [_MAKE[kind](market.signals) for kind in sorted(set(market.signals.kinds))]
    return operator.Signals(market.signals.interval, chosen)
