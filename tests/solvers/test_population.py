"""The population game: both sides against dense grids, brute force and each other."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.optimize import linprog

from convexwgan import Discriminator, Generator, Problem, Regularizer, Solution, Status, verify
from convexwgan.certificates.measures import gather_measure, measure_bound
from convexwgan.errors import InputError
from convexwgan.geometry.rounding import rounded_measure
from convexwgan.solvers.conic.touring_discs import tours

Array = np.ndarray[Any, Any]
DISTRIBUTION = Generator.distribution()


def data(seed: int, n: int, d: int, shift: float = 0.0) -> Array:
    return np.random.default_rng(seed).standard_normal((n, d)) + shift


def solved(X: Array, discriminator: Discriminator, strength: float = 1.0, **options: Any) -> tuple[Problem, Solution]:
    known = {name: options.pop(name) for name in ("normalize", "n_fake") if name in options}
    problem = Problem(discriminator + DISTRIBUTION + Regularizer.output(strength), X, **known)
    return problem, problem.solve(**options)


def grid_optimum(X: Array, beta: float, count: int = 360) -> float:
    """½μ(S)² of the linear program on a grid of directions and neurons: the grid's error is O(1/count²)."""
    angle = 2 * np.pi * np.arange(count) / count
    U = np.column_stack([np.cos(angle), np.sin(angle)])
    A, h = np.maximum(U @ U.T, 0.0), np.maximum(U @ X.T, 0.0).sum(axis=1)
    found = linprog(np.ones(count), A_ub=np.vstack([-A, A]), b_ub=np.concatenate([beta - h, beta + h]))
    return 0.5 * float(found.fun) ** 2


@pytest.mark.parametrize("shift", [0.0, 1.5, 4.0])
def test_plane_equals_a_linear_program_on_a_grid(shift: float) -> None:
    X = data(0, 10, 2, shift)
    problem, solution = solved(X, Discriminator.relu(beta=0.7))
    assert solution.status is Status.CERTIFIED
    assert solution.certificate.scope == "priced"
    assert solution.value * problem.n_fake == pytest.approx(grid_optimum(X, 0.7), rel=2e-3)
    assert problem.dist(_samples(problem, solution)).value <= 0.7 * (1.0 + 1e-9)
    assert verify(problem, solution).status is Status.CERTIFIED


def _samples(problem: Problem, solution: Solution) -> Array:
    """The measure as one vector an atom: without bias h sees Σ p_kN_fg_k only direction by direction."""
    generator: Any = solution.generator
    return np.asarray(problem.n_fake * generator.weights[:, None] * generator.atoms)


def test_plane_with_200_samples_closes_to_1e_8_by_the_tour_of_discs() -> None:
    _, solution = solved(data(1, 200, 2), Discriminator.relu(beta=5.0))
    assert solution.status is Status.CERTIFIED
    assert solution.relative_gap <= 1e-8
    assert solution.stats.extra["rounds"] == 0


def test_space_closes_to_1e_3() -> None:
    _, solution = solved(data(2, 8, 3), Discriminator.relu(beta=2.0), tol=1e-3)
    assert solution.status is Status.CERTIFIED


@pytest.mark.parametrize("norm_bound", [False, True])
def test_data_of_low_rank_in_many_dimensions_are_solved_exactly(norm_bound: bool) -> None:
    flat = data(3, 9, 2)
    Q = np.linalg.qr(data(4, 6, 6))[0][:, :2]
    rule: Any = {"norm_bound": True} if norm_bound else {"beta": 0.4}
    _, inside = solved(flat, Discriminator.relu(**rule))
    _, outside = solved(flat @ Q.T, Discriminator.relu(**rule))
    assert outside.status is Status.CERTIFIED
    assert outside.value == pytest.approx(inside.value, rel=1e-6)


def test_norm_bound_equals_the_best_weight_decay_plus_distance() -> None:
    X = data(5, 8, 2)
    _, solution = solved(X, Discriminator.relu(norm_bound=True), 0.3)
    assert solution.status is Status.CERTIFIED
    values = [solved(X, Discriminator.relu(beta=b), 0.3)[1].value + b for b in np.linspace(0.1, 8.0, 40)]
    assert solution.value <= min(values) + 1e-9
    assert solution.value == pytest.approx(min(values), rel=5e-3)


def test_three_points_in_one_dimension_reach_the_paper_s_value() -> None:
    X = np.array([[-1.0], [0.0], [1.0]])
    _, solution = solved(X, Discriminator.relu(bias=True, beta=0.1), 2.0)
    assert solution.value == pytest.approx(1.62, rel=1e-6)
    generator: Any = solution.generator
    assert float(generator.weights @ np.abs(generator.atoms[:, 0])) == pytest.approx(0.6, rel=1e-3)


