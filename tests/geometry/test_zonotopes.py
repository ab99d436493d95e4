"""The farthest vertex of a zonotope, against all 2ⁿ of its candidate vertices."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convexwgan.errors import InputError
from convexwgan.geometry.zonotopes import farthest_vertex, farthest_vertex_bound


def by_brute_force(Z: np.ndarray) -> float:
    return float(np.linalg.norm(np.array(list(product([0.0, 1.0], repeat=len(Z)))) @ Z, axis=1).max())


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 9), st.integers(1, 6))
def test_farthest_vertex_is_exact_up_to_rank_four_and_bracketed_above(seed: int, n: int, d: int) -> None:
    Z = np.random.default_rng(seed).standard_normal((n, d))
    truth, found = by_brute_force(Z), farthest_vertex(Z)
    assert found.is_exact == (min(n, d) <= 4)
    assert found.value <= truth * (1 + 1e-12)
    assert found.upper >= truth * (1 - 1e-12)
    assert np.maximum(Z @ found.u, 0.0).sum() == pytest.approx(found.value, rel=1e-12)
    assert farthest_vertex_bound(Z, found.sign_weights) <= truth * np.sqrt(np.pi / 2) * 1.01
    if found.is_exact:
        assert found.value == pytest.approx(truth, rel=1e-12)


def test_any_weights_give_an_upper_bound(rng: np.random.Generator) -> None:
    Z = rng.standard_normal((8, 3))
    truth = by_brute_force(Z)
    assert all(farthest_vertex_bound(Z, rng.uniform(-0.1, 1.0, 9)) >= truth for _ in range(200))


def test_high_rank_is_bracketed_within_a_quarter(rng: np.random.Generator) -> None:
    found = farthest_vertex(rng.standard_normal((500, 48)))
    assert not found.is_exact
    assert found.value <= found.upper <= np.sqrt(np.pi / 2) * 1.01 * found.value


def test_zero_generators_have_only_the_origin() -> None:
    found = farthest_vertex(np.zeros((3, 2)))
    assert found.value == found.upper == 0.0
    with pytest.raises(InputError, match="finite"):
        farthest_vertex(np.full((2, 2), np.nan))
