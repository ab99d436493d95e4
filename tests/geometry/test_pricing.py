"""Exact pricing against an independent search of all the faces of all the cells, and its bounds in order."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convexwgan.arrays import to_numpy64
from convexwgan.errors import InputError
from convexwgan.geometry.arrangements import enumerate_cells
from convexwgan.geometry.local_pricing import price_local
from convexwgan.geometry.pricing import price, price_scalar, price_upper_bound


def instance(seed, n, r, d_r, is_degenerate):
    rng = np.random.default_rng(seed)
    if not is_degenerate:
        return rng.standard_normal((n, r)), rng.standard_normal((n, d_r))
    Z = rng.integers(-2, 3, size=(n, r)).astype(float)
    Z[0, 0] = 1.0
    return Z, rng.integers(-1, 2, size=(n, d_r)).astype(float)


def objective(Z, R, u):
    return np.linalg.norm(R.T @ np.maximum(Z @ u, 0.0))


def price_by_all_subspaces(Z, R):
    """The maximum over stationary points of every face: the subspace on which some rows vanish, cell by cell.

    Knows nothing of rays, triangulations and bounds.
    """
    rows = np.unique(Z[np.linalg.norm(Z, axis=1) > 0], axis=0)
    r, best = Z.shape[1], 0.0
    for pattern in enumerate_cells(Z).patterns:
        A = (Z * pattern[:, None]).T @ R
        for size in range(r):
            for vanishing in combinations(rows, size):
                N = np.eye(r) if size == 0 else np.linalg.svd(np.array(vanishing))[2][size:].T
                for w in np.linalg.eigh(N.T @ A @ A.T @ N)[1].T:
                    for u in (N @ w, -N @ w):
                        best = max(best, objective(Z, R, u))
    return best


INSTANCES = {"seed": st.integers(0, 10**6), "r": st.integers(1, 4), "d_r": st.integers(1, 4)}


@given(**INSTANCES, is_degenerate=st.booleans())
@settings(max_examples=12)
def test_price_is_the_best_stationary_point_of_all_faces(seed, r, d_r, is_degenerate):
    Z, R = instance(seed, 5 if r == 4 else 6, r, d_r, is_degenerate)
    result = price(enumerate_cells(Z), Z, R)
    assert result.value == pytest.approx(price_by_all_subspaces(Z, R), rel=1e-9, abs=1e-12)


@given(**INSTANCES, is_degenerate=st.booleans(), n=st.integers(1, 25))
@settings(max_examples=30)
def test_price_is_attained_at_u_and_bracketed_by_local_search_and_upper_bound(seed, r, d_r, is_degenerate, n):
    Z, R = instance(seed, n, r, d_r, is_degenerate)
    result = price(enumerate_cells(Z), Z, R)
    assert np.linalg.norm(result.u) <= 1 + 1e-12
    assert objective(Z, R, result.u) == pytest.approx(result.value, rel=1e-12, abs=1e-15)
    assert price_local(Z, R, rng=seed, starts=16).value <= result.upper
    assert result.value <= result.upper <= result.value + 1e-9 * (1 + np.linalg.norm(R) * np.linalg.norm(Z))
    assert result.value <= price_upper_bound(Z, R)
    assert result.is_exact


@given(st.integers(0, 10**6), st.integers(1, 3))
@settings(max_examples=15)
def test_price_in_the_plane_is_the_maximum_over_a_fine_grid_of_angles(seed, d_r):
    Z, R = instance(seed, 12, 2, d_r, is_degenerate=seed % 2 == 0)
    theta = np.linspace(0, 2 * np.pi, 20_001)
    grid = np.linalg.norm(np.maximum(np.column_stack([np.cos(theta), np.sin(theta)]) @ Z.T, 0.0) @ R, axis=1)
    value = price(enumerate_cells(Z), Z, R).value
    assert grid.max() <= value * (1 + 1e-12) + 1e-12
    assert value <= grid.max() + 1e-3 * np.linalg.norm(R) * np.linalg.norm(Z)


@given(**INSTANCES)
@settings(max_examples=15)
def test_price_does_not_depend_on_coordinates_zero_rows_or_an_extra_rotation_of_the_output(seed, r, d_r):
    rng = np.random.default_rng(seed)
    Z, R = instance(seed, 10, r, d_r, is_degenerate=False)
    lift, _ = np.linalg.qr(rng.standard_normal((r + 3, r)))
    rotation, _ = np.linalg.qr(rng.standard_normal((d_r + 20, d_r)))
    plain = price(enumerate_cells(Z), Z, R)
    more_Z = np.vstack([np.zeros(r + 3), Z @ lift.T])
    more_R = np.vstack([np.ones((1, d_r + 20)), R @ rotation.T])
    assert price(enumerate_cells(more_Z), more_Z, more_R).value == pytest.approx(plain.value, rel=1e-9)


@pytest.mark.parametrize("r", [1, 2, 3, 4])
def test_residual_zero_has_price_zero(r):
    Z = np.random.default_rng(r).standard_normal((8, r))
    result = price(enumerate_cells(Z), Z, np.zeros((8, 3)))
    assert result.value == result.upper == 0.0
    assert price_upper_bound(Z, np.zeros((8, 3))) == 0.0


def test_bounds_exclude_nearly_all_cells_of_a_large_arrangement():
    Z, R = instance(0, 60, 3, 5, is_degenerate=False)
    arrangement = enumerate_cells(Z)
    result = price(arrangement, Z, R)
    assert result.cells_priced < 0.1 * arrangement.count


@given(seed=st.integers(0, 10**6), r=st.integers(1, 4), is_degenerate=st.booleans())
@settings(max_examples=20)
def test_scalar_price_of_both_signs_is_the_price_of_one_column(seed, r, is_degenerate):
    Z, R = instance(seed, 9, r, 1, is_degenerate)
    arrangement, w = enumerate_cells(Z), R[:, 0]
    signed = [price_scalar(arrangement, Z, sign * w) for sign in (1.0, -1.0)]
    assert max(result.value for result in signed) == pytest.approx(price(arrangement, Z, R).value, abs=1e-12)
    for sign, result in zip((1.0, -1.0), signed, strict=True):
        assert result.value == pytest.approx(sign * w @ np.maximum(Z @ result.u, 0.0), abs=1e-12)


def test_scalar_price_without_a_positive_direction_is_zero_at_zero():
    Z = np.random.default_rng(0).standard_normal((6, 3))
    result = price_scalar(enumerate_cells(Z), Z, -np.ones(6))
    assert result.value == 0.0
    assert not result.u.any() or np.maximum(Z @ result.u, 0.0).max() < 1e-12


def test_scalar_price_of_ones_is_the_farthest_vertex_of_the_zonotope():
    Z = np.random.default_rng(3).standard_normal((9, 3))
    corners = ((np.arange(2**9)[:, None] >> np.arange(9)) & 1) @ Z
    result = price_scalar(enumerate_cells(Z), Z, np.ones(9))
    assert result.value == pytest.approx(np.linalg.norm(corners, axis=1).max(), rel=1e-12)


def test_local_ascent_reaches_the_exact_price_on_every_library(asarray):
    Z, R = instance(1, 20, 3, 2, is_degenerate=False)
    exact = price(enumerate_cells(Z), Z, R).value
    result = price_local(asarray(Z), asarray(R), rng=0, starts=32)
    assert result.value == pytest.approx(exact, rel=1e-6)
    assert result.value == pytest.approx(objective(Z, R, to_numpy64(result.u)), rel=1e-12)
    assert not result.is_exact
    assert result.upper == np.inf


def test_local_ascent_works_at_high_rank_and_stays_below_the_bound():
    rng = np.random.default_rng(0)
    Z, R = rng.standard_normal((80, 20)), rng.standard_normal((80, 6))
    result = price_local(Z, R, rng=0)
    random_best = max(objective(Z, R, u / np.linalg.norm(u)) for u in rng.standard_normal((2000, 20)))
    assert random_best < result.value <= price_upper_bound(Z, R)


def test_upper_bound_is_invariant_under_positive_scaling_of_rows_against_weights():
    Z, R = instance(2, 15, 3, 2, is_degenerate=False)
    c = np.random.default_rng(0).uniform(0.01, 100.0, size=(15, 1))
    exact = price(enumerate_cells(Z), Z, R).value
    assert exact <= price_upper_bound(c * Z, R / c)
    assert price(enumerate_cells(c * Z), c * Z, R / c).value == pytest.approx(exact, rel=1e-9)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a, Z, R: (a, Z, R[:-1]), "rows of R"),
        (lambda a, Z, R: (a, Z[:-1], R[:-1]), "shape"),
        (lambda a, Z, R: (a, Z + 1.0, R), "lie on its hyperplane"),
        (lambda a, Z, R: (a, Z, R * np.nan), "finite"),
        (lambda a, Z, R: (a.select(np.arange(3)), Z, R), "exhaustive"),
    ],
)
def test_what_would_make_the_price_wrong_is_refused(change, message):
    Z, R = instance(0, 6, 3, 2, is_degenerate=False)
    with pytest.raises(InputError, match=message):
        price(*change(enumerate_cells(Z), Z, R))


def test_ambiguous_ties_give_no_upper_bound():
    Z = np.array([[1.0, 0, 0], [0, 1.0, 0], [0, 0, 1.0], [1.0, 1.0, 3e-11]])
    R = np.random.default_rng(0).standard_normal((4, 2))
    result = price(enumerate_cells(Z), Z, R)
    assert not result.is_exact
    assert result.upper == np.inf
    assert result.value == pytest.approx(objective(Z, R, result.u))


def test_price_on_badly_scaled_columns_is_attained_and_no_search_beats_it():
    Z, R = instance(5, 14, 3, 2, is_degenerate=True)
    Z = Z * [1e-4, 1.0, 1e4]
    result = price(enumerate_cells(Z), Z, R)
    assert result.is_exact
    assert price_local(Z, R, rng=0).value <= result.upper <= result.value * (1 + 1e-6)


def test_rank_five_is_refused_with_what_to_use_instead():
    Z = np.random.default_rng(0).standard_normal((6, 5))
    with pytest.raises(InputError, match="use price_local and price_upper_bound"):
        price(enumerate_cells(Z), Z, np.ones((6, 1)))


def test_no_starts_are_refused():
    with pytest.raises(InputError, match="starts = 0 must be >= 1"):
        price_local(np.eye(2), np.ones((2, 1)), rng=0, starts=0)
