"""Maxima of sums of ReLUs against dense sampling, and the proven bounds against both."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convexwgan.certificates.relu_upper import affine_upper, quadratic_upper, sphere_upper
from convexwgan.errors import InputError
from convexwgan.geometry.relu_planes import affine_maxima, lifted, quadratic_maxima
from convexwgan.geometry.relu_sums import relu_sum, sphere_maxima
from convexwgan.geometry.rounding import rounded_counts, rounded_measure
from convexwgan.geometry.spheres import evaluate, maxima

Array = np.ndarray[Any, Any]


def case(seed: int, n: int, d: int) -> tuple[Array, Array]:
    """Rows with ties, opposites, duplicates and zeros, and weights of both signs."""
    rng = np.random.default_rng(seed)
    rows = rng.standard_normal((n, d))
    if seed % 3 == 1:
        rows = np.concatenate([rows, rows[:2], -rows[:2], np.zeros((1, d))])
    if seed % 3 == 2:
        rows = np.round(2 * rows)
    return rows, rng.standard_normal(len(rows))


def size_of(rows: Array, w: Array) -> float:
    return float(np.abs(w) @ np.linalg.norm(rows, axis=1))


def directions(d: int, count: int = 40_000) -> Array:
    U = np.random.default_rng(9).standard_normal((count, d))
    return np.asarray(U / np.linalg.norm(U, axis=1)[:, None])


@pytest.mark.parametrize("d", [1, 2, 3])
@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10**6), n=st.integers(1, 12))
def test_no_direction_beats_the_maxima_and_the_proven_bound_is_tight(d: int, seed: int, n: int) -> None:
    rows, w = case(seed, n, d)
    found = sphere_maxima(rows, w)
    size = float(np.abs(w) @ np.linalg.norm(rows, axis=1))
    assert found.is_exact
    assert found.values[0] >= relu_sum(rows, w, directions(d)).max() - 1e-12 * size
    assert found.values[0] == pytest.approx(relu_sum(rows, w, found.points[:1])[0], abs=1e-12 * size)
    upper = sphere_upper(rows, w, max(float(found.values[0]), 0.0), 1e-7 * size)
    assert max(found.values[0], 0.0) - 1e-12 * size <= upper <= max(found.values[0], 0.0) + 1.1e-7 * size


def test_a_wrong_known_value_cannot_lower_the_proven_bound() -> None:
    rows, w = case(0, 9, 2)
    best = float(sphere_maxima(rows, w).values[0])
    assert sphere_upper(rows, w, 0.5 * best, 0.1 * best) >= best * (1.0 - 1e-12)


@pytest.mark.parametrize("d", [1, 2])
@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6), n=st.integers(2, 9))
def test_no_biased_neuron_beats_the_maxima_and_the_proven_bound_is_tight(d: int, seed: int, n: int) -> None:
    rows, w = case(seed, n, d)
    w = w - w.mean()
    found, rng = affine_maxima(rows, w), np.random.default_rng(1)
    neurons = np.column_stack([directions(d, 20_000), rng.uniform(-4, 4, 20_000)])
    size = float(np.abs(w) @ (1.0 + np.linalg.norm(rows, axis=1)))
    assert found.values[0] >= relu_sum(lifted(rows), w, neurons).max() - 1e-12 * size
    upper = affine_upper(rows, w, float(found.values[0]), 1e-7 * size)
    assert found.values[0] - 1e-12 * size <= upper <= found.values[0] + 2e-7 * size


@pytest.mark.parametrize("d", [1, 2])
@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6), n=st.integers(1, 9))
def test_no_point_beats_the_quadratic_maxima_and_the_proven_bound_is_tight(d: int, seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    neurons, lam, kappa = rng.standard_normal((n, d + 1)), rng.standard_normal(n), 0.7
    found = quadratic_maxima(neurons, lam, kappa)
    points = 3.0 * rng.standard_normal((20_000, d))
    values = relu_sum(neurons, lam, lifted(points)) - 0.5 * kappa * np.square(points).sum(axis=1)
    assert found.values[0] >= values.max() - 1e-9
    upper = quadratic_upper(neurons, lam, kappa, float(found.values[0]), 1e-7)
    assert found.values[0] - 1e-9 <= upper <= found.values[0] + 1.1e-7


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10**6), n=st.integers(2, 12))
def test_both_oracles_of_space_agree(seed: int, n: int) -> None:
    rows, w = case(seed, n, 3)
    for sign, neuron in zip((1.0, -1.0), maxima(rows, w, False), strict=True):
        value = max(float(sphere_maxima(rows, sign * w).values[0]), 0.0)
        assert value == pytest.approx(sign * float(evaluate(rows, w, neuron.u[None])[0]), abs=1e-9 * size_of(rows, w))


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10**6), n=st.integers(2, 12))
def test_both_oracles_with_bias_agree_in_the_plane(seed: int, n: int) -> None:
    rows, w = case(seed, n, 2)
    w = w - w.mean()
    for sign, neuron in zip((1.0, -1.0), maxima(rows, w, True), strict=True):
        value = max(float(affine_maxima(rows, sign * w).values[0]), 0.0)
        other = sign * float(evaluate(rows, w, neuron.u[None], neuron.b)[0])
        assert value == pytest.approx(max(other, 0.0), abs=1e-9 * size_of(rows, w))


def test_every_ascent_in_space_ends_at_a_local_maximum_that_was_found() -> None:
    rows, w = case(5, 12, 3)
    found = sphere_maxima(rows, w)
    U, values = directions(3, 300), np.full(300, -np.inf)
    for step in np.geomspace(1.0, 1e-7, 120):
        moved = U + step * np.random.default_rng(int(1e9 * step)).standard_normal((40, *U.shape))
        moved = np.concatenate([U[None], moved / np.linalg.norm(moved, axis=2)[..., None]])
        f = relu_sum(rows, w, moved.reshape(-1, 3)).reshape(moved.shape[:2])
        U, values = moved[f.argmax(axis=0), np.arange(300)], f.max(axis=0)
    assert np.abs(values[:, None] - found.values[None]).min(axis=1).max() <= 1e-5 * size_of(rows, w)


def test_beyond_space_the_maxima_are_searched_and_say_so() -> None:
    rows, w = case(3, 20, 5)
    found = sphere_maxima(rows, w, rng=0)
    assert not found.is_exact
    assert found.values[0] >= relu_sum(rows, w, directions(5)).max() * 0.999


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6), K=st.integers(1, 5), extra=st.integers(0, 12))
def test_greedy_rounding_beats_every_other_split_and_keeps_the_measure(seed: int, K: int, extra: int) -> None:
    rng = np.random.default_rng(seed)
    vectors = rng.standard_normal((K, 2))
    masses, n = np.linalg.norm(vectors, axis=1), K + extra
    counts = rounded_counts(masses, n)
    assert counts.sum() == n
    assert counts.min() >= 1.0
    for _ in range(50):
        other = 1.0 + rng.multinomial(extra, np.ones(K) / K)
        assert (masses**2 / counts).sum() <= (masses**2 / other).sum() + 1e-12
    G = rounded_measure(vectors, n)
    U = directions(2, 200)
    assert np.maximum(G @ U.T, 0.0).sum(axis=0) == pytest.approx(np.maximum(vectors @ U.T, 0.0).sum(axis=0), abs=1e-12)
    if extra:
        assert np.square(G).sum() <= masses.sum() ** 2 / extra + 1e-12


def test_rounding_to_fewer_samples_than_atoms_is_refused() -> None:
    with pytest.raises(InputError, match="at least the 3 atoms"):
        rounded_counts(np.ones(3), 2)
