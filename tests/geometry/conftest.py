"""Fixtures of the geometry tests: each array library in turn, and a seeded generator."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

LIBRARIES = ("numpy", "torch", "array_api_strict")


@pytest.fixture(params=LIBRARIES)
def asarray(request: pytest.FixtureRequest) -> Callable[[Any], Any]:
    """Turns NumPy values into an array of the library under test, dtype kept."""
    name = request.param
    if importlib.util.find_spec(name) is None:
        pytest.skip(f"{name} is not installed")
    library = importlib.import_module(name)

    def convert(values: Any) -> Any:
        return library.asarray(np.array(values))

    return convert


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20240611)