def test_one_dimension_with_bias_equals_the_sorted_program_when_counts_divide() -> None:
    x = np.sort(data(6, 4, 1)[:, 0])
    beta, n = 0.15, 4
    import cvxpy as cp

    w = cp.Variable(n)
    top_x, top_w = np.cumsum(x[::-1]), cp.cumsum(w[::-1])
    constraints = [w[1:] >= w[:-1], cp.abs(top_w - top_x) <= beta, cp.abs(cp.cumsum(w) - np.cumsum(x)) <= beta]
    expected = cp.Problem(cp.Minimize(0.5 * cp.sum_squares(w)), constraints).solve(solver="CLARABEL")
    _, solution = solved(x[:, None], Discriminator.relu(bias=True, beta=beta))
    assert solution.value == pytest.approx(float(expected), rel=1e-5)


def test_bias_in_the_plane_is_certified_and_feasible_by_the_other_oracle() -> None:
    X = data(7, 6, 2)
    problem, solution = solved(X, Discriminator.relu(bias=True, beta=0.2), normalize="mean", tol=1e-4)
    assert solution.status is Status.CERTIFIED
    generator: Any = solution.generator
    rng = np.random.default_rng(0)
    U = rng.standard_normal((20_000, 2))
    U, b = U / np.linalg.norm(U, axis=1)[:, None], rng.uniform(-4, 4, (20_000, 1))
    real, fake = (np.maximum(U @ rows.T + b, 0.0) for rows in (X, generator.atoms))
    assert np.abs(real.mean(axis=1) - fake @ generator.weights).max() <= 0.2 * (1.0 + 1e-4)
    assert verify(problem, solution).status is Status.CERTIFIED


def test_collapse_is_exact_and_scale_does_not_matter() -> None:
    X = data(8, 7, 2)
    assert solved(X, Discriminator.relu(beta=1e3))[1].value == 0.0
    _, small = solved(1e-6 * X, Discriminator.relu(beta=0.5e-6))
    _, large = solved(1e6 * X, Discriminator.relu(beta=0.5e6))
    assert small.status is large.status is Status.CERTIFIED
    assert large.value == pytest.approx(1e24 * small.value, rel=1e-6)


@pytest.mark.parametrize(
    "X", [np.zeros((3, 2)), np.ones((1, 2)), np.ones((4, 1)), np.array([[1.0, 2.0], [-1.0, -2.0]])]
)
@pytest.mark.parametrize("bias", [False, True])
def test_degenerate_data_are_certified(X: Array, bias: bool) -> None:
    _, solution = solved(X, Discriminator.relu(bias=bias, beta=0.1), normalize="mean")
    assert solution.status is Status.CERTIFIED, str(solution.certificate)


def test_float32_data_are_certified_at_their_own_tolerance() -> None:
    _, solution = solved(data(9, 8, 2).astype(np.float32), Discriminator.relu(beta=0.5))
    generator: Any = solution.generator
    assert solution.status is Status.CERTIFIED
    assert generator.atoms.dtype == np.float32


def test_beyond_the_exact_oracles_nothing_is_claimed() -> None:
    _, solution = solved(data(10, 8, 5), Discriminator.relu(beta=0.5), max_iter=3)
    assert solution.status is Status.UNVERIFIED
    assert solution.certificate.scope == "sampled"
    assert solution.stats.stopped == "max_iter"


def test_bias_with_sums_over_different_counts_is_refused_naming_means() -> None:
    problem = Problem(Discriminator.relu(bias=True, beta=0.5) + DISTRIBUTION, data(0, 4, 1), n_fake=7)
    with pytest.raises(InputError, match="mean"):
        problem.solve()


def test_the_measure_bound_is_below_every_finite_generator_and_rounding_comes_within_k_over_n() -> None:
    X, beta = data(11, 12, 2), 1.0
    for n_fake in (60, 600):
        problem, solution = solved(X, Discriminator.relu(beta=beta), n_fake=n_fake)
        G = rounded_measure(_samples(problem, solution), n_fake)
        assert problem.dist(G).value <= beta * (1.0 + 1e-9)
        value, K = 0.5 * float(np.square(G).sum()), len(solution.generator.weights)  # type: ignore[union-attr]
        assert solution.bound <= value <= solution.bound / (1.0 - K / n_fake) * (1.0 + 1e-6)
        evidence = gather_measure(problem.wgan, X, n_fake, "sum")
        bound = measure_bound(evidence, solution.dual["u"], solution.dual["v"])
        assert bound.value == pytest.approx(solution.bound, rel=1e-9)
        rng = np.random.default_rng(0)
        for _ in range(20):  # no finite generator that is feasible beats it
            other = G + 0.1 * rng.standard_normal(G.shape)
            rival = 0.5 * float(np.square(other).sum())
            assert problem.dist(other).value > beta or rival >= bound.value


