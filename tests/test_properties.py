"""Laws for all data, by hypothesis: scale, rotation, order, monotony, weak duality, sums against means."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from convexwgan import Discriminator, Generator, Problem, Regularizer, Solution, Status, verify
from convexwgan.theory.laws import check_weak_duality

Array = np.ndarray[Any, np.dtype[Any]]
ENTRIES = st.floats(-4.0, 4.0, width=32)
BETAS = st.floats(0.01, 1.5)


def tables(least: int = 1, most: int = 7, columns: int = 3) -> st.SearchStrategy[Array]:
    """Small tables with ties, zeros, duplicates and dependent columns among them."""
    shapes = st.tuples(st.integers(least, most), st.just(columns))
    return shapes.flatmap(lambda shape: arrays(np.float64, shape, elements=st.one_of(ENTRIES, st.sampled_from([0, 1]))))


SEEDS = st.integers(0, 10_000)


def noise(seed: int, n: int = 9, p: int = 5) -> Array:
    return np.random.default_rng(seed).standard_normal((n, p)) + 0.7


def rotation(seed: int, d: int = 3) -> Array:
    return np.asarray(np.linalg.qr(np.random.default_rng(seed).standard_normal((d, d)))[0])


Make = Callable[[float], Any]
"""From β_d to the architecture."""
CLOSED: dict[str, tuple[Make, bool, int]] = {
    # name: (architecture at β_d, whether it takes noise, power of the scale of X in β_d)
    "linear × free": (lambda b: Discriminator.linear(beta=b) + Generator.free(), False, 1),
    "linear × linear": (lambda b: Discriminator.linear(beta=b) + Generator.linear(), True, 1),
    "linear × linear, weights": (
        lambda b: Discriminator.linear(beta=b) + Generator.linear() + Regularizer.weights(2.0),
        True,
        1,
    ),
    "quadratic × free": (lambda b: Discriminator.quadratic(beta=b) + Generator.free(), False, 2),
    "quadratic × linear": (lambda b: Discriminator.quadratic(beta=b) + Generator.linear(), True, 2),
    "quadratic × linear, weights": (
        lambda b: Discriminator.quadratic(beta=b) + Generator.linear() + Regularizer.weights(2.0),
        True,
        2,
    ),
    "skip × free": (lambda b: Discriminator.quadratic(beta=b, skip=True) + Generator.free(), False, 2),
    "skip × linear": (lambda b: Discriminator.quadratic(beta=b, skip=True) + Generator.linear(), True, 2),
    "quadratic × free, norm bound": (
        lambda b: Discriminator.quadratic(norm_bound=True) + Generator.free() + Regularizer.output(3 * b),
        False,
        0,
    ),
    "quadratic × linear, weights, norm bound": (
        lambda b: Discriminator.quadratic(norm_bound=True) + Generator.linear() + Regularizer.weights(9 * b),
        True,
        0,
    ),
    "skip × free, norm bound": (
        lambda b: Discriminator.quadratic(norm_bound=True, skip=True) + Generator.free() + Regularizer.output(3 * b),
        False,
        0,
    ),
}
WEIGHT_DECAY = [name for name in CLOSED if "norm bound" not in name]


def size_of(X: Array, power: int) -> float:
    """The unit of β_d on these data: ‖m‖ or ‖M‖₂."""
    if power == 1:
        return float(np.linalg.norm(X.sum(axis=0)))
    return float(np.linalg.norm(X, 2) ** 2) if power == 2 else 1.0


def solve(name: str, X: Array, share: float, Z: Array | None = None, normalize: Any = "sum") -> Solution:
    """Solve with β_d = share × its unit on the data; the judge must agree with the solver's own certificate."""
    make, takes_noise, power = CLOSED[name]
    unit = size_of(X, power) / (len(X) if normalize == "mean" and power else 1)
    assume(unit > 1e-3)
    problem = Problem(make(share * unit), X, Z if takes_noise else None, normalize=normalize)
    solution = problem.solve()
    assert not math.isnan(solution.value)
    assert not math.isnan(solution.bound)
    assert solution.status in (Status.CERTIFIED, Status.INFEASIBLE, Status.UNVERIFIED), str(solution.certificate)
    assert solution.bound <= solution.value + 1e-9 * abs(solution.value) or solution.status is Status.INFEASIBLE
    assert verify(problem, solution).status is solution.status
    check_weak_duality(problem, solution)
    return solution


