"""Saddle solvers against the closed form, dsp-cvxpy and the optimum on the line; judged by the same certificates."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convexwgan import Discriminator, Generator, Latent, Problem, Regularizer, Status, verify
from convexwgan.errors import InputError
from convexwgan.geometry.least_spread import least_spread
from convexwgan.geometry.relu_distances import relu_distance
from convexwgan.solvers.line_saddle import _blocks, _projected, _rays, solve_line_game
from convexwgan.solvers.moment_saddle import _Game, solve_moment_game
from convexwgan.theory.laws import check_weak_duality

QUADRATIC = Discriminator.quadratic(beta=3.0), Discriminator.quadratic(norm_bound=True)


def second_moment(d: int, seed: int) -> np.ndarray:
    X = np.random.default_rng(seed).standard_normal((2 * d, d))
    return X.T @ X


def line(x: list[float] | np.ndarray, beta: float, n_fake: int | None = None, **rest: str) -> Problem:
    wgan = Discriminator.relu(beta=beta, bias=True) + Generator.free() + Regularizer.output(2.0)
    return Problem(wgan, np.asarray(x, dtype=float).reshape(-1, 1), n_fake=n_fake, **rest)  # type: ignore[arg-type]


# ---- the quadratic discriminator's game ------------------------------------------------------------------------


@pytest.mark.parametrize("discriminator", QUADRATIC, ids=repr)
@pytest.mark.parametrize("generator", ["free", "linear", "polynomial", "population"])
def test_moment_saddle_is_certified_at_the_closed_forms_value(discriminator: Discriminator, generator: str) -> None:
    rng = np.random.default_rng(1)
    X = rng.standard_normal((12, 4))
    noise = {
        "free": (Generator.free(), None, {}),
        "linear": (Generator.linear(), rng.standard_normal((12, 4)), {}),
        "polynomial": (Generator.polynomial(1.0, 1.0, 0.5), rng.standard_normal((12, 2)), {}),
        "population": (Generator.linear(), Latent.normal(4), {"normalize": "mean"}),
    }
    spec, Z, rest = noise[generator]
    regularizer = Regularizer.output(0.7)
    scaled = Discriminator.quadratic(beta=0.3) if rest and not discriminator.norm_bound else discriminator
    problem = Problem(scaled + spec + regularizer, X, Z, **rest)  # type: ignore[arg-type]
    saddle, closed = problem.solve(method="saddle"), problem.solve(method="closed_form")
    assert saddle.status is closed.status is Status.CERTIFIED
    assert saddle.value == pytest.approx(closed.value, rel=2e-6)
    assert saddle.bound == pytest.approx(closed.bound, rel=2e-6)
    assert verify(problem, saddle).status is Status.CERTIFIED
    check_weak_duality(problem, saddle)


@pytest.mark.parametrize("beta", [None, 2.0], ids=["norm bound", "weight decay"])
def test_moment_saddle_agrees_with_dsp_cvxpy(beta: float | None) -> None:
    cp, dsp = pytest.importorskip("cvxpy"), pytest.importorskip("dsp")
    M, strength = second_moment(3, 2), 0.8
    S, R = cp.Variable((3, 3), symmetric=True), cp.Variable((3, 3), symmetric=True)
    difference = cp.vec(M - S, order="F")
    pull = dsp.inner(difference, cp.vec(R, order="F"))
    game = strength / 2 * cp.trace(S) + pull - (0.0 if beta is None else beta * cp.normNuc(R))
    players = [S >> 0, *([cp.normNuc(R) <= 1.0] if beta is None else [])]
    # dsp-cvxpy predates a printing method that newer CVXPY asks of every objective
    objective = type("Objective", (dsp.MinimizeMaximize,), {"format_labeled": lambda self: "game"})
    saddle = dsp.SaddlePointProblem(objective(game), players, minimization_vars=[S], maximization_vars=[R])
    saddle.solve(solver="CLARABEL")
    ours = solve_moment_game(M, beta, strength, tol=1e-8)
    dist = float(np.linalg.norm(M - ours.S, 2))
    value = strength / 2 * float(np.trace(ours.S)) + (dist if beta is None else 0.0)
    assert ours.stopped is None
    assert value == pytest.approx(float(saddle.value), rel=1e-5)
    if beta is not None:  # under a norm bound the saddle point need not be unique
        np.testing.assert_allclose(ours.S, S.value, atol=1e-4 * np.linalg.norm(M, 2))


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_moment_saddle_does_not_depend_on_the_units_of_the_data(scale: float) -> None:
    M = second_moment(4, 3)
    plain, scaled = (solve_moment_game(factor * M, factor * 2.0, 1.0) for factor in (1.0, scale))
    np.testing.assert_allclose(scaled.S / scale, plain.S, atol=1e-9 * np.linalg.norm(M, 2))
    np.testing.assert_allclose(scaled.R, plain.R, atol=1e-9)


def test_moment_saddle_with_too_little_rank_is_infeasible_by_weyl() -> None:
    problem = Problem(Discriminator.quadratic(beta=0.5) + Generator.free(), 3.0 * np.eye(4), n_fake=2)
    solution = problem.solve(method="saddle")
    assert solution.status is Status.INFEASIBLE
    assert solution.generator is None


def test_norm_bound_with_noise_of_too_little_rank_is_bracketed_around_the_closed_form() -> None:
    rng = np.random.default_rng(3)
    wgan = Discriminator.quadratic(norm_bound=True) + Generator.linear() + Regularizer.output(0.2)
    problem = Problem(wgan, rng.standard_normal((6, 10)), rng.standard_normal((6, 2)))
    saddle, closed = problem.solve(method="saddle"), problem.solve()
    assert (saddle.status, closed.status) == (Status.BRACKETED, Status.CERTIFIED)
    assert saddle.bound <= closed.value * (1.0 + 1e-9)
    assert closed.bound <= saddle.value * (1.0 + 1e-9)


@pytest.mark.parametrize("X", [np.zeros((3, 2)), np.ones((1, 2)), np.eye(2)[:, :1] * 2.0], ids=["zero", "one", "tall"])
def test_moment_saddle_of_degenerate_data_is_certified(X: np.ndarray) -> None:
    problem = Problem(Discriminator.quadratic(beta=0.5) + Generator.free(), X)
    solution = problem.solve(method="saddle")
    assert solution.status is Status.CERTIFIED
    assert solution.value == pytest.approx(problem.solve().value, abs=1e-5)


def test_eigenvalue_at_the_threshold_and_repeated_ones_are_certified() -> None:
    X = np.diag([2.0, 2.0, 1.0, 1.0])
    problem = Problem(Discriminator.quadratic(beta=1.0) + Generator.free(), X)
    assert problem.solve(method="saddle").status is Status.CERTIFIED
    assert problem.solve(method="saddle").value == pytest.approx(3.0, rel=1e-6)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(-5, 5), min_size=1, max_size=6), st.floats(0.1, 4.0))
def test_prox_of_the_norm_bound_is_the_nearest_point_of_the_ball(entries: list[float], budget: float) -> None:
    e = np.array(entries)
    r = _Game(np.eye(len(e)), None, budget).prox(e, 1.0)
    assert np.abs(r).sum() <= budget * (1.0 + 1e-9)
    # (e − r)·(z − r) ≤ 0 at every vertex z of the ball
    assert all((e - r) @ (s * budget * np.eye(len(e))[i] - r) <= 1e-8 for i in range(len(e)) for s in (1.0, -1.0))


def test_a_limit_on_iterations_is_kept_and_named_and_the_bounds_stay_valid() -> None:
    X = np.random.default_rng(0).standard_normal((8, 5)) * np.logspace(0, -2, 5)
    problem = Problem(Discriminator.quadratic(beta=1e-3) + Generator.free(), X)
    solution, best = problem.solve(method="saddle", max_iter=2), problem.solve()
    assert solution.stats.stopped == "max_iter"
    assert solution.bound <= best.value * (1.0 + 1e-9)
    assert solution.value >= best.bound * (1.0 - 1e-9)


@pytest.mark.parametrize("given", [{"solver": "SCS"}, {"options": {"eps": 1.0}}], ids=["solver", "options"])
def test_solver_and_options_are_refused_for_a_saddle_solver(given: dict[str, object]) -> None:
    problem = Problem(Discriminator.quadratic(beta=0.5) + Generator.free(), np.eye(2))
    with pytest.raises(InputError, match='not be given for method "saddle"'):
        problem.solve(method="saddle", **given)  # type: ignore[arg-type]


# ---- equation 16 on the line -----------------------------------------------------------------------------------


@pytest.mark.parametrize("beta", [0.1, 1.0])
@pytest.mark.parametrize("x", [[-1.0, 1.0], [-1.0, 0.0, 1.0]], ids=["two points", "three points"])
def test_the_papers_game_reaches_the_papers_optimum(x: list[float], beta: float) -> None:
    solution = line(x, beta).solve(method="saddle")
    assert solution.status is Status.CERTIFIED
    expected = [0.0 if beta == 1.0 else 0.9 * entry for entry in x]
    np.testing.assert_allclose(np.sort(np.asarray(solution.generator.output)[:, 0]), expected, atol=1e-6)


@pytest.mark.parametrize("seed", range(12))
def test_the_papers_game_reaches_the_one_dimensional_optimum_on_random_samples(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = 1 + seed % 5
    x = rng.standard_normal(n) + rng.choice([0.0, 3.0, -3.0])
    x = x.round(0) if seed % 4 == 3 else x  # ties
    problem = line(x, float(rng.uniform(0.02, 0.6) * max(np.abs(x).sum(), 1.0)))
    saddle, closed = problem.solve(method="saddle"), problem.solve(method="closed_form")
    assert saddle.status is Status.CERTIFIED
    assert saddle.value == pytest.approx(closed.value, rel=1e-5, abs=1e-9)
    assert closed.bound <= saddle.value + 1e-9
    assert saddle.bound <= closed.value + 1e-9
    assert verify(problem, saddle).status is Status.CERTIFIED


def test_means_with_more_outputs_than_samples_and_a_relu_generator_are_certified() -> None:
    problem = line([1.0, 1.0, 4.0], 0.2, n_fake=6, normalize="mean")
    solution = problem.solve(method="saddle")
    assert solution.status is Status.CERTIFIED
    assert solution.value == pytest.approx(problem.solve().value, rel=1e-5)
    wgan = Discriminator.relu(beta=0.1, bias=True) + Generator.relu() + Regularizer.output(2.0)
    network = Problem(wgan, np.array([[-1.0], [0.0], [1.0]]), np.random.default_rng(0).standard_normal((3, 2)))
    assert network.solve(method="saddle").value == pytest.approx(1.62, rel=1e-5)


def test_the_saddles_discriminator_passes_weak_duality() -> None:
    problem = line([-1.0, 0.2, 1.5], 0.3)
    solution = problem.solve(method="saddle")
    assert solution.discriminator is not None
    check_weak_duality(problem, solution)


@pytest.mark.parametrize("seed", range(4))
def test_tuning_the_multipliers_never_raises_the_value_and_every_round_is_feasible(seed: int) -> None:
    """Any feasible start: its best multipliers keep it feasible, so the saddle value cannot be above its cost."""
    rng = np.random.default_rng(seed)
    x = np.sort(rng.standard_normal(4))
    beta = 0.4 * float(np.abs(x).sum())
    step = rng.standard_normal(4)
    far = relu_distance(x[:, None], (x + step)[:, None], bias=True).value
    start = x + 0.9 * beta / far * step
    assert relu_distance(x[:, None], start[:, None], bias=True).value <= beta
    found = solve_line_game(x, beta, 2.0, start=start)
    assert found.values[0] <= float(start @ start) * (1.0 + 1e-5)
    assert all(b <= a * (1.0 + 1e-5) + 1e-9 for a, b in zip(found.values, found.values[1:], strict=False))
    assert relu_distance(x[:, None], found.w[:, None], bias=True).value <= beta * (1.0 + 1e-5)
    optimum = least_spread(x, beta).w
    assert found.values[-1] >= float(optimum @ optimum) - 1e-5


def test_multipliers_tuned_at_the_data_are_already_optimal() -> None:
    x = np.random.default_rng(5).standard_normal(5)
    found, w = solve_line_game(x, 0.5, 2.0, rounds=1), least_spread(x, 0.5).w
    assert found.values == (pytest.approx(float(w @ w), rel=1e-5),)
    blocks = _blocks(np.sort(x), np.sort(x), 0.5)
    first = blocks.sign > 0
    np.testing.assert_array_equal(blocks.fake[first], blocks.real[first])


def test_blocks_evaluate_the_game_on_every_pair_of_patterns() -> None:
    """⟨q, r⟩ + a Kw = ±(Σ_A(σax + c) − Σ_B(σaw + c)) − βa with A, B the largest |A| and |B|, by brute force."""
    rng = np.random.default_rng(6)
    x, w, beta = np.sort(rng.standard_normal(3)), np.sort(rng.standard_normal(3)), 0.3
    blocks = _blocks(x, w, beta)
    assert len(blocks.q) == 2 * 4 * (1 + 4)
    for j, (a, c) in product(range(len(blocks.q)), [(1.0, 0.2), (0.5, -1.0)]):
        side, real, fake = blocks.side[j], blocks.real[j], blocks.fake[j]
        seen = sum(a * t + c for t in np.sort(side * x)[::-1][:real])
        seen -= sum(a * t + c for t in np.sort(side * w)[::-1][:fake])
        added = blocks.q[j] @ np.array([a, c]) + a * (blocks.K[j] @ w)
        assert added == pytest.approx(blocks.sign[j] * seen - beta * a)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(-3, 3), min_size=2, max_size=2), st.integers(0, 3))
def test_cone_projection_is_nearest_among_a_fine_grid_of_the_cone(point: list[float], k: int) -> None:
    rays = _rays(np.array([1.0, 0.2, -0.7]), k)[None]
    p = np.array(point)
    nearest = _projected(p[None], rays)[0]
    s, t = np.meshgrid(np.linspace(0, 6, 61), np.linspace(0, 6, 61))
    grid = s.reshape(-1, 1) * rays[0, 0] + t.reshape(-1, 1) * rays[0, 1]
    assert np.linalg.norm(nearest - p) <= np.linalg.norm(grid - p, axis=1).min() + 1e-9
    lower, upper = rays[0]
    assert lower[0] * nearest[1] - lower[1] * nearest[0] >= -1e-9
    assert nearest[0] * upper[1] - nearest[1] * upper[0] >= -1e-9


@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_the_papers_game_does_not_depend_on_units(scale: float) -> None:
    x = np.array([-1.0, 0.5, 2.0])
    assert line(scale * x, scale * 0.3).solve(method="saddle").status is Status.CERTIFIED


@pytest.mark.parametrize(("x", "beta"), [([0.0, 0.0], 0.1), ([2.0], 0.1), ([2.0] * 3, 0.1), ([-1, -1, 1, 1], 1e3)])
def test_zeros_one_sample_ties_and_large_beta_are_certified(x: list[float], beta: float) -> None:
    problem = line(x, beta)
    assert problem.solve(method="saddle").status is Status.CERTIFIED
    assert problem.solve(method="saddle").value == pytest.approx(problem.solve().value, rel=1e-6, abs=1e-9)


def test_single_precision_and_torch_data_are_certified_in_their_own_library() -> None:
    torch = pytest.importorskip("torch")
    wgan = Discriminator.relu(beta=0.1, bias=True) + Generator.free() + Regularizer.output(2.0)
    solution = Problem(wgan, torch.tensor([[-1.0], [1.0]], dtype=torch.float32)).solve(method="saddle")
    assert solution.status is Status.CERTIFIED
    assert isinstance(solution.generator.output, torch.Tensor)
    assert solution.generator.output.dtype is torch.float32


def test_too_many_outputs_are_refused_with_the_number_that_fits() -> None:
    with pytest.raises(InputError, match=r"n_fake = 65 must be at most 64"):
        line(np.arange(65.0), 1.0).solve(method="saddle")


def test_limits_of_the_papers_game_are_kept_and_the_bounds_stay_valid() -> None:
    problem = line(np.random.default_rng(7).standard_normal(5), 0.5)
    solution = problem.solve(method="saddle", max_iter=3)
    assert solution.stats.stopped == "max_iter"
    assert solution.bound <= problem.solve().value <= solution.value * (1.0 + 1e-9)


@pytest.mark.parametrize("seed", range(8))
def test_the_papers_game_under_a_norm_bound_reaches_the_closed_form(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(1 + seed % 6) + rng.choice([0.0, 3.0, -3.0])
    x = x.round(0) if seed % 4 == 3 else x  # ties
    wgan = Discriminator.relu(norm_bound=True, bias=True) + Generator.free()
    problem = Problem(wgan + Regularizer.output(float(10.0 ** rng.uniform(-1.5, 1.0))), x[:, None])
    saddle, closed = problem.solve(method="saddle"), problem.solve(method="closed_form")
    assert saddle.status is closed.status is Status.CERTIFIED
    assert saddle.value == pytest.approx(closed.value, rel=2e-6, abs=1e-9)
    assert verify(problem, saddle).status is Status.CERTIFIED


def test_a_norm_as_cost_is_refused_by_the_papers_game_with_its_reason() -> None:
    wgan = Discriminator.relu(beta=0.1, bias=True) + Generator.free() + Regularizer.norm(1.0)
    with pytest.raises(InputError, match=r"played under Regularizer\.output"):
        Problem(wgan, np.array([[-1.0], [1.0]])).solve(method="saddle")
