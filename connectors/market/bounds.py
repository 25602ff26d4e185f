"""Bounds of a tick's values, within which sums, products and ratios of them stay finite."""

from __future__ import annotations

LEAST_PRICE, MOST_PRICE = 1e-15, 1e15
LEAST_SIZE, MOST_SIZE = 1e-18, 1e18
