"""Local ascent of the pricing function: monotone, on the sphere, never above the exact maximum."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convexwgan.geometry.arrangements import enumerate_cells
from convexwgan.geometry.ascent import ascend, gains, unit
from convexwgan.geometry.pricing import price


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 12), st.integers(1, 4), st.integers(1, 3), st.booleans())
def test_ascent_never_loses_stays_on_the_sphere_and_below_the_exact_maximum(seed, n, r, d, ties):
    rng = np.random.default_rng(seed)
    Z = rng.integers(-2, 3, (n, r)).astype(float) if ties else rng.standard_normal((n, r))
    R = rng.standard_normal((n, d))
    U = unit(rng.standard_normal((8, r)))
    climbed = ascend(Z, R, U)
    np.testing.assert_allclose(np.linalg.norm(climbed, axis=1), 1.0, rtol=1e-12)
    assert (gains(Z, R, climbed) >= gains(Z, R, U) * (1 - 1e-12)).all()
    if np.linalg.matrix_rank(Z) == r:
        exact = price(enumerate_cells(Z), Z, R)
        assert gains(Z, R, climbed).max() <= exact.upper


def test_gains_in_blocks_are_the_definition():
    rng = np.random.default_rng(0)
    Z, R, U = rng.standard_normal((3000, 3)), rng.standard_normal((3000, 2)), rng.standard_normal((6000, 3))
    expected = [np.linalg.norm(R.T @ np.maximum(Z @ u, 0.0)) for u in U[::997]]
    np.testing.assert_allclose(gains(Z, R, U)[::997], expected, rtol=1e-12)


def test_a_start_without_gain_or_slope_stays_where_it_is():
    Z, R = np.array([[1.0, 0.0]]), np.array([[1.0]])
    assert ascend(Z, R, np.array([[-1.0, 0.0]])).tolist() == [[-1.0, 0.0]]


def test_ascent_runs_on_the_library_of_the_latents():
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(1)
    Z, R, U = rng.standard_normal((20, 5)), rng.standard_normal((20, 2)), unit(rng.standard_normal((6, 5)))
    found = ascend(torch.asarray(Z), R, U)
    assert isinstance(found, torch.Tensor)
    np.testing.assert_allclose(gains(Z, R, found.numpy()), gains(Z, R, ascend(Z, R, U)), rtol=1e-6)
