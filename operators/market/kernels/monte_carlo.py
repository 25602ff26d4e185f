"""Scenarios of asset returns: paths of correlated normal or multivariate-t numbers.

Coordinates of the random numbers: counter (path, pair of assets, NORMALS or CHI_SQUARED). So a
path is the same whichever other paths are made with it, and can be made again when it turns out
to lie in the tail. Sums run in the order of the assets in every path; paths lie side by side in
memory, so that the compiler works on several at once without changing any sum.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from operators.market.kernels.random import chi_squared_2, normal_pair

BLOCK = 256
"""Paths that are worked on together, so that their normals stay in the cache."""

NORMALS, CHI_SQUARED = np.uint64(0), np.uint64(1)


@njit("b1(f8[:, ::1], f8)", cache=True, nogil=True, error_model="numpy")
def cholesky(matrix, shrinkage):
    """Factor a correlation matrix in place: C = U'U with U upper triangular.

    Off-diagonal elements are divided by 1 + ``shrinkage`` first. Only the upper triangle is read.
    Returns False where the matrix is not positive definite; it then holds nothing of use. Outer
    products (Golub and Van Loan 2013, algorithm 4.2.2), row by row.
    """
    n = len(matrix)
    for i in range(n):
        for j in range(i):
            matrix[i, j] = 0.0
        for j in range(i + 1, n):
            matrix[i, j] /= 1.0 + shrinkage
    for k in range(n):
        if not matrix[k, k] > 0.0:
            return False
        pivot = math.sqrt(matrix[k, k])
        for j in range(k, n):
            matrix[k, j] /= pivot
        for i in range(k + 1, n):
            factor = matrix[k, i]
            for j in range(i, n):
                matrix[i, j] -= factor * matrix[k, j]
    return True


@njit("void(f8[:, ::1], f8[::1], f8[::1])", cache=True, nogil=True)
def exposures(upper, weights, out):
    """Fill ``out`` with U w: what a portfolio's return is to each of the independent normals."""
    n = len(weights)
    for i in range(n):
        total = 0.0
        for j in range(i, n):
            total += upper[i, j] * weights[j]
        out[i] = total


@njit("void(i8[::1], i8, u8, u8, f8[::1])", cache=True, nogil=True, error_model="numpy")
def mixing(paths, degrees, k0, k1, out):
    """Fill ``out`` with sqrt((nu - 2) / W) of each path, W chi-squared with nu ``degrees``.

    W is a sum of nu // 2 numbers -2 ln u and, for odd nu, the square of a normal. A normal vector
    of covariance S times this is multivariate t with nu degrees and covariance S again, since the
    scale matrix of sqrt(nu / W) is S (nu - 2) / nu (McNeil, Frey, Embrechts 2015, section 6.2).
    """
    halves = degrees // 2
    for p in range(len(paths)):
        out[p] = 0.0
    for i in range(halves):
        for p in range(len(paths)):
            out[p] += chi_squared_2(np.uint64(paths[p]), np.uint64(i), CHI_SQUARED, k0, k1)
    if degrees % 2 == 1:
        for p in range(len(paths)):
            x, _ = normal_pair(np.uint64(paths[p]), np.uint64(halves), CHI_SQUARED, k0, k1)
            out[p] += x * x
    for p in range(len(paths)):
        out[p] = math.sqrt((degrees - 2.0) / out[p])


@njit("void(i8[::1], u8, u8, f8[:, ::1])", cache=True, nogil=True, error_model="numpy")
def normals(paths, k0, k1, out):
    """Fill ``out`` float64[2 pairs, >= paths] with the standard normals of each path."""
    for pair in range(len(out) // 2):
        for p in range(len(paths)):
            x, y = normal_pair(np.uint64(paths[p]), np.uint64(pair), NORMALS, k0, k1)
            out[2 * pair, p] = x
            out[2 * pair + 1, p] = y


@njit("void(i8[::1], f8[:, ::1], i8, u8, u8, f8[:, ::1], f8[::1], f8[:, ::1])",
    cache=True, nogil=True,
)  # fmt: skip
def asset_returns(paths, upper, degrees, k0, k1, independent, mixture, out):
    """Fill ``out`` float64[assets, paths] with the asset returns U'z of the ``paths`` int64.

    ``degrees`` 0 is Gaussian, otherwise multivariate t with the same covariance U'U.
    Scratch: ``independent`` float64[assets, made even, BLOCK] and ``mixture`` float64[BLOCK].
    """
    n = len(upper)
    for start in range(0, len(paths), BLOCK):
        some = paths[start : start + BLOCK]
        count = len(some)
        normals(some, k0, k1, independent)
        if degrees > 0:
            mixing(some, degrees, k0, k1, mixture)
        for i in range(n):
            row = out[i, start : start + count]
            row[:] = 0.0
            for j in range(i + 1):
                factor = upper[j, i]
                for p in range(count):
                    row[p] += factor * independent[j, p]
            if degrees > 0:
                for p in range(count):
                    row[p] *= mixture[p]


@njit("void(i8[::1], f8[::1], i8, u8, u8, f8[::1], f8[::1])",
    cache=True, nogil=True, error_model="numpy",
)  # fmt: skip
def portfolio_returns(paths, exposure, degrees, k0, k1, mixture, out):
    """Fill ``out`` float64[paths] with w'U'z = (Uw)'z, one product instead of one per asset.

    ``exposure`` is Uw, made even in length by a zero; the rest is that of `asset_returns`.
    """
    for start in range(0, len(paths), BLOCK):
        some = paths[start : start + BLOCK]
        part = out[start : start + len(some)]
        part[:] = 0.0
        for pair in range(len(exposure) // 2):
            for p in range(len(some)):
                x, y = normal_pair(np.uint64(some[p]), np.uint64(pair), NORMALS, k0, k1)
                part[p] += exposure[2 * pair] * x
                part[p] += exposure[2 * pair + 1] * y
        if degrees > 0:
            mixing(some, degrees, k0, k1, mixture)
            for p in range(len(some)):
                part[p] *= mixture[p]
