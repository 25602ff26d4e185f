"""The operator that runs the enabled signals and emits ``features``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from operators.market.signals.signal import Closings, Signal, Tape
from operators.market.signals.signing import Signing
from operators.market.signals.windows import SignalWindows
from operators.market.work import Work
from operators.outputs import Outbox
from state.market.ticks import QUOTE

_NO_QUOTES = np.empty((0, 4))


@dataclass(frozen=True, slots=True)
class _Feature:
    """One record to be, and where it stands among the others of its block."""

    at_row: int
    of_tick: bool
    """Caused by the tick of this row, and not by its event time closing a window before it."""
    ts_ns: int
    symbol: str
    kind: str
    cause: str
    """What tells it from the others of its symbol and kind: the end, or a tick's coordinates."""
    value: float
    details: dict[str, Any]

    def place(self) -> tuple[int, bool, int, str, str]:
        """Return what the records of a block are sorted by: no cut of blocks can change it."""
        return self.at_row, self.of_tick, self.ts_ns, self.symbol, self.kind


class Signals:
    """Steps every signal over each block; emits a record per window, or per event.

    Windows are those of ``interval_ns``, closed by the watermark: a window has a record of a
    signal if it had a tick of it, and ``ts_ns`` is its end. Ticks come in the order of event time
    (`operators.market.in_order`): where a window's record shows a state, it is that after its last
    tick.
    """

    name = "signals"

    def __init__(self, interval_ns: int, signals: Sequence[Signal]) -> None:
        if len({signal.kind for signal in signals}) < len(signals):
            raise ValueError("two signals of one kind")
        self._signals = list(signals)
        self._windows = SignalWindows(interval_ns)
        self._signing = Signing()

    def process(self, work: Work, outbox: Outbox) -> None:
        """Step the signals over the block and emit what they found, in the order of the rows."""
        tape, closings = self._read(work)
        found = [f for signal in self._signals for f in _of_ticks(signal, tape)]
        if closings is not None:
            for signal in self._signals:
                found += _of_windows(signal, closings)
                signal.free(closings.place)
            self._windows.free(closings.place)
        found.sort(key=_Feature.place)
        for feature in found:
            _emit(feature, int(work.block.partition[feature.at_row]), outbox)

    def release(self, slots: NDArray[np.int32]) -> None:
        """Forget the symbols in these slots."""
        self._windows.release(slots)
        self._signing.release(slots)
        for signal in self._signals:
            signal.release(slots)

    def describe(self, slot: int) -> dict[str, Any]:
        """Return the state of each signal by its kind."""
        states = {signal.kind: signal.describe(slot) for signal in self._signals}
        return {"prices": self._signing.describe(slot), **states}

    def snapshot(self) -> dict[str, Any]:
        """Return a copy of the state."""
        places = self._windows.places
        return {
            "windows": self._windows.snapshot(),
            "signing": self._signing.snapshot(),
            "signals": {signal.kind: signal.snapshot(places) for signal in self._signals},
        }

    def restore(self, parts: dict[str, Any]) -> None:
        """Take over a snapshot's state."""
        self._windows.restore(parts["windows"])
        self._signing.restore(parts["signing"])
        for signal in self._signals:
            signal.restore(parts["signals"][signal.kind])

    def _read(self, work: Work) -> tuple[Tape, Closings | None]:
        quotes = work.keep & (work.block.kind == QUOTE)
        best = _NO_QUOTES if work.nbbo is None else work.nbbo
        mid, sign = self._signing.classify(work, quotes, best)
        place, closings = self._windows.place(work, quotes | work.counts)
        start_ns, places = self._windows.start_ns, self._windows.places
        return Tape(work, quotes, work.counts, best, mid, sign, place, start_ns, places), closings


def _of_ticks(signal: Signal, tape: Tape) -> list[_Feature]:
    work = tape.work
    return [
        _Feature(
            row, True, int(work.block.ts_ns[row]), work.names[work.slot[row]], signal.kind,
            str(work.block.coordinates(row)), value, details,
        )
        for row, value, details in signal.step(tape)
    ]  # fmt: skip


def _of_windows(signal: Signal, closings: Closings) -> list[_Feature]:
    rows, ends = closings.at_row.tolist(), closings.end_ns.tolist()
    return [
        _Feature(
            rows[k], False, ends[k], closings.symbols[k], signal.kind, str(ends[k]), value, details,
        )
        for k, value, details in signal.close(closings)
    ]  # fmt: skip


def _emit(feature: _Feature, partition: int, outbox: Outbox) -> None:
    key = f"{feature.symbol}|{feature.kind}"
    identity = f"{key}|{feature.cause}"
    record = {
        "id": identity,
        "ts_ns": feature.ts_ns,
        "symbol": feature.symbol,
        "kind": feature.kind,
        "value": feature.value,
        "details": feature.details,
    }
    outbox.emit("features", partition, feature.ts_ns, identity, key, record)
