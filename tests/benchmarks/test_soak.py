"""The memory of the worker at full speed, in short; and the measure of its growth."""

from __future__ import annotations

from benchmarks.soak import ACTIVE, MB, Sample, growth, soak

WARM, END = 1_500_000, 4_000_000
"""Ticks worked off, not seconds: a busy machine warms up more slowly."""
BOUND = 0.05
"""Of some 400 MB: a leak of 10 bytes a tick is more, buffers that settle are less."""


def _samples(leak_bytes: int) -> list[Sample]:
    return [Sample(second, 400 * MB + second * leak_bytes, 0, 0) for second in range(600)]


def test_growth_finds_a_slow_leak_and_nothing_else():
    assert growth(_samples(0)) == 0
    assert growth(_samples(20_000)) > 0.01
    assert growth(_samples(2_000)) < 0.01


def test_one_peak_is_no_growth():
    samples = _samples(0)
    samples[-1] = Sample(599, 800 * MB, 0, 0)
    assert growth(samples) == 0


def test_memory_stays_level_at_full_speed(tmp_path):
    outcome = soak(
        tmp_path,
        warm=lambda sample: sample.consumed >= WARM,
        done=lambda sample: sample.consumed >= END,
    )
    assert outcome.growth < BOUND
    assert outcome.symbols > 2 * ACTIVE
    assert outcome.ticks_per_s > 0
