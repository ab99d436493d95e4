"""Linear generator with Gaussian noise against ReLU neurons: closed form, dense program, fresh noise, and proofs."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import cvxpy as cp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convexwgan import Discriminator, Generator, Latent, Problem, Regularizer, Solution, Status, verify
from convexwgan.errors import InputError, NotConicError, NotCoveredError
from convexwgan.spec.recipes import Recipe
from convexwgan.theory.laws import check_weak_duality

Array = np.ndarray[Any, Any]
C = 1.0 / math.sqrt(2.0 * math.pi)


def data(seed: int, n: int, d: int, shift: float = 0.0) -> Array:
    return np.random.default_rng(seed).standard_normal((n, d)) + shift


def ring() -> Array:
    return Recipe.of("ring", n=200, radius=2.0, spread=0.05, seed=0).samples().X


def solved(
    X: Array, beta: float, dim: int | None = None, regularizer: Regularizer | None = None, **options: Any
) -> tuple[Problem, Solution]:
    wgan = Discriminator.relu(beta=beta) + Generator.linear() + (regularizer or Regularizer.output(1.0))
    problem = Problem(wgan, X, Latent.normal(dim or X.shape[1]), normalize="mean")
    return problem, problem.solve(**options)


def weights_of(solution: Solution) -> Array:
    assert solution.generator is not None
    return np.asarray(solution.generator.weights)


def directions(count: int) -> Array:
    angle = 2 * np.pi * np.arange(count) / count
    return np.column_stack([np.cos(angle), np.sin(angle)])


def dense_optimum(X: Array, beta: float, U: Array) -> float:
    """½ tr S of the semidefinite program on the given directions, written down afresh."""
    h = np.maximum(U @ X.T, 0.0).mean(axis=1)
    S = cp.Variable((X.shape[1], X.shape[1]), PSD=True)
    seen = C**2 * cp.sum(cp.multiply(U @ S, U), axis=1)
    program = cp.Problem(
        cp.Minimize(0.5 * cp.trace(S)), [seen >= np.maximum(h - beta, 0) ** 2, seen <= (h + beta) ** 2]
    )
    return float(program.solve(solver="CLARABEL"))


# ---- values ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("beta", "value"), [(0.05, 2.306554), (0.3, 0.795804)])
def test_the_ring_of_eight_modes_has_the_value_of_a_program_on_2000_directions(beta: float, value: float) -> None:
    problem, solution = solved(ring(), beta)
    assert solution.status is Status.CERTIFIED, str(solution.certificate)
    assert solution.certificate.scope == "priced"
    assert solution.value == pytest.approx(value, rel=1e-6)
    assert solution.value == pytest.approx(dense_optimum(ring(), beta, directions(2000)), rel=1e-4)
    assert verify(problem, solution).status is Status.CERTIFIED


def test_dist_is_at_most_beta_by_a_dense_oracle_and_by_a_million_noise_samples() -> None:
    beta = 0.3
    problem, solution = solved(ring(), beta)
    assert solution.generator is not None
    U = directions(20_000)
    real = np.maximum(U @ ring().T, 0.0).mean(axis=1)
    fake = C * np.linalg.norm(U @ weights_of(solution).T, axis=1)
    assert np.abs(real - fake).max() <= beta
    assert np.abs(real - fake).max() == pytest.approx(beta, rel=1e-5)  # it binds
    assert problem.dist(solution.generator).value == pytest.approx(np.abs(real - fake).max(), abs=1e-7)
    G = solution.generator.sample(1_000_000, rng=0)
    some = U[::500]
    sampled = np.array([np.maximum(G @ u, 0.0).mean() for u in some])
    assert np.abs(sampled - fake[::500]).max() <= 6e-3  # 4 standard errors of (zᵀWu)₊ at 10⁶ samples
    assert np.abs(sampled - real[::500]).max() <= beta + 6e-3


@settings(max_examples=25, deadline=None)
@given(rows=st.lists(st.floats(-4.0, 4.0, allow_nan=False), min_size=1, max_size=5), share=st.floats(0.05, 1.2))
def test_on_one_feature_the_value_is_the_shorter_end_of_an_interval(rows: list[float], share: float) -> None:
    """c|w| ∈ [max(h(1), h(−1)) − β, min(h(1), h(−1)) + β], empty iff |m| > 2β."""
    x = np.round(np.array(rows), 3)
    sides = [np.maximum(sign * x, 0.0).mean() for sign in (1.0, -1.0)]
    beta = max(share * max(sides), 0.01)
    if abs(abs(sides[0] - sides[1]) - 2 * beta) < 1e-6 * beta:
        return
    _, solution = solved(x[:, None], beta)
    if abs(sides[0] - sides[1]) > 2 * beta:
        assert solution.status is Status.INFEASIBLE
        return
    least = max(max(sides) - beta, 0.0)
    assert solution.status is Status.CERTIFIED, str(solution.certificate)
    assert solution.value == pytest.approx(0.5 * (least / C) ** 2, rel=2e-6, abs=1e-7 * beta**2)


@pytest.mark.parametrize("d", [3, 4])
def test_in_three_and_four_dimensions_the_value_is_proven_and_near_a_dense_program(d: int) -> None:
    X, beta = data(0, 20, d), 0.35
    problem, solution = solved(X, beta, tol=1e-3)
    assert solution.status is Status.CERTIFIED, str(solution.certificate)
    U = np.random.default_rng(1).standard_normal((4000, d))
    U /= np.linalg.norm(U, axis=1)[:, None]
    relaxed = dense_optimum(X, beta, U)
    assert relaxed <= solution.value * (1 + 1e-6)
    assert relaxed >= solution.bound * 0.9
    far = np.abs(np.maximum(U @ X.T, 0).mean(axis=1) - C * np.linalg.norm(U @ weights_of(solution).T, axis=1)).max()
    assert far <= beta
    assert problem.dist(solution.generator).upper <= beta * (1 + 1e-4)  # type: ignore[attr-defined]
    check_weak_duality(problem, solution)


def test_weights_cost_what_the_output_costs() -> None:
    X = data(2, 20, 2)
    values = [solved(X, 0.3, regularizer=R)[1].value for R in (Regularizer.output(0.7), Regularizer.weights(0.7))]
    assert values[0] == values[1] > 0.0
    assert values[0] == pytest.approx(0.7 * solved(X, 0.3)[1].value, rel=1e-9)


# ---- the discriminator -------------------------------------------------------------------------------------------


def test_the_discriminator_is_optimal_and_its_weight_is_the_sensitivity() -> None:
    X, beta, step = data(0, 20, 2, 0.5), 0.35, 1e-3
    problem, solution = solved(X, beta)
    check_weak_duality(problem, solution)
    slope = (solved(X, beta + step)[1].value - solved(X, beta - step)[1].value) / (2 * step)
    assert solution.discriminator is not None
    assert solution.sensitivity == pytest.approx(slope, rel=1e-4)


def test_no_discriminator_is_claimed_where_the_generated_side_binds() -> None:
    """A little above ‖m‖ = 2β both sides bind: the multipliers prove the value, but are no saddle point."""
    X, beta, step = np.array([[2.0, 0.5], [2.0, -0.5], [-0.2, 1.5], [-0.2, -1.5]]), 0.46, 1e-4
    problem, solution = solved(X, beta)
    assert solution.status is Status.CERTIFIED, str(solution.certificate)
    assert (solution.dual["v"] < 0.0).any()
    assert solution.discriminator is None
    check_weak_duality(problem, solution)
    slope = (solved(X, beta + step)[1].value - solved(X, beta - step)[1].value) / (2 * step)
    assert -np.abs(solution.dual["v"]).sum() == pytest.approx(slope, rel=1e-3)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), size=st.floats(0.3, 3.0), beta=st.floats(0.1, 1.0))
def test_no_feasible_output_costs_less_than_any_multipliers_prove(seed: int, size: float, beta: float) -> None:
    from convexwgan.certificates.normal_games import gather_normal, normal_bound

    rng = np.random.default_rng(seed)
    X, W = rng.standard_normal((9, 2)), size * rng.standard_normal((2, 2))
    wgan = Discriminator.relu(beta=beta) + Generator.linear()
    far = Problem(wgan, X, Latent.normal(2), normalize="mean")
    evidence = gather_normal(wgan, X, Latent.normal(2))
    u, v = rng.standard_normal((4, 2)), rng.standard_normal(4)
    u /= np.linalg.norm(u, axis=1)[:, None]
    bound = normal_bound(evidence, u, v).value
    reach = far.dist(_population_generator(W)).value
    if reach <= beta:
        assert bound <= 0.5 * float(np.vdot(W, W)) * (1 + 1e-12)
    # every W is feasible at β' = its own dist
    loose = normal_bound(evidence.with_beta(max(reach, 1e-9)), u, v).value
    assert loose <= 0.5 * float(np.vdot(W, W)) * (1 + 1e-9)


def _population_generator(W: Array) -> Any:
    from convexwgan.fitted import FittedGenerator

    return FittedGenerator(Generator.linear(), W, Latent.normal(len(W)), normalize="mean")


# ---- degenerate data ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("X", "beta"),
    [
        (np.ones((5, 2)), 0.8),
        (np.array([[3.0]]), 1.6),
        (np.array([[3.0, 1.0]]), 1.7),
        (np.array([[1.0, 2.0], [-1.0, -2.0]]), 0.1),
        (np.array([[1.0, 2.0], [-1.0, -2.0], [2.0, 4.0]]), 0.9),
        (np.zeros((3, 2)), 0.1),
        (np.repeat(data(3, 3, 2), 4, axis=0), 1.0),
        (np.array([[1.0, 0.0], [0.0, 0.0], [-1.0, 1e-7]]), 0.1),
        (data(4, 3, 5) @ np.diag([1.0, 1.0, 0.0, 0.0, 0.0]), 0.5),
    ],
)
def test_degenerate_data_are_certified(X: Array, beta: float) -> None:
    problem, solution = solved(X, beta)
    assert solution.status is Status.CERTIFIED, str(solution.certificate)
    assert verify(problem, solution).status is Status.CERTIFIED


def test_a_large_beta_collapses_the_output_to_zero() -> None:
    problem, solution = solved(data(5, 20, 2), 5.0)
    assert solution.value == solution.bound == 0.0
    assert not weights_of(solution).any()
    assert verify(problem, solution).status is Status.CERTIFIED


def test_scale_does_not_matter() -> None:
    X = data(6, 15, 2)
    values = [solved(scale * X, 0.3 * scale)[1].value / scale**2 for scale in (1e-6, 1.0, 1e6)]
    assert values[0] == pytest.approx(values[1], rel=1e-7)
    assert values[2] == pytest.approx(values[1], rel=1e-7)


def test_float32_data_are_certified_at_their_own_tolerance() -> None:
    problem, solution = solved(data(0, 20, 2).astype(np.float32), 0.3)
    assert solution.status is Status.CERTIFIED, str(solution.certificate)
    assert weights_of(solution).dtype == np.float32
    assert verify(problem, solution).status is Status.CERTIFIED


def test_where_h_is_just_above_beta_the_small_second_moment_is_found() -> None:
    """c‖Wu‖ ≥ h − β = 1e-5 is invisible to the program in squares, 1e-10; the shift of S repairs it."""
    X = np.array([[2.0, 0.0], [-2.0, 0.0], [0.0, 1.00002], [0.0, -1.00002]])
    _, solution = solved(X, 0.25)
    assert solution.status is Status.CERTIFIED, str(solution.certificate)
    assert solution.certificate.violation == 0.0


# ---- infeasible and bounded --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("X", "beta"), [(data(8, 20, 2, 3.0), 0.1), (data(8, 20, 2), 0.02), (data(8, 20, 3), 0.02)])
def test_infeasible_games_are_proven_by_a_ray_that_verify_accepts(X: Array, beta: float) -> None:
    problem, solution = solved(X, beta)
    assert solution.status is Status.INFEASIBLE, str(solution.certificate)
    assert solution.certificate.infeasibility is not None
    assert solution.certificate.infeasibility.kind == "ray"
    assert solution.generator is None
    assert verify(problem, solution).status is Status.INFEASIBLE


def test_a_feasible_game_is_never_proven_infeasible_by_the_ray_of_another() -> None:
    X = data(8, 20, 2)
    _, infeasible = solved(X, 0.02)
    problem, feasible = solved(X, 0.3)
    forged = replace(feasible, generator=None, dual=infeasible.dual, status=Status.INFEASIBLE)
    assert verify(problem, forged).status is Status.FAILED


def test_noise_of_too_few_dimensions_gives_a_bound_and_no_false_generator() -> None:
    problem, solution = solved(ring(), 0.3, dim=1, time_limit=1.0)  # every w has a direction with h > β and wᵀu = 0
    assert solution.status is Status.FAILED
    assert solution.bound == pytest.approx(0.795804, rel=1e-6)
    assert not problem.explain().holds
    thin, found = solved(data(0, 20, 2, 0.5), 0.35, dim=1)  # where S has rank 1 anyway
    assert found.status is Status.CERTIFIED, str(found.certificate)
    assert weights_of(found).shape == (1, 2)
    assert verify(thin, found).status is Status.CERTIFIED


def test_noise_of_too_few_dimensions_is_bracketed_where_a_feasible_output_is_found() -> None:
    X, beta = data(2, 10, 2) * [2.0, 1.0], 0.47
    problem, solution = solved(X, beta, dim=1)
    assert solution.status is Status.BRACKETED, str(solution.certificate)
    assert verify(problem, solution).status is Status.BRACKETED
    U = directions(5000)
    w = 0.01 * np.arange(1, 500)[:, None, None] * U[:2500:25][None]  # every w of the plane, up to its sign
    fake = C * np.abs(w @ U[::10].T)
    feasible = np.abs(np.maximum(U[::10] @ X.T, 0.0).mean(axis=1) - fake).max(axis=2) <= beta
    cheapest = 0.5 * float(np.square(np.linalg.norm(w, axis=2))[feasible].min())
    assert solution.bound <= cheapest
    assert solution.value == pytest.approx(cheapest, rel=0.05)


def test_more_noise_than_features_changes_nothing() -> None:
    X = data(9, 15, 2)
    assert solved(X, 0.3, dim=5)[1].value == pytest.approx(solved(X, 0.3)[1].value, rel=1e-12)


def test_beyond_rank_4_the_bound_holds_and_the_generator_is_unverified() -> None:
    _, solution = solved(data(10, 12, 5), 0.5, max_iter=2)
    assert solution.status is Status.UNVERIFIED
    assert solution.certificate.scope == "sampled"
    assert 0.0 < solution.bound <= solution.value


# ---- limits, files, refusals -------------------------------------------------------------------------------------


def test_limits_return_the_best_bracket_and_the_callback_sees_both_ends() -> None:
    X, seen = data(11, 30, 3), []
    _, solution = solved(X, 0.3, max_iter=1, callback=seen.append)
    assert solution.stats.stopped == "max_iter"
    assert solution.status in (Status.BRACKETED, Status.UNVERIFIED)
    assert seen[0]["lower"] > 0.0
    assert solved(X, 0.3, time_limit=1e-6)[1].stats.stopped == "time_limit"

    def interrupt(report: dict[str, Any]) -> None:
        if len(seen) < 4:
            seen.append(report)
            raise KeyboardInterrupt

    seen.clear()
    seen.extend([{}, {}, {}])
    _, stopped = solved(X, 0.3, callback=interrupt)
    assert stopped.stats.stopped == "interrupt"
    assert stopped.bound > 0.0


def test_other_solvers_run_the_same_rounds() -> None:
    X = data(12, 15, 2)
    _, solution = solved(X, 0.3, solver="SCS", tol=1e-4, max_iter=3)
    assert solution.stats.extra["solver"] == "SCS"
    assert solution.value == pytest.approx(solved(X, 0.3)[1].value, rel=1e-3)


def test_a_solution_survives_its_file_and_samples(tmp_path: Path) -> None:
    problem, solution = solved(data(13, 15, 2), 0.3)
    loaded = Solution.load(solution.save(tmp_path / "normal.safetensors"))
    assert loaded.status is Status.UNVERIFIED
    assert verify(problem, loaded).status is Status.CERTIFIED
    assert loaded.generator is not None
    assert loaded.generator.sample(5, rng=0).shape == (5, 2)
    with pytest.raises(InputError, match="population"):
        _ = loaded.generator.output


def test_tampered_solutions_are_never_certified() -> None:
    problem, solution = solved(data(14, 15, 2), 0.3)
    W, u, v = weights_of(solution), solution.dual["u"], solution.dual["v"]

    def with_weights(other: Any) -> Solution:
        return replace(solution, generator=replace(solution.generator, weights=other))

    lies = [with_weights(t * W) for t in (0.0, 0.99, 1.001, 2.0, 1e200)]
    lies += [with_weights(W.T[:1]), with_weights(np.full_like(W, np.nan)), with_weights(W[:, :1])]
    lies += [replace(solution, generator=None), replace(solution, value=0.99 * solution.value)]
    lies += [replace(solution, bound=1.01 * solution.bound)]
    lies += [replace(solution, dual={"u": u, "v": t * v}) for t in (0.0, 0.5, 1.5, -1.0, 1e200)]
    lies += [replace(solution, dual={"u": 2.0 * u, "v": v}), replace(solution, dual={"u": u[:, :1], "v": v})]
    lies += [replace(solution, dual={"u": u, "v": np.full_like(v, np.nan)}), replace(solution, dual={})]
    for number, lie in enumerate(lies):
        assert verify(problem, lie).status is not Status.CERTIFIED, number
    other, _ = solved(data(15, 15, 2), 0.3)
    assert verify(other, solution).status is not Status.CERTIFIED


def test_orthogonal_mixtures_of_the_noise_are_as_good() -> None:
    """QW with QᵀQ = I has the same output distribution."""
    problem, solution = solved(data(14, 15, 2), 0.3)
    Q = np.linalg.qr(data(0, 2, 2))[0]
    turned = replace(solution, generator=replace(solution.generator, weights=Q @ weights_of(solution)))
    assert verify(problem, turned).status is Status.CERTIFIED


def test_the_relaxation_is_a_program_with_the_same_value_and_no_exact_program_is_claimed() -> None:
    problem, solution = solved(data(16, 15, 2), 0.3)
    assert problem.relaxation().solve(solver="CLARABEL") == pytest.approx(solution.value, rel=1e-6)
    with pytest.raises(NotConicError, match="every direction"):
        problem.to_cvxpy()


@pytest.mark.parametrize(
    ("discriminator", "regularizer", "reason"),
    [
        (Discriminator.relu(beta=0.3, bias=True), Regularizer.output(1.0), "bias"),
        (Discriminator.relu(norm_bound=True), Regularizer.output(1.0), "norm bound"),
        (Discriminator.relu(beta=0.3), Regularizer.norm(1.0), "second moment"),
    ],
)
def test_what_is_not_linear_in_the_second_moment_is_refused_with_the_reason(
    discriminator: Discriminator, regularizer: Regularizer, reason: str
) -> None:
    wgan = discriminator + Generator.linear() + regularizer
    with pytest.raises(NotCoveredError, match=reason):
        Problem(wgan, data(0, 5, 2), Latent.normal(2), normalize="mean").solve()


def test_populations_need_means() -> None:
    with pytest.raises(InputError, match="mean"):
        Problem(Discriminator.relu(beta=0.3) + Generator.linear(), data(0, 5, 2), Latent.normal(2))
