"""The least spread numbers: feasible, and the best for every p-norm at once, against brute force by a solver."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convexwgan.errors import InputError
from convexwgan.geometry.least_spread import least_spread
from convexwgan.geometry.majorization import bottom_sums, top_sums
from convexwgan.geometry.relu_distances import relu_distance

NUMBERS = st.lists(st.integers(-6, 6).map(lambda k: k / 2), min_size=1, max_size=8)
RADII = st.sampled_from([0.0, 0.05, 0.5, 1.0, 4.0, 100.0])


@given(NUMBERS, RADII)
@settings(max_examples=30, deadline=None)
def test_least_spread_is_sorted_and_within_the_distance(x: list[float], beta: float) -> None:
    found = least_spread(np.array(x), beta)
    assert (np.diff(found.w) >= 0.0).all()
    assert relu_distance(np.array(x)[:, None], found.w[:, None], bias=True).value <= beta + 1e-13 * (10 + beta)
    assert found.sizes.sum() == len(x)
    assert found.shift == pytest.approx(found.w.sum() - sum(x), abs=1e-12 * (10 + beta))


@given(NUMBERS, RADII, st.integers(0, 10**6))
@settings(max_examples=30, deadline=None)
def test_no_other_numbers_within_the_distance_have_a_smaller_norm(x: list[float], beta: float, seed: int) -> None:
    rng, x = np.random.default_rng(seed), np.sort(x)
    best = least_spread(x, beta).w
    for _ in range(40):
        rival = np.sort(x * rng.uniform(0, 1) + rng.normal(0, rng.uniform(0, 1), len(x)) + rng.normal(0, 0.3))
        gap = np.abs([top_sums(rival) - top_sums(x), bottom_sums(rival) - bottom_sums(x)]).max()
        rival = x + (rival - x) * min(1.0, beta / max(gap, 1e-300))  # dist is convex along sorted numbers
        for p in (1.0, 2.0, 3.5, np.inf):
            assert np.linalg.norm(best, p) <= np.linalg.norm(rival, p) * (1 + 1e-12) + 1e-12


@pytest.mark.parametrize("p", [1, 2, 3, np.inf])
def test_a_conic_solver_finds_the_same_norm(p: float) -> None:
    cp = pytest.importorskip("cvxpy")
    rng = np.random.default_rng(0)
    for _ in range(6):
        n = int(rng.integers(2, 7))
        x, beta = np.sort(rng.normal(size=n) + rng.choice([0, 2, -2])), float(rng.choice([0.1, 0.5, 2.0]))
        v = cp.Variable(n)
        tubes = [cp.abs(cp.cumsum(v) - np.cumsum(x)) <= beta]
        tubes += [cp.abs(cp.cumsum(v[::-1]) - np.cumsum(x[::-1])) <= beta, cp.diff(v) >= 0]
        value = cp.Problem(cp.Minimize(cp.norm(v, p)), tubes).solve(solver="CLARABEL")
        assert np.linalg.norm(least_spread(x, beta).w, p) == pytest.approx(value, abs=2e-6)


def test_paper_figure_1_and_the_unlabelled_counterexample() -> None:
    assert least_spread(np.array([-1.0, 1.0]), 0.1).w.tolist() == [-0.9, 0.9]
    assert least_spread(np.array([-1.0, 1.0]), 1.0).w.tolist() == [0.0, 0.0]
    x, w = np.arange(4.0), np.array([-1.0, 3.0, 0.0, 4.0])  # meets the paper's labelled inequalities at β_d = 1
    assert relu_distance(x[:, None], w[:, None], bias=True).value == 2.0


def test_bad_input_is_refused() -> None:
    for x, beta in (([], 1.0), ([np.nan], 1.0), ([1.0], -1.0), ([1.0], np.nan)):
        with pytest.raises(InputError):
            least_spread(np.array(x), beta)