def test_any_discriminator_proves_a_bound_and_a_tampered_one_no_better() -> None:
    problem, solution = solved(data(12, 8, 2), Discriminator.relu(beta=0.5))
    evidence, rng = problem.evidence, np.random.default_rng(0)
    for _ in range(20):
        v = solution.dual["v"] * (1.0 + 0.5 * rng.standard_normal(len(solution.dual["v"])))
        assert measure_bound(evidence, solution.dual["u"], v).value <= solution.value * (1.0 + 1e-9)
    stretched = measure_bound(evidence, 5.0 * solution.dual["u"], solution.dual["v"])
    assert stretched.value <= solution.value * (1.0 + 1e-9)


def test_tampered_solutions_are_not_certified() -> None:
    problem, solution = solved(data(13, 8, 2), Discriminator.relu(beta=0.5))
    generator: Any = solution.generator
    shrunk = replace(solution, generator=replace(generator, atoms=0.9 * generator.atoms), value=0.81 * solution.value)
    boasting = replace(solution, bound=1.1 * solution.bound)
    for lie in (shrunk, boasting):
        assert verify(problem, lie).status is not Status.CERTIFIED


def test_a_distribution_samples_its_atoms_and_survives_a_file(tmp_path: Path) -> None:
    problem, solution = solved(data(14, 4, 2), Discriminator.relu(bias=True, beta=0.3), normalize="mean")
    generator: Any = solution.generator
    assert generator.atoms.shape == (len(generator.weights), 2)
    assert generator.weights.sum() == pytest.approx(1.0)
    drawn = generator.sample(500, rng=0)
    assert drawn.shape == (500, 2)
    assert {tuple(row) for row in drawn} <= {tuple(row) for row in generator.atoms}
    moments = generator.moments
    assert moments.first == pytest.approx(generator.weights @ generator.atoms)
    with pytest.raises(InputError, match="sample"):
        _ = generator.output
    with pytest.raises(InputError, match="atoms"):
        generator(np.zeros((1, 2)))
    loaded = Solution.load(solution.save(tmp_path / "ring.safetensors"))
    assert verify(problem, loaded).status is Status.CERTIFIED
    assert loaded.discriminator is not None
    assert solution.discriminator is not None
    assert loaded.discriminator(np.ones((2, 2))) == pytest.approx(solution.discriminator(np.ones((2, 2))))


def test_the_discriminator_s_weight_is_the_sensitivity_to_beta() -> None:
    X, h = data(15, 20, 2), 1e-4
    values = [solved(X, Discriminator.relu(beta=b))[1] for b in (1.0 - h, 1.0, 1.0 + h)]
    assert values[1].sensitivity == pytest.approx((values[2].value - values[0].value) / (2 * h), rel=1e-3)


def test_limits_are_honoured_and_options_of_other_solvers_refused() -> None:
    _, solution = solved(data(16, 12, 3), Discriminator.relu(beta=0.5), max_iter=2)
    assert solution.stats.stopped == "max_iter"
    assert solution.status is Status.BRACKETED
    with pytest.raises(InputError, match="solver"):
        solved(data(0, 3, 2), Discriminator.relu(beta=0.5), solver="CLARABEL")


def test_the_tour_of_discs_needs_no_cut_from_above() -> None:
    X = data(17, 15, 2)
    X /= np.linalg.norm(X, axis=1).sum()
    *_, tour = tours(X, 0.02)
    U = np.column_stack([np.cos(t := np.linspace(0, 2 * np.pi, 5000)), np.sin(t)])
    gap = np.maximum(U @ X.T, 0).sum(axis=1) - np.maximum(U @ tour.vectors.T, 0).sum(axis=1)
    assert gap.max() == pytest.approx(0.02, rel=1e-4)
    assert gap.min() > -0.02


def test_weights_of_a_stored_discriminator_that_overflow_prove_nothing() -> None:
    X = np.random.default_rng(3).normal(size=(8, 2))
    problem = Problem(Discriminator.relu(beta=0.2) + Generator.distribution(), X, normalize="mean")
    solution = problem.solve()
    edited = replace(solution, dual={**solution.dual, "v": 1e200 * solution.dual["v"]})
    assert verify(problem, edited).status is not Status.CERTIFIED
