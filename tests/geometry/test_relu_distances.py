"""dist of ReLU neurons against brute force in dimension 1, 2 and 3, and its bracket above."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convexwgan.errors import InputError
from convexwgan.geometry.majorization import bottom_sums, integrated_quantiles, top_sums
from convexwgan.geometry.relu_distances import BELOW, EXACT, INFINITE, ReluDistance, relu_distance


def difference(X, G, u, b=0.0, w=None, v=None):
    """h_X(u, b) − h_G(u, b) by its definition."""
    w = np.ones(len(X)) if w is None else w
    v = np.ones(len(G)) if v is None else v
    return w @ np.maximum(X @ u + b, 0.0) - v @ np.maximum(G @ u + b, 0.0)


def sampled(X, G, U, bias=False):
    """(max h_X − h_G, max h_G − h_X) over directions U, with bias over all kinks."""
    if not bias:
        f = np.maximum(X @ U.T, 0.0).sum(axis=0) - np.maximum(G @ U.T, 0.0).sum(axis=0)
        return f.max(), -f.min()
    tops = [difference(X, G, u, -row @ u) for u in U for row in np.concatenate([X, G])]
    return max(0.0, *tops), max(0.0, -min(tops))


def unit_vectors(n, d, rng):
    U = rng.standard_normal((n, d))
    return U / np.linalg.norm(U, axis=1, keepdims=True)


def attains(found: ReluDistance, X, G, **weights) -> bool:
    """Whether each reported neuron gives the reported value."""
    sides = ((1.0, found.real_excess), (-1.0, found.fake_excess))
    return all(
        np.isclose(max(0.0, sign * difference(X, G, side.u, side.b or 0.0, **weights)), side.value, 1e-11, 1e-11)
        for sign, side in sides
    )


def clustered(n, d, rng):
    """Rows with ties, duplicates, parallel and opposite rows, and zeros."""
    A = rng.integers(-2, 3, (n, d)).astype(float)
    A[0], A[-1] = 0.0, -2.0 * A[1]
    return A


@pytest.mark.parametrize("seed", range(10))
def test_one_dimension_with_bias_equals_brute_force_on_100_random_pairs_each(seed: int) -> None:
    rng = np.random.default_rng(seed)
    for trial in range(100):
        n = int(rng.integers(1, 9))
        x, w = rng.standard_normal((2, n, 1)) * 10.0 ** rng.integers(-3, 4)
        if trial % 3 == 0:
            x, w = np.round(x), np.round(w)
        found = relu_distance(x, w, bias=True)
        brute = sampled(x, w, np.array([[1.0], [-1.0]]), bias=True)
        scale = 1e-9 * max(1.0, float(np.abs(np.concatenate([x, w])).max()))
        assert found.is_exact
        assert found.kind == EXACT
        assert abs(found.real_excess.value - brute[0]) <= scale
        assert abs(found.fake_excess.value - brute[1]) <= scale


@given(st.lists(st.tuples(st.integers(-5, 5), st.integers(-5, 5)), min_size=1, max_size=7))
@settings(max_examples=30, deadline=None)
def test_one_dimension_with_bias_is_the_largest_gap_of_sums_of_the_largest_and_smallest(pairs) -> None:
    x, w = np.array(pairs, dtype=float).T
    gaps = np.abs([top_sums(x) - top_sums(w), bottom_sums(x) - bottom_sums(w)])
    assert relu_distance(x[:, None], w[:, None], bias=True).value == pytest.approx(gaps.max(), abs=1e-12)


def test_means_of_unequal_counts_are_the_largest_gap_of_integrated_quantiles() -> None:
    rng = np.random.default_rng(0)
    for n, m in ((3, 7), (1, 5), (6, 4)):
        x, w = rng.standard_normal(n), rng.standard_normal(m)
        t = np.union1d(np.arange(n + 1) / n, np.arange(m + 1) / m)
        gaps = [np.abs(integrated_quantiles(s * x, t) - integrated_quantiles(s * w, t)).max() for s in (1, -1)]
        weights = {"real_weights": np.full(n, 1 / n), "fake_weights": np.full(m, 1 / m)}
        found = relu_distance(x[:, None], w[:, None], bias=True, **weights)
        assert found.value == pytest.approx(max(gaps), abs=1e-12)
        assert attains(found, x[:, None], w[:, None], w=weights["real_weights"], v=weights["fake_weights"])


def test_different_masses_with_bias_are_infinitely_far_apart() -> None:
    found = relu_distance(np.ones((3, 2)), np.ones((2, 2)), bias=True)
    assert found.value == np.inf
    assert found.kind == INFINITE
    assert not found.u.any()


def test_plane_exceeds_a_million_directions_and_is_attained() -> None:
    rng = np.random.default_rng(1)
    angles = np.linspace(0.0, 2.0 * np.pi, 1_000_000, endpoint=False)
    U = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    for X, G in [(rng.standard_normal((4, 2)), rng.standard_normal((3, 2))), (clustered(5, 2, rng), np.eye(2))]:
        found = relu_distance(X, G)
        brute = sampled(X, G, U)
        size = np.linalg.norm(X, axis=1).sum() + np.linalg.norm(G, axis=1).sum()
        assert attains(found, X, G)
        for side, best in zip((found.real_excess, found.fake_excess), brute, strict=True):
            assert max(best, 0.0) - 1e-12 <= side.value <= max(best, 0.0) + size * np.pi * 1e-6


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("draw", [lambda n, d, rng: rng.standard_normal((n, d)), clustered])
def test_space_is_at_least_every_sampled_direction_and_attained(bias: bool, draw) -> None:
    rng = np.random.default_rng(2)
    for d in (2, 3):
        X, G = draw(4, d, rng), draw(4, d, rng)
        found = relu_distance(X, G, bias=bias)
        U = unit_vectors(1_000 if bias else 200_000, d, rng)
        brute = sampled(X, G, U, bias)
        assert found.is_exact
        assert attains(found, X, G)
        for side, best in zip((found.real_excess, found.fake_excess), brute, strict=True):
            assert max(0.0, best) - 1e-12 <= side.value <= side.upper
            assert side.value <= max(0.0, best) + (0.4 if bias else 0.05) * max(1.0, best)


def test_no_ascent_from_anywhere_beats_the_exact_value_in_space() -> None:
    rng = np.random.default_rng(3)
    for _ in range(5):
        X, G = rng.standard_normal((9, 3)), rng.standard_normal((6, 3))
        exact, searched = relu_distance(X, G), relu_distance(X, G, max_work=0, starts=200)
        assert attains(exact, X, G)
        sides = ((searched.real_excess, exact.real_excess), (searched.fake_excess, exact.fake_excess))
        assert all(low.value <= full.value * (1 + 1e-12) for low, full in sides)
        assert all(low.value >= full.value * (1 - 1e-3) for low, full in sides)


def test_weighted_atoms_equal_repeated_rows() -> None:
    rng = np.random.default_rng(4)
    A, G, counts = rng.standard_normal((4, 3)), rng.standard_normal((5, 3)), np.array([1, 3, 0, 2])
    repeated = relu_distance(np.repeat(A, counts, axis=0), G)
    weighted = relu_distance(A, G, real_weights=counts.astype(float))
    assert weighted.value == pytest.approx(repeated.value, rel=1e-12)
    assert attains(weighted, A, G, w=counts)


def test_bracket_above_rank_three_contains_the_exact_value_of_a_rotated_plane() -> None:
    rng = np.random.default_rng(5)
    X, G = rng.standard_normal((2, 12, 2))
    exact = relu_distance(X, G)
    Q = np.linalg.qr(rng.standard_normal((6, 6)))[0][:2]
    assert relu_distance(X @ Q, G @ Q).is_exact
    assert relu_distance(X @ Q, G @ Q).value == pytest.approx(exact.value, rel=1e-12)
    bracket = relu_distance(X @ Q, G @ Q, max_work=0)
    assert bracket.kind == BELOW
    assert not bracket.is_exact
    assert bracket.scope == "sampled"
    assert bracket.value - 1e-12 <= exact.value <= bracket.upper


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("counts", [(8, 8), (5, 9), (7, 3)])
def test_upper_bound_in_high_dimension_holds_at_many_neurons(bias: bool, counts) -> None:
    rng = np.random.default_rng(6)
    n, m = counts
    X, G = rng.standard_normal((n, 6)), rng.standard_normal((m, 6))
    weights = {"real_weights": np.full(n, 1 / n), "fake_weights": np.full(m, 1 / m)}
    found = relu_distance(X, G, bias=bias, **weights)
    assert attains(found, X, G, w=weights["real_weights"], v=weights["fake_weights"])
    assert found.value <= found.upper
    for u in unit_vectors(500, 6, rng):
        b = float(rng.normal()) if bias else 0.0
        gap = difference(X, G, u, b, weights["real_weights"], weights["fake_weights"])
        assert -found.fake_excess.upper <= gap <= found.real_excess.upper


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6, 1e150])
@pytest.mark.parametrize("d", [1, 2, 3, 5])
def test_dist_is_homogeneous_and_zero_between_equal_samples(scale: float, d: int) -> None:
    rng = np.random.default_rng(7)
    X, G = rng.standard_normal((2, 5, d))
    for bias in (False, True):
        assert relu_distance(scale * X, scale * G, bias=bias).value == pytest.approx(
            scale * relu_distance(X, G, bias=bias).value, rel=1e-9
        )
        assert relu_distance(scale * X, scale * X[::-1], bias=bias).value <= 1e-14 * scale


def test_single_zero_row_and_empty_difference() -> None:
    assert relu_distance(np.zeros((1, 3)), np.zeros((4, 3))).value == 0.0
    assert relu_distance(np.zeros((2, 3)), np.zeros((2, 3)), bias=True).value == 0.0
    assert relu_distance(np.array([[-2.0]]), np.array([[0.0]])).value == 2.0


def test_bias_does_not_care_where_the_origin_is() -> None:
    rng = np.random.default_rng(8)
    X, G = rng.standard_normal((2, 6, 2))
    far = relu_distance(X + 1e6, G + 1e6, bias=True)
    assert far.value == pytest.approx(relu_distance(X, G, bias=True).value, rel=1e-8)
    assert abs(difference(X + 1e6, G + 1e6, far.u, far.b)) == pytest.approx(far.value, abs=1e-8)


def test_misfits_are_refused() -> None:
    for X, G, weights in [
        (np.ones((2, 2)), np.ones((2, 3)), None),
        (np.array([[np.nan]]), np.ones((1, 1)), None),
        (np.ones((2, 1)), np.ones((2, 1)), np.array([1.0, -1.0])),
        (np.ones((2, 1)), np.ones((2, 1)), np.ones(3)),
    ]:
        with pytest.raises(InputError):
            relu_distance(X, G, real_weights=weights)
