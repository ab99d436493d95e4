"""What every test may ask for: seeded randomness and each installed array library in turn."""

from __future__ import annotations

import os
from types import ModuleType

import numpy as np
import pytest
from hypothesis import settings

# Figures are drawn to files, never to a screen; set before anything imports matplotlib.
os.environ.setdefault("MPLBACKEND", "Agg")

# A red test must be red again on the next run and on the next machine: examples come from a fixed seed.
settings.register_profile("convexwgan", max_examples=30, deadline=None, derandomize=True)
settings.load_profile("convexwgan")

ARRAY_LIBRARIES = ("numpy", "torch", "array_api_strict")


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20220425)


@pytest.fixture(params=ARRAY_LIBRARIES)
def array_library(request: pytest.FixtureRequest) -> ModuleType:
    """Each installed array library: `array_library.asarray(numpy_array)` makes its arrays."""
    library: ModuleType = pytest.importorskip(request.param, reason=f"{request.param} is not installed")
    return library