def same(left: Solution, right: Solution, factor: float = 1.0, rel: float = 1e-7) -> None:
    """Equal status, and values in the ratio; a knife's edge (a β_d equal to an eigenvalue) may fall either way."""
    if Status.UNVERIFIED in (left.status, right.status):
        return
    if left.status is not right.status:
        margin = min(
            (s.certificate.infeasibility.margin / max(s.certificate.infeasibility.tolerance, 1e-300))
            for s in (left, right)
            if s.certificate.infeasibility is not None
        )
        assert margin < 1e3, f"{left} and {right}"
        return
    if left.status is Status.CERTIFIED:
        scale = 1e-6 * left.certificate.scale
        assert factor * left.value == pytest.approx(right.value, rel=rel, abs=rel * factor * scale)


@pytest.mark.parametrize("name", CLOSED)
@settings(max_examples=15)
@given(X=tables(), share=BETAS, seed=SEEDS)
def test_weak_duality_holds_and_the_judge_agrees_on_any_data(name: str, X: Array, share: float, seed: int) -> None:
    for normalize in ("sum", "mean"):
        solve(name, X, share, noise(seed), normalize)


@pytest.mark.parametrize("name", WEIGHT_DECAY)
@settings(max_examples=15)
@given(X=tables(), share=BETAS, exponent=st.integers(-6, 6), seed=SEEDS)
def test_scaling_the_data_scales_the_value_and_nothing_else(
    name: str, X: Array, share: float, exponent: int, seed: int
) -> None:
    c = 7.0**exponent
    plain = solve(name, X, share, noise(seed))
    make, takes_noise, power = CLOSED[name]
    beta = share * size_of(X, power) * c**power
    scaled = Problem(make(beta), c * X, noise(seed) if takes_noise else None).solve()
    same(plain, scaled, c**2)
    if plain.status is scaled.status is Status.CERTIFIED:
        assert scaled.relative_gap == pytest.approx(plain.relative_gap, abs=1e-8)


@pytest.mark.parametrize("name", CLOSED)
@settings(max_examples=15)
@given(X=tables(), share=BETAS, seed=SEEDS)
def test_rotating_the_features_rotates_the_output_and_keeps_the_value(
    name: str, X: Array, share: float, seed: int
) -> None:
    Q = rotation(seed)
    plain, turned = solve(name, X, share, noise(seed)), solve(name, X @ Q, share, noise(seed))
    same(plain, turned)
    if plain.generator is not None and turned.generator is not None:
        S, T = plain.generator.moments.second, turned.generator.moments.second
        np.testing.assert_allclose(Q.T @ S @ Q, T, atol=1e-6 * float(np.linalg.norm(X) ** 2))


