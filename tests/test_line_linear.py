"""One feature, ReLU with bias, outputs linear in the weights: global optima by cones of weights, and their proof."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convexwgan import Discriminator, Generator, Problem, Regularizer, Solution, Status, verify
from convexwgan.certificates.certify import certify
from convexwgan.errors import InputError, NotCoveredError
from convexwgan.solvers.ordered_sums import Goal, OrderedSums, Rows, least_point, least_value


def game(x: Any, Z: Any, beta: float, *, generator: Any = None, R: Any = None, normalize: str = "sum") -> Problem:
    wgan = Discriminator.relu(beta=beta, bias=True) + (generator or Generator.linear()) + (R or Regularizer.output(1.0))
    return Problem(wgan, np.asarray(x, dtype=float).reshape(-1, 1), np.asarray(Z, dtype=float), normalize=normalize)


def noise(n: int, rank: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.standard_normal(n), rng.standard_normal((n, rank))


def least_scale(x: np.ndarray, g: np.ndarray, beta: float) -> float:
    """The least s ≥ 0 with |T_k(sg) − T_k(x)| ≤ β and |B_k(sg) − B_k(x)| ≤ β for all k (sums); inf if there is none."""
    low, high = 0.0, np.inf
    for order in (1, -1):
        for goal, slope in zip(np.cumsum(np.sort(x)[::order]), np.cumsum(np.sort(g)[::order]), strict=True):
            if abs(slope) < 1e-14:
                if abs(goal) > beta:
                    return np.inf
                continue
            ends = sorted(((goal - beta) / slope, (goal + beta) / slope))
            low, high = max(low, ends[0]), min(high, ends[1])
    return low if low <= high else np.inf


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("cost", ["output", "weights"])
def test_planar_noise_reaches_the_optimum_of_a_scan_over_all_directions(seed: int, cost: str) -> None:
    x, Z = noise(8, 2, seed)
    x = x.round(1)
    beta, scan, pay = 0.3 * float(np.abs(x).sum()), np.inf, getattr(Regularizer, cost)(1.0)
    for angle in np.linspace(0.0, 2.0 * np.pi, 4001):
        w = np.array([np.cos(angle), np.sin(angle)])
        s = least_scale(x, Z @ w, beta)
        unit = np.sum((Z @ w) ** 2) if cost == "output" else 1.0
        scan = min(scan, 0.5 * s**2 * unit)
    solution = game(x, Z, beta, R=pay).solve()
    if np.isinf(scan):
        assert solution.status is Status.INFEASIBLE
    else:
        assert solution.status is Status.CERTIFIED
        assert solution.bound <= scan
        assert solution.value == pytest.approx(scan, rel=5e-3)


@pytest.mark.parametrize("seed", range(6))
def test_one_column_of_noise_has_two_signs_and_a_closed_form(seed: int) -> None:
    x, Z = noise(5, 1, seed)
    z, beta = Z[:, 0], 0.35 * float(np.abs(x).sum())
    s = min(least_scale(x, z, beta), least_scale(x, -z, beta))
    problem = game(x, Z, beta)
    solution = problem.solve()
    assert verify(problem, solution).status is solution.status
    if np.isinf(s):
        assert solution.status is Status.INFEASIBLE
    else:
        assert solution.status is Status.CERTIFIED
        assert solution.value == pytest.approx(0.5 * s**2 * float(z @ z), rel=1e-9)


@pytest.mark.parametrize("normalize", ["sum", "mean"])
@pytest.mark.parametrize("cost", ["output", "weights"])
def test_noise_in_space_is_certified_and_verified_within_beta(normalize: str, cost: str) -> None:
    for seed in range(2):
        x, Z = noise(30, 3, seed)
        Z = Z[: 30 if normalize == "sum" else 23] * [1.0, 3.0, 0.5]
        beta = 0.1 * float(np.abs(x).sum() if normalize == "sum" else np.abs(x).mean())
        problem = game(x, Z, beta, R=getattr(Regularizer, cost)(0.7), normalize=normalize)
        solution = problem.solve()
        assert solution.status is Status.CERTIFIED, str(solution.certificate)
        assert verify(problem, solution).status is Status.CERTIFIED
        assert problem.dist(solution.generator.output).value <= beta * (1 + 1e-9)
        paid = solution.generator.weights if cost == "weights" else solution.generator.output
        scale = 0.35 / (len(Z) if (cost, normalize) == ("output", "mean") else 1.0)
        assert solution.value == pytest.approx(scale * float(np.sum(paid**2)), rel=1e-9)


def test_polynomial_generator_is_linear_in_lifted_weights_and_certified() -> None:
    x, Z = noise(10, 1, 3)
    problem = game(x, Z, 0.2 * float(np.abs(x).sum()), generator=Generator.polynomial(1.0, 1.0, 0.5))
    solution = problem.solve()
    assert solution.status is Status.CERTIFIED
    assert verify(problem, solution).status is Status.CERTIFIED
    assert problem.dist(solution.generator(Z)).value <= problem.wgan.players[0].beta * (1 + 1e-9)


def test_noise_of_full_rank_has_the_free_generators_value_and_less_rank_costs_more() -> None:
    x, Z = noise(4, 4, 1)
    beta = 0.3 * float(np.abs(x).sum())
    free = Problem(Discriminator.relu(beta=beta, bias=True) + Generator.free(), x[:, None]).solve()
    values = [game(x, Z[:, :k], beta).solve() for k in (4, 3, 2)]
    assert all(solution.status in (Status.CERTIFIED, Status.INFEASIBLE) for solution in values)
    assert values[0].value == pytest.approx(free.value, rel=1e-6)
    assert values[0].value <= values[1].value * (1 + 1e-6)
    assert values[1].value <= values[2].value * (1 + 1e-6)


def test_high_rank_is_bracketed_by_all_outputs_and_a_search() -> None:
    x, Z = noise(40, 9, 2)
    beta = 0.2 * float(np.abs(x).sum())
    problem = game(x, Z, beta)
    solution = problem.solve()
    free = Problem(Discriminator.relu(beta=beta, bias=True) + Generator.free(), x[:, None]).solve()
    assert solution.status is Status.BRACKETED
    assert solution.bound == pytest.approx(free.value, rel=1e-6)
    assert problem.dist(solution.generator.output).value <= beta * (1 + 1e-9)
    assert "✗" in str(problem.explain())
    assert not problem.explain().is_convex


def awkward(name: str) -> tuple[Any, Any]:
    x, Z = noise(6, 2, 5)
    return {
        "ties in the data": (np.array([0.0, 0.0, 1.0, 1.0, 1.0, 3.0]), Z),
        "equal rows of noise": (x, Z[[0, 0, 1, 1, 2, 2]]),
        "a zero row of noise": (x, np.concatenate([Z[:5], np.zeros((1, 2))])),
        "a column twice": (x, Z[:, [0, 1, 0]]),
        "columns of sizes 1e-6 and 1e6": (x, Z * [1e-6, 1e6]),
        "one sample": (np.array([2.0]), np.array([[1.5, -1.0]])),
        "a constant column": (x, np.column_stack([Z, np.ones(6)])),
    }[name]


@pytest.mark.parametrize(
    "name",
    [
        "ties in the data",
        "equal rows of noise",
        "a zero row of noise",
        "a column twice",
        "columns of sizes 1e-6 and 1e6",
        "one sample",
        "a constant column",
    ],
)
def test_awkward_noise_and_data_are_decided(name: str) -> None:
    x, Z = awkward(name)
    for share in (0.2, 0.7):
        problem = game(x, Z, share * float(np.abs(x).sum()))
        solution = problem.solve()
        assert solution.status in (Status.CERTIFIED, Status.INFEASIBLE), str(solution.certificate)
        assert verify(problem, solution).status is solution.status


def test_zero_noise_is_infeasible_or_costs_nothing() -> None:
    x = np.array([-1.0, 1.0])
    small, large = game(x, np.zeros((2, 2)), 0.1).solve(), game(x, np.zeros((2, 2)), 1.5).solve()
    assert small.status is Status.INFEASIBLE
    assert (large.status, large.value) == (Status.CERTIFIED, 0.0)


@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_units_of_data_and_noise_do_not_matter(scale: float) -> None:
    x, Z = noise(9, 2, 6)
    beta = 0.3 * float(np.abs(x).sum())
    plain, scaled = game(x, Z, beta).solve(), game(scale * x, Z / scale, scale * beta).solve()
    assert plain.status is scaled.status is Status.CERTIFIED
    assert scaled.value == pytest.approx(scale**2 * plain.value, rel=1e-6)


def test_limits_are_kept_and_named_and_the_bracket_stays_valid() -> None:
    x, Z = noise(40, 3, 7)
    problem = game(x, Z, 0.2 * float(np.abs(x).sum()))
    best, seen = problem.solve(), []
    for limit in ({"max_iter": 12}, {"time_limit": 1e-6}):
        solution = problem.solve(callback=seen.append, **limit)  # type: ignore[arg-type]
        assert solution.stats.stopped == next(iter(limit))
        assert solution.bound <= best.value * (1 + 1e-9)
        assert solution.value >= best.bound * (1 - 1e-9)
        assert solution.status in (Status.BRACKETED, Status.FAILED)
    assert seen[-1]["lower"] <= seen[-1]["upper"]


@pytest.mark.parametrize("cost", ["output", "weights"])
@pytest.mark.parametrize("strength", [0.03, 0.3, 3.0])
def test_norm_bound_balances_cost_and_dist_to_the_global_optimum(cost: str, strength: float) -> None:
    x, Z = noise(6, 2, 4)
    R = getattr(Regularizer, cost)(strength)
    problem = Problem(Discriminator.relu(norm_bound=True, bias=True) + Generator.linear() + R, x[:, None], Z)
    solution = problem.solve()
    assert solution.status is Status.CERTIFIED, str(solution.certificate)
    assert verify(problem, solution).status is Status.CERTIFIED
    rng, scan = np.random.default_rng(0), np.inf
    for w in rng.standard_normal((2000, 2)) * rng.uniform(0.0, 2.0, (2000, 1)):
        paid = np.sum((Z @ w) ** 2) if cost == "output" else np.sum(w**2)
        scan = min(scan, 0.5 * strength * float(paid) + problem.evidence.dist(Z @ w))
    assert solution.bound <= scan
    assert solution.value <= scan
    betas = [0.5, 1.0, 2.0]
    decays = [game(x, Z, beta, R=R).solve() for beta in betas]
    assert all(solution.value <= d.value + b + 1e-6 for d, b in zip(decays, betas, strict=True))


def test_high_rank_under_a_norm_bound_is_bracketed_by_the_discriminator_of_all_outputs() -> None:
    x, Z = noise(12, 8, 2)
    wgan = Discriminator.relu(norm_bound=True, bias=True) + Generator.linear() + Regularizer.output(0.5)
    problem = Problem(wgan, x[:, None], Z)
    solution = problem.solve(time_limit=2.0)
    free = Problem(wgan.players[0] + Generator.free() + Regularizer.output(0.5), x[:, None]).solve()
    assert solution.status is Status.BRACKETED
    assert 0.0 < solution.bound <= free.value * (1 + 1e-9) <= solution.value * (1 + 2e-9)


def test_norms_are_refused_with_the_remedy() -> None:
    x, Z = noise(5, 2)
    with pytest.raises(NotCoveredError, match=r"Regularizer\.output and Regularizer\.weights"):
        game(x, Z, 1.0, R=Regularizer.norm(1)).solve()
    with pytest.raises(InputError, match='not be given for method "global"'):
        game(x, Z, 1.0).solve(solver="SCS")


def test_tampered_trees_are_never_certified_beyond_what_they_prove(tmp_path: Any) -> None:
    x, Z = noise(12, 2, 8)
    problem = game(x, Z, 0.2 * float(np.abs(x).sum()))
    solution = problem.solve()
    good = solution.claim
    table = np.asarray(good.output_multiplier)
    short, edge, flat, nan = table[:-1], table.copy(), table.copy(), table.copy()
    edge[-1, 0], nan[3, 0] = 4.0, np.nan  # an edge from a ray to itself
    flat[:2] = flat[:1]
    for worse in (short, edge, flat, nan, table[:2], table[:, :1], np.zeros_like(table)):
        audit = certify(problem.evidence, replace(good, output_multiplier=worse), tol=1e-6, repair=False)
        assert audit.certificate.status is not Status.CERTIFIED
        assert audit.certificate.lower <= solution.value * (1 + 1e-9)
    worse = replace(good, weights=0.9 * np.asarray(good.weights))
    assert certify(problem.evidence, worse, tol=1e-6, repair=False).certificate.status is not Status.CERTIFIED
    loaded = Solution.load(solution.save(tmp_path / "cones.safetensors"))
    assert verify(problem, loaded).status is Status.CERTIFIED
    assert verify(game(x + 0.1, Z, 1.0), loaded).status is not Status.CERTIFIED


def test_a_tree_proves_infeasibility_only_of_what_is_infeasible() -> None:
    x, Z = noise(12, 2, 8)
    tight, wide = (game(x, Z, share * float(np.abs(x).sum())) for share in (0.005, 0.2))
    impossible = tight.solve()
    assert impossible.status is Status.INFEASIBLE
    borrowed = replace(wide.solve().claim, output_multiplier=impossible.dual["output_multiplier"], weights=None)
    assert certify(wide.evidence, borrowed, tol=1e-6).certificate.status is not Status.INFEASIBLE


def test_single_precision_torch_data_come_back_in_their_own_library() -> None:
    torch = pytest.importorskip("torch")
    x, Z = noise(8, 2, 9)
    beta = 0.3 * float(np.abs(x).sum())
    wgan = Discriminator.relu(beta=beta, bias=True) + Generator.linear()
    X, Z = (torch.tensor(a, dtype=torch.float32) for a in (x[:, None], Z))
    solution = Problem(wgan, X, Z).solve()
    assert solution.status is Status.CERTIFIED
    assert solution.generator.output.dtype is torch.float32


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 4), st.integers(1, 7))
def test_relaxation_holds_for_every_point_of_the_cone_and_cuts_for_every_point(seed: int, rank: int, m: int) -> None:
    rng = np.random.default_rng(seed)
    sums = OrderedSums.of(rng.integers(-2, 3, 5).astype(float), rng.standard_normal((m, rank)), 1.0 / m)
    rays = np.diag(rng.choice([-1.0, 1.0], rank)) + 0.3 * rng.standard_normal((rank, rank))
    if np.linalg.cond(rays) > 1e6:
        return
    c = rays @ rng.exponential(size=rank)
    beta = sums.dist(c)  # feasible at its own distance
    rows = Rows.joined(sums.relaxation(rays, sums.at_kinks(sums.sorted_sums(rays))), sums.cuts(rng.permutation(m)))
    slack = rows.A @ c - rows.b - beta * rows.relief
    assert slack.min() >= -1e-9 * (1.0 + beta)
    own = Rows.joined(sums.restriction(sums.order(c)), sums.cuts(sums.order(c)))
    assert (own.A @ c - own.b - beta * own.relief).min() == pytest.approx(0.0, abs=1e-9 * (1.0 + beta))


def test_least_point_is_the_least_distance_and_its_prices_prove_it() -> None:
    rows = Rows(np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]), np.array([1.0, -5.0, 3.0]), np.zeros(3))
    found = least_point(rows, 0.0)
    np.testing.assert_allclose(found.c, [1.5, 1.5], atol=1e-12)
    assert least_value(rows, 0.0, found.u) == pytest.approx(0.5 * 4.5)
    opposite = Rows(np.array([[1.0], [-1.0]]), np.array([1.0, 1.0]), np.zeros(2))
    assert least_point(opposite, 0.0).c is None


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 3), st.floats(0.05, 5.0))
def test_prices_of_the_balanced_program_prove_what_its_point_costs(seed: int, rank: int, price: float) -> None:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 9))
    rows = Rows(rng.standard_normal((n, rank)), rng.standard_normal(n), np.full(n, -1.0))
    goal = Goal(None, price)
    point, level = goal.point(rows)
    assert (rows.A @ point.c - rows.b + level).min() >= -1e-7 * (1.0 + np.abs(rows.b).max())
    cost = 0.5 * float(point.c @ point.c) + price * level
    assert goal.bound(rows, point.u) == pytest.approx(cost, rel=1e-6, abs=1e-8)


@pytest.mark.parametrize("generator", [Generator.linear(), Generator.polynomial(1.0, 1.0, 1.0)])
def test_noise_that_reaches_every_output_is_solved_like_a_free_generator(generator: Generator) -> None:
    rng = np.random.default_rng(3)
    X = rng.standard_normal((6, 1))
    Z = rng.standard_normal((6, 6 if generator.kind == "linear" else 2))
    D = Discriminator.relu(beta=0.02, bias=True)
    free = Problem(D + Generator.free(), X, n_fake=6, normalize="mean").solve()
    solution = Problem(D + generator, X, Z, normalize="mean").solve()
    assert solution.status is Status.CERTIFIED
    assert solution.value == pytest.approx(free.value, rel=1e-8)
    assert solution.stats.extra["cones"] == 0
