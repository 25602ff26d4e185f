"""Hierarchical risk parity (HRP).

López de Prado (2016), "Building diversified portfolios that outperform out of sample",
J. Portfolio Management 42. As there, the distance of two assets is d = sqrt((1 - rho) / 2), that
of two columns of d is Euclid's, clusters join by single linkage, and the leaves keep the order
of the tree. Libraries differ: skfolio reorders the leaves and PyPortfolioOpt clusters by d
itself, so neither gives the paper's weights, and this does.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def hierarchical(covariance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the HRP weights float64[n] of a float64[n, n] covariance with positive diagonal."""
    return bisected(covariance, quasi_diagonal(covariance))


def quasi_diagonal(covariance: NDArray[np.float64]) -> list[int]:
    """Return the assets' places in the order of the leaves of their tree."""
    if len(covariance) == 1:
        return [0]
    # Imported here: the hot path never needs them.
    from scipy.cluster.hierarchy import leaves_list, linkage  # noqa: PLC0415
    from scipy.spatial.distance import pdist  # noqa: PLC0415

    deviation = np.sqrt(np.diag(covariance))
    correlation = np.clip(covariance / np.outer(deviation, deviation), -1.0, 1.0)
    np.fill_diagonal(correlation, 1.0)
    tree = linkage(pdist(np.sqrt((1.0 - correlation) / 2.0)), "single")
    order: list[int] = leaves_list(tree).tolist()
    return order


def bisected(covariance: NDArray[np.float64], order: list[int]) -> NDArray[np.float64]:
    """Return weights float64[n]: halve the order again and again, and share by inverse variance."""
    weights = np.ones(len(covariance))
    parts = [order]
    while parts:
        part = parts.pop()
        half = len(part) // 2
        if not half:
            continue
        left, right = part[:half], part[half:]
        risk_left, risk_right = (
            _cluster_variance(covariance, left),
            _cluster_variance(covariance, right),
        )
        share = risk_right / (risk_left + risk_right)
        weights[left] *= share
        weights[right] *= 1.0 - share
        parts += [left, right]
    return weights


def _cluster_variance(covariance: NDArray[np.float64], members: list[int]) -> float:
    """Return the variance of a cluster in which each weight is by the inverse of its variance."""
    inner = covariance[np.ix_(members, members)]
    inverse = 1.0 / np.diag(inner)
    weights = inverse / inverse.sum()
    return float(weights @ inner @ weights)
