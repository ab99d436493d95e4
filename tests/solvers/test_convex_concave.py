"""Free samples against ReLU neurons: both bounds of the convex–concave procedure, and every way of ending early."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convexwgan import Discriminator, Generator, Problem, Regularizer, Solution, Status, verify
from convexwgan.certificates import PlainClaim
from convexwgan.certificates.certify import certify
from convexwgan.geometry.relu_sums import relu_sum
from convexwgan.solvers.convex_concave import evenly_cut
from convexwgan.solvers.linearised_zonotopes import least_norm
from convexwgan.theory.convex_concave_free_generator import FreePiecewiseMeans
from convexwgan.theory.laws import check_reduction_inverts, check_weak_duality

Array = np.ndarray[Any, Any]
FREE = Generator.free()


def data(seed: int, n: int, d: int = 2) -> Array:
    return np.random.default_rng(seed).standard_normal((n, d))


def posed(X: Array, beta: float, strength: float = 1.0, **known: Any) -> Problem:
    return Problem(Discriminator.relu(beta=beta) + FREE + Regularizer.output(strength), X, **known)


def sampled_dist(X: Array, G: Array, count: int = 200_000, weights: tuple[float, float] = (1.0, 1.0)) -> float:
    """A lower bound on dist by directions drawn at random: knows nothing of arcs or cells."""
    U = np.random.default_rng(5).standard_normal((count, X.shape[1]))
    U /= np.linalg.norm(U, axis=1)[:, None]
    h = [relu_sum(rows, np.full(len(rows), w), U) for rows, w in zip((X, G), weights, strict=True)]
    return float(np.abs(h[0] - h[1]).max())


@pytest.mark.parametrize(("n", "beta", "gap"), [(5, 1.0, 0.06), (8, 0.5, 0.05), (20, 0.5, 0.012)])
def test_bracket_in_the_plane_is_small_and_its_upper_end_is_feasible(n: int, beta: float, gap: float) -> None:
    X = data(1, n)
    problem = posed(X, beta)
    solution = problem.solve()
    assert solution.status is Status.BRACKETED
    assert solution.certificate.scope == "priced"
    assert 0.0 < solution.bound <= solution.value <= solution.bound / (1.0 - gap)
    G = solution.generator.output
    assert G.shape == (n, 2)
    assert solution.value == pytest.approx(0.5 * np.sum(G * G), rel=1e-12)
    assert sampled_dist(X, G) <= problem.dist(G).value <= beta
    assert verify(problem, solution).status is Status.BRACKETED
    check_weak_duality(problem, solution)


def test_bound_is_that_of_the_population_game() -> None:
    X = data(2, 8)
    population = Problem(Discriminator.relu(beta=0.5) + Generator.distribution(), X).solve()
    assert posed(X, 0.5).solve().bound == pytest.approx(population.bound, rel=1e-6)


def test_gap_falls_as_samples_are_added() -> None:
    X = data(3, 10)
    gaps = [posed(X, 0.5, n_fake=n).solve().relative_gap for n in (10, 40)]
    assert gaps[1] < 0.5 * gaps[0]


def test_one_sample_is_certified_since_the_measure_has_one_atom() -> None:
    solution = posed(np.array([[3.0, 4.0]]), 1.0, n_fake=4).solve()
    assert solution.status is Status.CERTIFIED
    assert solution.value == pytest.approx(0.5 * 4.0**2 / 4, rel=1e-6)


def test_nothing_is_generated_where_beta_allows_it() -> None:
    solution = posed(data(4, 5), 100.0).solve()
    assert solution.status is Status.CERTIFIED
    assert solution.value == 0.0
    assert not solution.generator.output.any()


def test_too_few_samples_earn_a_bound_and_no_generator() -> None:
    solution = posed(data(0, 12), 0.01, n_fake=2).solve(time_limit=1.0)
    assert solution.status is Status.FAILED
    assert solution.generator is None
    assert 0.0 < solution.bound < np.inf


def test_space_is_bracketed_and_above_it_nothing_is_proven() -> None:
    X = data(5, 4, 3)
    problem = posed(X, 0.5)
    solution = problem.solve(time_limit=3.0)
    assert solution.status is Status.BRACKETED
    assert solution.bound <= solution.value < 0.5 * np.sum(X * X)
    assert sampled_dist(X, solution.generator.output) <= 0.5
    wide = posed(data(6, 4, 4), 0.5).solve(time_limit=1.0)
    assert wide.status is Status.UNVERIFIED
    assert wide.certificate.scope == "sampled"


def test_plane_inside_a_larger_space_is_still_proven() -> None:
    X = data(7, 5)
    Q = np.linalg.qr(np.random.default_rng(0).standard_normal((6, 6)))[0][:2]
    flat, lifted = posed(X, 0.5).solve(), posed(X @ Q, 0.5).solve()
    assert lifted.status is Status.BRACKETED
    assert lifted.bound == pytest.approx(flat.bound, rel=1e-6)
    assert lifted.value == pytest.approx(flat.value, rel=0.05)


@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_units_do_not_matter(scale: float) -> None:
    X = data(8, 5)
    one, other = posed(X, 0.5).solve(), posed(scale * X, 0.5 * scale).solve()
    assert other.status is Status.BRACKETED
    assert other.value == pytest.approx(scale**2 * one.value, rel=1e-3)
    assert other.bound == pytest.approx(scale**2 * one.bound, rel=1e-5)


def test_means_and_unequal_counts_and_strength_are_honoured() -> None:
    X = data(9, 6)
    problem = posed(X, 0.05, strength=3.0, n_fake=10, normalize="mean")
    solution = problem.solve()
    assert solution.status is Status.BRACKETED
    G = solution.generator.output
    assert solution.value == pytest.approx(1.5 * np.sum(G * G) / 10, rel=1e-12)
    assert sampled_dist(X, G, weights=(1 / 6, 1 / 10)) <= 0.05
    check_weak_duality(problem, solution)


def test_duplicates_zeros_and_float32_are_no_trouble() -> None:
    X = np.concatenate([data(10, 3), data(10, 3), np.zeros((1, 2))]).astype(np.float32)
    problem = posed(X, 0.3)
    solution = problem.solve()
    assert solution.status is Status.BRACKETED
    assert solution.generator.output.dtype == np.float32
    assert sampled_dist(X, solution.generator.output.astype(float)) <= 0.3


def test_the_same_problem_gives_the_same_output() -> None:
    first, second = (posed(data(11, 6), 0.5).solve() for _ in range(2))
    assert np.array_equal(first.generator.output, second.generator.output)


def test_time_limit_and_max_iter_return_a_bracket_that_holds() -> None:
    X = data(12, 40)
    quick = posed(X, 0.5).solve(time_limit=0.2)
    assert quick.stats.stopped == "time_limit"
    assert quick.stats.seconds < 5.0
    assert quick.bound <= quick.value
    short = posed(data(12, 8), 0.5).solve(max_iter=1)
    assert short.bound <= short.value


def test_callback_sees_bounds_that_only_improve() -> None:
    lines: list[dict[str, Any]] = []
    solution = posed(data(13, 6), 0.5).solve(callback=lines.append)
    assert len(lines) > 2
    uppers = [line["upper"] for line in lines]
    assert all(later <= earlier * (1.0 + 1e-9) for earlier, later in pairwise(uppers))
    assert all(line["lower"] <= line["upper"] for line in lines)
    assert lines[-1]["lower"] == pytest.approx(solution.bound, rel=1e-6)


def test_interrupt_returns_the_best_bracket_so_far() -> None:
    seen: list[dict[str, Any]] = []
    problem = posed(data(14, 6), 0.5)

    def once(line: dict[str, Any]) -> None:
        seen.append(line)
        if len(seen) == 3:
            raise KeyboardInterrupt

    solution = problem.solve(callback=once)
    assert solution.stats.stopped == "interrupt"
    assert solution.status is Status.BRACKETED
    assert solution.value == pytest.approx(seen[2]["upper"], rel=1e-6)


def test_a_warm_start_is_never_made_worse() -> None:
    X = data(15, 12)
    problem = posed(X, 0.5)
    good = problem.solve()
    again = problem.solve(max_iter=1, warm_start=good)
    assert again.value <= good.value * (1.0 + 1e-12)


@pytest.mark.parametrize("method", ["auto", "global"])
def test_a_warm_start_that_is_infeasible_here_does_not_win_by_its_smaller_value(method: str) -> None:
    X = data(3, 4)
    loose = posed(X, 0.5).solve(time_limit=1.0)
    tight = posed(X, 0.1).solve(method=method, time_limit=1.0, tol=1e-9, warm_start=loose)
    assert loose.value < tight.bound  # it would have looked better than any feasible output
    assert tight.status is Status.BRACKETED
    assert tight.certificate.violation <= 1e-9
    assert tight.value >= tight.bound


def test_tampered_outputs_are_not_verified() -> None:
    problem = posed(data(16, 6), 0.5)
    solution = problem.solve()
    generator: Any = solution.generator
    shrunk = replace(
        solution, generator=replace(generator, weights=0.9 * generator.weights), value=0.81 * solution.value
    )
    assert verify(problem, shrunk).status is Status.UNVERIFIED
    boasting = replace(solution, bound=1.1 * solution.bound)
    assert verify(problem, boasting).status is Status.UNVERIFIED
    misshaped = certify(problem.evidence, PlainClaim(weights=np.ones((5, 2))), tol=1e-6)
    assert misshaped.certificate.status is Status.UNVERIFIED


def test_a_solution_survives_a_file(tmp_path: Any) -> None:
    problem = posed(data(17, 5), 0.5)
    solution = problem.solve()
    loaded = Solution.load(solution.save(tmp_path / "samples.safetensors"))
    assert loaded.value == solution.value
    assert verify(problem, loaded).status is Status.BRACKETED


def test_the_theorem_inverts() -> None:
    check_reduction_inverts(posed(data(18, 4), 0.5), FreePiecewiseMeans())


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6), n=st.integers(1, 4), beta=st.floats(0.05, 2.0))
def test_upper_is_at_least_lower_and_feasible_for_any_data(seed: int, n: int, beta: float) -> None:
    X = data(seed, n)
    problem = posed(X, beta)
    solution = problem.solve(time_limit=0.5)
    assert solution.status in (Status.BRACKETED, Status.CERTIFIED)
    assert solution.bound <= solution.value * (1.0 + 1e-6)
    assert problem.dist(solution.generator.output).value <= beta * (1.0 + 1e-9)


def test_least_norm_is_the_quadratic_program_s_optimum() -> None:
    rng = np.random.default_rng(0)
    A, x = rng.standard_normal((12, 5)), rng.standard_normal(5)
    found = least_norm(A, A @ x - 0.1)
    assert found is not None
    optimum, y = found
    assert (A @ optimum >= A @ x - 0.1 - 1e-9).all()
    support = y > 0.0
    assert A[support] @ optimum == pytest.approx((A @ x - 0.1)[support])
    residual = np.linalg.lstsq(A[support].T, optimum, rcond=None)[0]
    assert A[support].T @ residual == pytest.approx(optimum)
    assert (residual >= -1e-9).all()
    assert least_norm(np.array([[1.0], [-1.0]]), np.array([1.0, 1.0])) is None


def test_an_even_cut_keeps_the_sum_and_never_lengthens() -> None:
    p = data(19, 7)
    G = evenly_cut(p, 30, 0.25)
    assert G.sum(axis=0) == pytest.approx(p.sum(axis=0))
    assert np.linalg.norm(G, axis=1).max() <= np.linalg.norm(p, axis=1).sum() / 30 * (1.0 + 1e-12)
