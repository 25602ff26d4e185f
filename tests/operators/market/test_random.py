"""Philox against its published vectors and numpy, normals against libm and the distribution."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numba import njit
from scipy import stats

from operators.market.kernels import monte_carlo as kernel
from operators.market.kernels import random

# Random123 (Salmon et al. 2011), its file of known answers `kat_vectors`, philox 4x32 10 rounds:
# counter, key, words.
KNOWN = [
    ([0] * 4, [0] * 2, [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]),
    ([0xFFFFFFFF] * 4, [0xFFFFFFFF] * 2, [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]),
    (
        [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344],
        [0xA4093822, 0x299F31D0],
        [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1],
    ),
]
# Of the paper, section 4.3 and table 2, by the width of a word: multipliers, steps of the key.
CONSTANTS = {
    32: (0xD2511F53, 0xCD9E8D57, 0x9E3779B9, 0xBB67AE85),
    64: (0xD2E7470EE14C6C93, 0xCA5A826395121157, 0x9E3779B97F4A7C15, 0xBB67AE8584CAA73B),
}
KEY = np.uint64(0x0123456789ABCDEF & 0xFFFFFFFF), np.uint64(0x89ABCDEF)


def philox_of_any_width(counter: list[int], key: list[int], bits: int) -> list[int]:
    """Return a block of Philox-4xBITS-10 by the definition, in whole numbers."""
    m0, m1, step0, step1 = CONSTANTS[bits]
    low = (1 << bits) - 1
    (c0, c1, c2, c3), (k0, k1) = counter, key
    for _ in range(10):
        a, b = m0 * c0, m1 * c2
        c0, c1, c2, c3 = (b >> bits) ^ c1 ^ k0, b & low, (a >> bits) ^ c3 ^ k1, a & low
        k0, k1 = (k0 + step0) & low, (k1 + step1) & low
    return [c0, c1, c2, c3]


def compiled(counter: list[int], key: list[int]) -> list[int]:
    return [int(word) for word in random.philox(*map(np.uint64, counter), *map(np.uint64, key))]


@njit("void(f8[::1], f8[:, ::1])", error_model="numpy")
def functions(x, out):
    for i in range(len(x)):
        out[0, i] = random.natural_log(x[i])
        out[1, i] = random.sine(x[i])
        out[2, i] = random.cosine(x[i])


def drawn(paths: int, count: int, key: tuple[np.uint64, np.uint64] = KEY) -> np.ndarray:
    out = np.empty((count, paths))
    kernel.normals(np.arange(paths), *key, out)
    return out


@pytest.mark.parametrize(("counter", "key", "words"), KNOWN)
def test_philox_gives_the_published_words(counter, key, words):
    assert compiled(counter, key) == words
    assert philox_of_any_width(counter, key, 32) == words


def test_the_definition_with_64_bits_is_numpys_philox():
    for row in np.random.default_rng(1).integers(0, 2**64 - 1, (20, 6), np.uint64):
        expected = np.random.Philox(counter=row[:4], key=row[4:]).random_raw(4).tolist()
        counter = row.tolist()[:4]
        counter[0] += 1  # numpy counts before each block
        assert philox_of_any_width(counter, row.tolist()[4:], 64) == expected


def test_philox_equals_its_definition_for_any_counter():
    rng = np.random.default_rng(2)
    for row in rng.integers(0, 2**32, (500, 6)).tolist():
        assert compiled(row[:4], row[4:]) == philox_of_any_width(row[:4], row[4:], 32)


def test_uniforms_are_never_0_or_1():
    assert random.open_uniform(np.uint64(0)) == 2.0**-53
    assert random.open_uniform(np.uint64(2**64 - 1)) == 1.0 - 2.0**-53


def test_the_series_agree_with_libm():
    rng = np.random.default_rng(3)
    near_1 = 1.0 - rng.random(20_000) * 1e-6
    x = np.concatenate([rng.random(20_000), 2.0 ** -rng.uniform(0, 53, 20_000), near_1])
    found = np.empty((3, len(x)))
    functions(x, found)
    np.testing.assert_allclose(found[0], [math.log(v) for v in x], rtol=3e-16, atol=0)
    x = np.concatenate([rng.uniform(-math.pi / 4, math.pi / 4, 20_000), [0.0, math.pi / 4]])
    found = np.empty((3, len(x)))
    functions(x, found)
    np.testing.assert_allclose(found[1], [math.sin(v) for v in x], rtol=4e-16, atol=0)
    np.testing.assert_allclose(found[2], [math.cos(v) for v in x], rtol=4e-16, atol=0)


def test_normals_are_box_and_mullers_from_the_words_of_their_counter():
    out = drawn(300, 6)
    for path in range(300):
        for pair in range(3):
            w = philox_of_any_width([path, pair, 0, 0], [int(k) for k in KEY], 32)
            u, v = ((((w[i] << 32 | w[i + 1]) >> 12) + 0.5) * 2.0**-52 for i in (0, 2))
            angle = (v - 0.5) * math.pi / 2
            values = [math.cos(angle), math.sin(angle)]
            spare = w[3] & 7
            x, y = values[::-1] if spare & 1 else values
            x, y = -x if spare & 2 else x, -y if spare & 4 else y
            radius = math.sqrt(-2 * math.log(u))
            found = out[2 * pair : 2 * pair + 2, path]
            np.testing.assert_allclose(found, [radius * x, radius * y], rtol=1e-15, atol=0)


def test_each_normal_depends_on_its_coordinates_alone():
    assert kernel.normals.signatures
    whole = drawn(1000, 8)
    paths = np.random.default_rng(4).permutation(1000)
    out = np.empty((4, 1000))
    kernel.normals(paths, *KEY, out)
    assert (out == whole[:4, paths]).all()
    single = np.empty((8, 1))
    for path in (0, 7, 999):  # too few for the vectorised loop
        kernel.normals(np.array([path]), *KEY, single)
        assert (single[:, 0] == whole[:, path]).all()


def test_moments_are_those_of_the_normal_distribution():
    x = drawn(100_000, 10).ravel()
    n = len(x)
    # The variance of a power k is the moment 2k less the square of the moment k, and the moments
    # of even order up to 12 are 1, 3, 15, 105, 945 and 10395.
    for power, expected, variance in [(1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96), (6, 15, 10170)]:
        assert abs(np.mean(x**power) - expected) < 4 * math.sqrt(variance / n), power


def test_the_distribution_is_normal_in_its_body_and_its_tails():
    x = drawn(100_000, 10)
    assert stats.kstest(x.ravel(), "norm").pvalue > 0.01
    for z in (-4.0, -3.0, 3.0, 4.0):
        expected = stats.norm.sf(abs(z)) * x.size
        beyond = np.count_nonzero(x < z if z < 0 else x > z)
        assert abs(beyond - expected) < 4 * math.sqrt(expected), z
    assert 4.5 < np.abs(x).max() < 6.5


def test_neighbours_in_every_coordinate_are_independent():
    x = drawn(100_000, 10)
    limit = 4.5 / math.sqrt(x.shape[1])  # 45 pairs, and their squares: the chance is below 0.1 %
    for values in (x, np.abs(x), x * x):
        correlation = np.corrcoef(values) - np.eye(10)
        assert np.abs(correlation).max() < limit
        along = [np.corrcoef(row[:-1], row[1:])[0, 1] for row in values]
        assert np.abs(along).max() < limit
    k0, k1 = KEY
    for other in ((k0 + np.uint64(1), k1), (k0, k1 + np.uint64(1))):
        assert abs(np.corrcoef(x[0], drawn(100_000, 2, other)[0])[0, 1]) < limit


def test_angles_of_pairs_are_uniform_and_independent_of_their_radius():
    x, y = drawn(200_000, 2)
    turn = np.arctan2(y, x) / (2 * math.pi) + 0.5
    assert stats.kstest(turn, "uniform").pvalue > 0.01
    octants, thirds = np.minimum((turn * 8).astype(int), 7), np.digitize(np.hypot(x, y), [0.9, 1.5])
    table = np.histogram2d(octants, thirds, bins=(8, 3))[0]
    assert stats.chi2_contingency(table).pvalue > 0.01


@pytest.mark.parametrize("degrees", [3, 4, 5, 8])
def test_mixing_has_the_distribution_of_chi_squared(degrees):
    out = np.empty(20_000)
    chances = []
    for key in range(100):
        kernel.mixing(np.arange(20_000), degrees, np.uint64(key), KEY[1], out)
        chances.append(stats.kstest((degrees - 2) / out**2, stats.chi2(degrees).cdf).pvalue)
    assert stats.kstest(chances, "uniform").pvalue > 0.01
