"""An ellipsoid against a zonotope: the oracle in the plane against dense grids, the search above against it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convexwgan.geometry.normal_distances import NORMAL_MEAN, normal_distance, normal_maxima, normal_support
from convexwgan.geometry.relu_sums import relu_sum

Array = np.ndarray[Any, Any]


def circle(count: int) -> Array:
    angle = np.linspace(0.0, 2 * np.pi, count)
    return np.column_stack([np.cos(angle), np.sin(angle)])


def test_the_support_of_gaussian_output_is_a_mean_over_a_million_samples() -> None:
    rng = np.random.default_rng(0)
    W, u = rng.standard_normal((3, 2)), circle(7)
    Z = rng.standard_normal((1_000_000, 3))
    sampled = np.array([np.maximum(Z @ (W @ x), 0.0).mean() for x in u])
    assert np.abs(sampled - normal_support(W, u)).max() <= 5e-3


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    n=st.integers(1, 12),
    rank=st.integers(0, 3),
    size=st.sampled_from([1e-6, 0.3, 1.0, 5.0]),
    scale=st.sampled_from([1e-6, 1.0, 1e6]),
)
def test_no_direction_of_a_dense_grid_beats_the_plane_oracle(
    seed: int, n: int, rank: int, size: float, scale: float
) -> None:
    rng = np.random.default_rng(seed)
    X, w = scale * rng.standard_normal((n, 2)), rng.uniform(0.1, 1.0, n)
    W = scale * size * (rng.standard_normal((2, rank)) @ rng.standard_normal((rank, 2)))
    U = circle(5000)
    F = relu_sum(X, w, U) - normal_support(W, U)
    reach = float(w @ np.linalg.norm(X, axis=1)) + float(np.linalg.norm(W))
    for sign in (1.0, -1.0):
        found = normal_maxima(X, w, W, sign)
        assert found.is_exact
        assert (sign * F).max() <= found.values[0] + 1e-12 * reach
        assert found.values[0] <= (sign * F).max() + 2e-3 * reach
        u = found.points[:1]
        assert sign * (relu_sum(X, w, u) - normal_support(W, u)) == pytest.approx(found.values[:1])


def test_repeated_rows_zero_rows_and_opposite_rows_are_no_trouble() -> None:
    X = np.array([[1.0, 0.0], [1.0, 0.0], [-1.0, 0.0], [0.0, 0.0], [2.0, 0.0]])
    W = np.diag([1.0, 0.0])
    found = normal_maxima(X, np.full(5, 0.2), W, 1.0)
    assert found.values[0] == pytest.approx(0.8 - NORMAL_MEAN)
    assert found.points[0] == pytest.approx([1.0, 0.0])


def test_flat_data_in_many_dimensions_are_exact_and_equal_those_in_the_plane() -> None:
    rng = np.random.default_rng(1)
    X, W = rng.standard_normal((9, 2)), rng.standard_normal((2, 2))
    Q = np.linalg.qr(rng.standard_normal((6, 6)))[0][:, :2]
    inside, outside = normal_distance(X, W, np.full(9, 1 / 9)), normal_distance(X @ Q.T, W @ Q.T, np.full(9, 1 / 9))
    assert outside.is_exact
    assert outside.value == pytest.approx(inside.value, rel=1e-12)
    assert np.abs(Q @ (Q.T @ outside.u) - outside.u).max() < 1e-12
    assert outside.value == pytest.approx(max(outside.real_excess.value, outside.fake_excess.value))


def test_the_search_in_space_finds_what_a_fine_grid_finds() -> None:
    rng = np.random.default_rng(2)
    X, w, W = rng.standard_normal((15, 3)), np.full(15, 1 / 15), 0.8 * rng.standard_normal((3, 3))
    U = rng.standard_normal((100_000, 3))
    U /= np.linalg.norm(U, axis=1)[:, None]
    F = relu_sum(X, w, U) - normal_support(W, U)
    for sign in (1.0, -1.0):
        found = normal_maxima(X, w, W, sign)
        assert not found.is_exact
        assert (sign * F).max() - 1e-12 <= found.values[0] <= (sign * F).max() + 1e-2


def test_all_zero_data_and_weights_have_distance_zero() -> None:
    found = normal_distance(np.zeros((3, 2)), np.zeros((2, 2)), np.full(3, 1 / 3))
    assert found.value == 0.0
    assert found.upper == 0.0
