"""Random numbers of the tests of signals."""

from __future__ import annotations

import numpy as np
import pytest


@pytest.fixture
def rng() -> np.random.Generator:
    """The same random numbers for each test."""
    return np.random.Generator(np.random.Philox(key=11))
