"""Branch and bound over sectors: the bracket closes, every way of ending early, nothing claimed without proof."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from time import perf_counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convexwgan import Discriminator, Generator, Problem, Regularizer, Solution, Status, verify
from convexwgan.errors import InputError
from convexwgan.geometry.relu_sums import relu_sum
from convexwgan.geometry.sectors import rays
from convexwgan.solvers.branching.anchored import anchored, anchors, corners
from convexwgan.solvers.branching.incumbent import BestSamples
from convexwgan.solvers.branching.relaxation import Parts, PlanarGame, relaxed
from convexwgan.solvers.branching.tree import Pool
from convexwgan.solvers.linearised_zonotopes import Target
from convexwgan.theory.branching_over_sectors import BranchingOverSectors
from convexwgan.theory.laws import check_reduction_inverts

Array = np.ndarray[Any, Any]
CIRCLE = rays(2.0 * np.pi * np.arange(3000) / 3000)


def data(seed: int, n: int, d: int = 2) -> Array:
    return np.random.default_rng(seed).standard_normal((n, d))


def posed(X: Array, beta: float, strength: float = 1.0, **known: Any) -> Problem:
    return Problem(Discriminator.relu(beta=beta) + Generator.free() + Regularizer.output(strength), X, **known)


def solved(problem: Problem, limit: float = 20.0, tol: float = 1e-2, **options: Any) -> Solution:
    return problem.solve(method="global", time_limit=limit, tol=tol, **options)


def one_sample_optimum(X: Array, beta: float) -> float:
    """½r² for the best single sample rθ by a grid of directions: for each the constraints bound r from both sides."""
    h = relu_sum(X, np.ones(len(X)), CIRCLE)
    seen = np.maximum(CIRCLE @ CIRCLE.T, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        low = np.where(seen > 1e-12, (h - beta)[:, None] / seen, np.where((h > beta)[:, None], np.inf, 0.0)).max(axis=0)
        high = np.where(seen > 1e-12, (h + beta)[:, None] / seen, np.inf).min(axis=0)
    low = np.maximum(low, 0.0)
    return float(0.5 * np.min(low[low <= high], initial=np.inf) ** 2)


def test_one_sample_equals_a_grid_of_directions() -> None:
    X = np.array([[1.0, 0.2], [0.8, -0.1], [-0.1, 0.3]])
    solution = solved(posed(X, 0.5, n_fake=1), tol=3e-3)
    truth = one_sample_optimum(X, 0.5)
    assert solution.status is Status.CERTIFIED
    assert solution.bound <= truth * (1.0 + 1e-4)
    assert solution.value == pytest.approx(truth, rel=4e-3)


@pytest.mark.parametrize(("seed", "n", "beta"), [(0, 3, 0.1), (0, 5, 1.0), (1, 5, 0.3)])
def test_few_samples_are_certified_within_one_percent(seed: int, n: int, beta: float) -> None:
    problem = posed(data(seed, n), beta)
    solution = solved(problem)
    population = Problem(Discriminator.relu(beta=beta) + Generator.distribution(), problem.X).solve()
    assert solution.status is Status.CERTIFIED
    assert solution.relative_gap <= 0.01
    assert population.bound * (1.0 - 1e-9) <= solution.bound
    assert problem.dist(solution.generator.output).value <= beta
    assert verify(problem, solution).status is solution.status


def test_tree_survives_a_file_and_tampering_is_seen(tmp_path: Any) -> None:
    problem = posed(data(2, 3), 0.1)
    solution = solved(problem, 20.0)
    assert set(solution.dual) == {"tree_basis", "tree_nodes", "tree_neurons"}
    assert solution.discriminator is None
    loaded = Solution.load(solution.save(tmp_path / "tree.safetensors"))
    assert verify(problem, loaded).status is Status.BRACKETED  # a file's tolerance is never looser than the default
    assert verify(problem, loaded).lower == solution.bound
    nodes, neurons = solution.dual["tree_nodes"], solution.dual["tree_neurons"]
    for changed in (
        {"tree_basis": 3.0 * solution.dual["tree_basis"]},
        {"tree_neurons": neurons * np.array([1.0, 1.0, 1.0, -1.0])},
        {"tree_neurons": neurons[:-1] + np.array([1.0, 0.0, 0.0, 0.0])},
        {"tree_nodes": nodes[:-1]},
        {"tree_nodes": nodes[::-1]},
        {"tree_nodes": np.array([[0.0, 0.0]])},
    ):
        assert verify(problem, replace(solution, dual=solution.dual | changed)).status is Status.UNVERIFIED
    boasting = replace(solution, bound=1.01 * solution.bound)
    assert verify(problem, boasting).status is Status.UNVERIFIED
    other = posed(data(3, 3), 0.1)
    assert verify(other, solution).status is Status.UNVERIFIED


def test_too_few_samples_are_proven_infeasible(tmp_path: Any) -> None:
    problem = posed(data(0, 12), 0.01, n_fake=2)
    solution = solved(problem, 60.0)
    assert solution.status is Status.INFEASIBLE
    assert solution.generator is None
    assert verify(problem, solution).status is Status.INFEASIBLE
    loaded = Solution.load(solution.save(tmp_path / "none.safetensors"))
    assert verify(problem, loaded).status is Status.INFEASIBLE
    assert verify(posed(data(0, 12), 0.01, n_fake=12), replace(solution, fingerprint=None)).status is not (
        Status.INFEASIBLE
    )


@pytest.mark.parametrize("width", [1, 4])
def test_a_line_is_certified_since_only_signs_are_dealt(width: int) -> None:
    x = data(4, 5, 1)
    X = x @ data(5, 1, width) if width > 1 else x
    problem = posed(X, 0.1)
    solution = solved(problem, tol=1e-6)
    assert solution.status is Status.CERTIFIED
    length = np.linalg.norm(X[0]) / abs(x[0, 0])
    up, down = (length * float(np.maximum(sign * x, 0.0).sum()) - 0.1 for sign in (1.0, -1.0))
    assert solution.value == pytest.approx(min(0.5 * (up**2 / k + down**2 / (5 - k)) for k in range(1, 5)), rel=1e-5)


def test_plane_inside_a_larger_space_has_the_same_bracket() -> None:
    X = data(6, 3)
    Q = np.linalg.qr(data(7, 5, 5))[0][:2]
    flat, lifted = solved(posed(X, 0.2)), solved(posed(X @ Q, 0.2))
    assert lifted.status is Status.CERTIFIED
    assert lifted.bound <= flat.value
    assert flat.bound <= lifted.value


@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_units_do_not_matter(scale: float) -> None:
    X = data(8, 3)
    one, other = solved(posed(X, 0.3)), solved(posed(scale * X, 0.3 * scale))
    assert other.status is Status.CERTIFIED
    assert other.value == pytest.approx(scale**2 * one.value, rel=1e-2)


def test_means_strength_counts_float32_zeros_and_duplicates_are_honoured() -> None:
    X = np.concatenate([data(10, 2), data(10, 2), np.zeros((1, 2))]).astype(np.float32)
    problem = posed(X, 0.05, strength=3.0, n_fake=3, normalize="mean")
    solution = solved(problem)
    assert solution.status is Status.CERTIFIED
    G = solution.generator.output
    assert G.shape == (3, 2)
    assert G.dtype == np.float32
    assert solution.value == pytest.approx(1.5 * float(np.sum(G.astype(float) ** 2)) / 3, rel=1e-6)
    assert problem.dist(G).value <= 0.05


def test_nothing_is_generated_where_beta_allows_it() -> None:
    solution = solved(posed(data(4, 5), 100.0))
    assert solution.status is Status.CERTIFIED
    assert solution.value == 0.0


def test_time_limit_and_max_iter_return_a_bracket_that_holds() -> None:
    quick = solved(posed(data(12, 8), 0.5), 0.3, tol=1e-6)
    assert quick.stats.stopped == "time_limit"
    assert quick.stats.seconds < 6.0
    short = solved(posed(data(12, 8), 0.5), max_iter=3, tol=1e-6)
    assert short.stats.stopped == "max_iter"
    assert short.stats.extra["relaxations"] == 3
    for solution in (quick, short):
        assert solution.status is Status.BRACKETED
        assert solution.bound <= solution.value


def test_callback_sees_a_bracket_that_only_narrows() -> None:
    lines: list[dict[str, Any]] = []
    solution = solved(posed(data(13, 4), 0.3), 30.0, tol=1e-6, max_iter=40, callback=lines.append)
    assert len(lines) > 3
    for one, two in pairwise(lines):
        assert two["lower"] >= one["lower"] * (1.0 - 1e-6)
        assert two["upper"] <= one["upper"] * (1.0 + 1e-6)
    assert lines[-1]["lower"] == solution.bound


def test_interrupt_keeps_what_was_proven() -> None:
    problem, seen = posed(data(14, 5), 0.3), []

    def stop(line: dict[str, Any]) -> None:
        seen.append(line)
        if len(seen) == 12:
            raise KeyboardInterrupt

    solution = solved(problem, 30.0, tol=1e-6, callback=stop)
    assert solution.stats.stopped == "interrupt"
    assert solution.status is Status.BRACKETED
    assert solution.bound >= seen[-1]["lower"] * (1.0 - 1e-6)
    assert solution.value == pytest.approx(seen[-1]["upper"], rel=1e-9)


def test_space_and_other_pairs_are_refused_by_name() -> None:
    with pytest.raises(InputError, match=r'rank of X = 3 must be at most 2 .* method="convex_concave"'):
        solved(posed(data(0, 5, 3), 0.5))
    with pytest.raises(InputError, match="must be one of auto, "):
        Problem(Discriminator.quadratic(beta=1.0) + Generator.free(), data(0, 5)).solve(method="global")
    with pytest.raises(InputError, match='not be given for method "global"'):
        posed(data(0, 3), 0.5).solve(method="global", solver="CLARABEL")


def test_route_and_explanation_name_the_method() -> None:
    problem = posed(data(18, 4), 0.5)
    assert problem.route("global").method == "global"
    assert problem.route().method == "convex_concave"
    assert 'method="global" narrows the bracket' in str(problem.explain())
    bounded = Problem(Discriminator.relu(norm_bound=True) + Generator.free(), problem.X)
    assert "global" not in str(bounded.explain())  # which does not have that pair
    check_reduction_inverts(problem, BranchingOverSectors())


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10**6), n=st.integers(1, 3), beta=st.floats(0.05, 2.0))
def test_bracket_holds_for_any_data(seed: int, n: int, beta: float) -> None:
    problem = posed(data(seed, n), beta)
    solution = solved(problem, 0.5)
    assert solution.status in (Status.BRACKETED, Status.CERTIFIED)
    assert solution.bound <= solution.value * (1.0 + 1e-6)
    assert problem.dist(solution.generator.output).value <= beta * (1.0 + 1e-9)


# ---- parts ---------------------------------------------------------------------------------------------------------


def test_relaxation_of_the_root_is_the_population_game() -> None:
    X = data(2, 6)
    unit = float(np.linalg.norm(X, axis=1).sum())
    found = relaxed(PlanarGame(X / unit, 6, 0.5 / unit), np.array([1]), np.array([6.0]), Parts.first(), np.inf)
    population = Problem(Discriminator.relu(beta=0.5) + Generator.distribution(), X).solve()
    assert found.bound * unit**2 == pytest.approx(population.value, rel=3e-3)
    assert found.bound * unit**2 <= population.value * (1.0 + 1e-9)


def test_bound_of_a_node_is_below_any_samples_in_its_sectors() -> None:
    rng = np.random.default_rng(3)
    for _ in range(5):
        X, G = rng.standard_normal((4, 2)), rng.standard_normal((3, 2))
        unit = float(np.linalg.norm(X, axis=1).sum())
        sums = [relu_sum(rows, np.ones(len(rows)), CIRCLE) for rows in (X, G)]
        dist = float(np.abs(sums[0] - sums[1]).max()) * 1.001
        angle = np.mod(np.arctan2(G[:, 1], G[:, 0]) + 0.5 * np.pi, 2.0 * np.pi)
        sectors, counts = np.unique(64 + (angle / (2.0 * np.pi) * 64).astype(int), return_counts=True)
        game = PlanarGame(X / unit, 3, dist / unit)
        found = relaxed(game, sectors, counts.astype(float), Parts.first(), np.inf)
        assert 0.0 <= found.bound <= 0.5 * float(np.sum(G * G)) / unit**2
        if found.dual is not None:
            pool = Pool()
            pool.add(found.dual)
            row = np.repeat(sectors, counts)[None]
            assert pool.bounds(row)[0][0] == pytest.approx(found.bound, rel=1e-5)


def test_anchors_are_the_nearest_points() -> None:
    rng = np.random.default_rng(1)
    G, P = rng.standard_normal((4, 2)), 3.0 * rng.standard_normal((30, 2))
    shares = anchors(G, P)
    assert shares.min() >= 0.0
    assert shares.max() <= 1.0
    distance = np.linalg.norm(P - shares @ G, axis=1)
    support = relu_sum(G, np.ones(4), CIRCLE)
    outside = np.maximum((P @ CIRCLE.T - support).max(axis=1), 0.0)
    assert (distance >= outside - 1e-9).all()
    assert distance == pytest.approx(outside, abs=5e-3)  # the grid misses the normals of edges


def test_corners_span_the_support_function() -> None:
    X = np.concatenate([data(3, 5), -data(3, 2), np.zeros((1, 2))])
    assert (corners(X) @ CIRCLE.T).max(axis=0) == pytest.approx(relu_sum(X, np.ones(len(X)), CIRCLE))


def test_anchored_steps_are_feasible_and_never_dearer() -> None:
    X = data(9, 5) / float(np.linalg.norm(data(9, 5), axis=1).sum())
    target, offered = Target(X, 5, 0.03, 1e-9), []
    assert anchored(target, X, offered.append)
    costs = [float(np.sum(G * G)) for G in offered]
    assert all(target.is_feasible(G) for G in offered)
    assert all(two <= one * (1.0 + 1e-9) for one, two in pairwise(costs))
    assert costs[0] <= float(np.sum(X * X))


def test_without_any_samples_descents_start_from_anywhere() -> None:
    X = data(0, 5)
    X = X / np.linalg.norm(X, axis=1).sum()
    best = BestSamples(Target(X, 3, 0.15, 1e-9), 1.0, perf_counter() + 20.0, None)
    for _ in range(20):
        best.descend(None)
    assert best.G is not None
    assert best.target.is_feasible(best.G)
