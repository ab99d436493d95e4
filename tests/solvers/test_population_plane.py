"""The population game on skewed, clustered, repeated and real data, its limits and what it does not claim."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convexwgan import Discriminator, Generator, Problem, Solution, Status, verify
from convexwgan.errors import InputError
from convexwgan.solvers.conic.touring_discs import fewer_atoms

Array = np.ndarray[Any, Any]
DISTRIBUTION = Generator.distribution()


def skewed(kind: str, n: int, d: int = 2, seed: int = 0) -> Array:
    rng = np.random.default_rng(seed)
    if kind == "log-normal":
        return np.asarray(np.exp(rng.standard_normal((n, d))))
    if kind == "heavy tails":
        return np.asarray(rng.standard_t(2, (n, d)))
    if kind == "clustered":
        centres = 3.0 * rng.standard_normal((5, d)) + 2.0
        return np.asarray(centres[rng.integers(5, size=n)] + 0.1 * rng.standard_normal((n, d)))
    X = rng.standard_normal((n, d))
    X[: max(1, n // 50)] *= 100.0
    return X


def solved(X: Array, fraction: float, bias: bool = False, **options: Any) -> tuple[Problem, Solution]:
    """β_d is a fraction of the mean length of the data, under means."""
    beta = fraction * float(np.linalg.norm(X, axis=1).mean())
    problem = Problem(Discriminator.relu(beta=beta, bias=bias) + DISTRIBUTION, X, normalize="mean")
    return problem, problem.solve(**options)


@pytest.mark.parametrize("kind", ["log-normal", "heavy tails", "clustered", "outliers"])
@pytest.mark.parametrize("fraction", [0.001, 0.05])
def test_skewed_data_in_the_plane_close_to_1e_6_by_tours_alone(kind: str, fraction: float) -> None:
    problem, solution = solved(skewed(kind, 150), fraction)
    assert solution.status is Status.CERTIFIED
    assert solution.relative_gap <= 1e-6
    assert solution.stats.extra["rounds"] == 0
    assert verify(problem, solution).status is Status.CERTIFIED


def test_500_log_normal_points_close_to_1e_6() -> None:
    _, solution = solved(skewed("log-normal", 500), 0.01)
    assert solution.status is Status.CERTIFIED
    assert solution.relative_gap <= 1e-6


def test_real_planes_close_to_1e_6() -> None:
    datasets = pytest.importorskip("sklearn.datasets")
    images = datasets.load_digits().data[:200]
    images = images - images.mean(axis=0)
    scores = images @ np.linalg.svd(images, full_matrices=False)[2][:2].T
    for X in (scores, datasets.load_iris().data[:, 2:]):
        _, solution = solved(X, 0.02)
        assert solution.status is Status.CERTIFIED
        assert solution.relative_gap <= 1e-6


@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    n=st.integers(1, 12),
    shift=st.sampled_from([0.0, 0.3, 1.0, 4.0]),
    fraction=st.sampled_from([1e-3, 0.03, 0.2, 0.6]),
    copies=st.sampled_from([1, 2]),
    thin=st.sampled_from([1.0, 1e-3]),
)
def test_any_small_set_in_the_plane_is_certified(
    seed: int, n: int, shift: float, fraction: float, copies: int, thin: float
) -> None:
    X = np.repeat(np.round(2.0 * np.random.default_rng(seed).standard_normal((n, 2)) + shift, 1), copies, axis=0)
    X[0] += 0.05  # not all 0
    X[:, 1] *= thin
    _, solution = solved(X, fraction, tol=1e-5)
    assert solution.status is Status.CERTIFIED, str(solution.certificate)


@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_the_scale_of_skewed_data_changes_nothing(scale: float) -> None:
    X = skewed("log-normal", 20)
    _, plain = solved(X, 0.03)
    _, scaled = solved(scale * X, 0.03)
    assert scaled.status is Status.CERTIFIED
    assert scaled.value == pytest.approx(scale**2 * plain.value, rel=1e-7)


@pytest.mark.parametrize("bias", [False, True])
def test_rank_one_data_inside_three_features_are_the_line_game(bias: bool) -> None:
    x = np.random.default_rng(0).standard_normal((9, 1)) + 0.4
    direction = np.array([[1.0, 2.0, -2.0]]) / 3.0
    _, line = solved(x, 0.1, bias)
    _, inside = solved(x @ direction, 0.1, bias)
    assert inside.status is line.status is Status.CERTIFIED
    assert inside.value == pytest.approx(line.value, rel=1e-6)


@pytest.mark.parametrize(("n", "d"), [(1, 2), (1, 3), (2, 3), (2, 5)])
def test_one_and_two_samples_are_certified_at_tiny_and_huge_beta(n: int, d: int) -> None:
    X = np.random.default_rng(3).standard_normal((n, d))
    for fraction in (1e-6, 0.2, 1e3):
        _, solution = solved(X, fraction, tol=1e-5)
        assert solution.status is Status.CERTIFIED
    assert solution.value == 0.0


def test_beta_zero_is_refused() -> None:
    with pytest.raises(InputError, match="beta"):
        Discriminator.relu(beta=0.0)


def test_a_time_limit_in_space_ends_the_search_and_keeps_the_bracket() -> None:
    _, solution = solved(skewed("heavy tails", 30, 3), 0.01, tol=1e-6, time_limit=0.5)
    assert solution.stats.stopped == "time_limit"
    assert solution.status is Status.BRACKETED
    assert 0.0 <= solution.bound < solution.value


@pytest.mark.parametrize(("d", "bias"), [(4, False), (3, True)])
@pytest.mark.parametrize("fraction", [0.2, 1e3])
def test_searched_oracles_are_never_certified(d: int, bias: bool, fraction: float) -> None:
    X = np.random.default_rng(1).standard_normal((6, d))
    problem, solution = solved(X, fraction, bias, max_iter=2, tol=1e-2)
    for certificate in (solution.certificate, verify(problem, solution)):
        assert certificate.scope == "sampled"
        assert certificate.status is Status.UNVERIFIED
    details = " ".join(check.detail for check in solution.certificate.checks)
    assert "searched only" in details


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6), n=st.integers(1, 30), thin=st.sampled_from([1.0, 1e-3]))
def test_fewer_atoms_are_the_same_zonotope(seed: int, n: int, thin: float) -> None:
    rng = np.random.default_rng(seed)
    theta = rng.standard_normal((n, 2)) * [1.0, thin]
    g, f = rng.uniform(0, 1, (2, n, 1)) * (rng.uniform(0, 1, (2, n, 1)) > 0.2) * theta
    slots = np.concatenate([g, -f])
    fewer = fewer_atoms(slots)
    assert int(fewer.any(axis=1).sum()) <= n + 2 or (thin < 1.0 and (fewer == slots).all())
    U = rng.standard_normal((200, 2))
    h, other = (np.maximum(U @ vectors.T, 0.0).sum(axis=1) for vectors in (slots, fewer))
    assert other == pytest.approx(h, abs=1e-10 * (1.0 + n))


def test_the_plane_needs_no_more_atoms_than_samples_and_two() -> None:
    for kind in ("log-normal", "outliers"):
        _, solution = solved(skewed(kind, 100), 0.01)
        generator: Any = solution.generator
        assert len(generator.weights) <= 102