@pytest.mark.parametrize("name", CLOSED)
@settings(max_examples=15)
@given(X=tables(), share=BETAS, seed=SEEDS)
def test_the_order_of_rows_does_not_matter(name: str, X: Array, share: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    Z = noise(seed)
    same(solve(name, X, share, Z), solve(name, rng.permutation(X), share, rng.permutation(Z)))


@pytest.mark.parametrize("name", [name for name in CLOSED if CLOSED[name][1] and "weights" not in name])
@settings(max_examples=15)
@given(X=tables(), share=BETAS, seed=SEEDS)
def test_only_the_range_of_the_noise_matters_to_the_output(name: str, X: Array, share: float, seed: int) -> None:
    """Z → ZT with T invertible spans the same outputs."""
    T = rotation(seed, 5) @ np.diag([3.0, 2.0, 1.0, 0.5, 0.3])
    same(solve(name, X, share, noise(seed)), solve(name, X, share, noise(seed) @ T))


@pytest.mark.parametrize("name", WEIGHT_DECAY)
@settings(max_examples=15)
@given(X=tables(), low=BETAS, factor=st.floats(1.0, 5.0), seed=SEEDS)
def test_the_value_never_grows_with_beta(name: str, X: Array, low: float, factor: float, seed: int) -> None:
    small, large = solve(name, X, low, noise(seed)), solve(name, X, low * factor, noise(seed))
    if Status.UNVERIFIED in (small.status, large.status):
        return
    assert large.value <= small.value + 1e-8 * (abs(small.value) + 1e-6 * small.certificate.scale)
    if small.status is Status.CERTIFIED:
        assert large.status is Status.CERTIFIED


@pytest.mark.parametrize("name", WEIGHT_DECAY)
@settings(max_examples=15)
@given(X=tables(), share=BETAS, seed=SEEDS)
def test_the_value_is_convex_in_beta_where_a_discriminator_attains_it(
    name: str, X: Array, share: float, seed: int
) -> None:
    solutions = [solve(name, X, share * t, noise(seed)) for t in (1.0, 1.5, 2.0)]
    if any(s.status is not Status.CERTIFIED or s.discriminator is None for s in solutions):
        return
    left, middle, right = (s.value for s in solutions)
    assert middle <= 0.5 * (left + right) + 1e-8 * (left + 1e-6 * solutions[0].certificate.scale)
    step = 0.5 * share * size_of(X, CLOSED[name][2])
    assert left >= middle - step * solutions[1].sensitivity * 1.0 - 1e-6 * (left + solutions[0].certificate.scale)


@pytest.mark.parametrize("name", WEIGHT_DECAY)
@settings(max_examples=15)
@given(X=tables(), share=BETAS, seed=SEEDS)
def test_sums_and_means_agree_when_counts_are_equal_and_beta_is_rescaled(
    name: str, X: Array, share: float, seed: int
) -> None:
    """n_f = n_r = n: β → β/n divides the output cost by n and leaves a cost of weights alone."""
    n = len(X)
    Z = noise(seed, n=n)
    total, mean = solve(name, X, share, Z, "sum"), solve(name, X, share, Z, "mean")
    same(total, mean, 1.0 if "weights" in name else 1.0 / n)


@settings(max_examples=15)
@given(X=tables(), share=BETAS, seed=SEEDS)
def test_norm_bound_is_the_best_weight_decay(X: Array, share: float, seed: int) -> None:
    """min_G R + dist = min over β of (weight decay at β) + β: every β is an upper bound, its own dist attains it."""
    size = size_of(X, 2)
    assume(size > 1e-3)
    Z = noise(seed)
    best = Problem(Discriminator.quadratic(norm_bound=True) + Generator.linear(), X, Z).solve()
    beta = share * size
    decay = Problem(Discriminator.quadratic(beta=beta) + Generator.linear(), X, Z).solve()
    assert best.value <= decay.value + beta + 1e-8 * size
    assert best.generator is not None
    attained = Problem(Discriminator.quadratic(norm_bound=True) + Generator.linear(), X, Z).dist(best.generator.output)
    if attained.value > 1e-6 * size:
        at = Problem(Discriminator.quadratic(beta=attained.value) + Generator.linear(), X, Z).solve()
        if at.status is Status.CERTIFIED:
            assert best.value == pytest.approx(at.value + attained.value, rel=1e-6)


@settings(max_examples=15)
@given(X=tables(least=2), seed=SEEDS, size=st.floats(1e-3, 10.0))
def test_no_output_is_cheaper_than_the_bound_at_its_own_dist(X: Array, seed: int, size: float) -> None:
    """Any G is feasible at β_d = dist(X, G): its cost is never below the bound there."""
    G = size * np.random.default_rng(seed).standard_normal((len(X), 3))
    for discriminator in (
        Discriminator.linear(beta=1.0),
        Discriminator.quadratic(beta=1.0),
    ):
        distance = Problem(discriminator + Generator.free(), X).dist(G).value
        assume(distance > 1e-6)
        tight = Problem(replace(discriminator, beta=distance) + Generator.free(), X)
        assert tight.solve().bound <= 0.5 * float(np.sum(G**2)) * (1 + 1e-9) + 1e-12


@settings(max_examples=15)
@given(X=tables(least=2), Z=tables(least=2, most=8, columns=4), share=BETAS)
def test_noise_with_ties_and_low_rank_is_certified_or_proven_infeasible(X: Array, Z: Array, share: float) -> None:
    for name in ("linear × linear", "quadratic × linear", "quadratic × linear, weights", "skip × linear"):
        solution = solve(name, X, share, Z)
        if solution.status is Status.UNVERIFIED:
            assert solution.certificate.failed_checks


@settings(max_examples=15)
@given(X=tables(), seed=SEEDS, components=st.integers(1, 4))
def test_components_never_keep_more_than_they_say(X: Array, seed: int, components: int) -> None:
    assume(size_of(X, 2) > 1e-3)
    problem = Problem(Discriminator.quadratic(components=components) + Generator.linear(), X, noise(seed))
    solution = problem.solve()
    assert solution.status is Status.CERTIFIED, str(solution.certificate)
    assert solution.generator is not None
    kept = np.linalg.svd(np.asarray(solution.generator.weights))[1]
    assert int((kept > 1e-7 * max(kept[0], 1e-300)).sum()) <= components
