"""Restricted discriminators and generators against programs written independently here."""

from __future__ import annotations

from typing import Any

import cvxpy as cp
import numpy as np
import pytest
from scipy.optimize import linprog, minimize
from scipy.spatial.distance import cdist
from scipy.stats import wasserstein_distance

from convexwgan import (
    Discriminator,
    Divergence,
    FeatureDiscriminator,
    FiniteGame,
    LipschitzDiscriminator,
    NeuronDiscriminator,
    Status,
)
from convexwgan.models.finite_game import FiniteGameSolution
from convexwgan.spec.divergence import NAMES

RNG = np.random.default_rng(11)
W0 = Divergence.named("wasserstein", epsilon=0.0)
N = 9
X = RNG.standard_normal((N, 2))
P = RNG.dirichlet(np.ones(N))
P[2] = 0.0
P /= P.sum()
Q = RNG.dirichlet(np.ones(N))
S = np.arange(N) % 3 != 0  # the generator may not go to points 0, 3, 6


def is_certified(solution: FiniteGameSolution) -> bool:
    return solution.status is Status.CERTIFIED and abs(solution.gap) <= 1e-7 * max(1.0, abs(solution.value))


# ---- linear in features: moment matching -------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*NAMES, "proper"])
def test_features_with_a_constant_match_moments_and_the_value_is_the_optimum(name: str) -> None:
    features = np.column_stack([np.ones(N), X])
    divergence = W0 if name == "proper" else Divergence.named(name)
    solution = FiniteGame(P, divergence, FeatureDiscriminator(features)).solve()
    assert is_certified(solution)
    assert solution.value == pytest.approx(divergence.value, abs=1e-7)
    np.testing.assert_allclose(features.T @ solution.generated, features.T @ P, atol=1e-7)
    assert np.abs(solution.generated - P).sum() > 0.1  # the class cannot tell it from p_d


@pytest.mark.parametrize("name", NAMES)
def test_features_without_a_constant_agree_with_a_local_solver_on_the_weights(name: str) -> None:
    d, features = Divergence.named(name), np.abs(X) + 0.2
    solution = FiniteGame(P, d, FeatureDiscriminator(features)).solve()
    assert is_certified(solution)
    start = np.linalg.lstsq(features, np.full(N, d.optimum), rcond=None)[0]
    scale = 0.5 if d.df1(np.array([d.optimum]))[0] < 0 else 3.0  # strictly feasible, inside the domain
    start = np.array([0.05, 0.05]) if d.domain == (0.0, 1.0) else start * scale
    found = minimize(
        lambda w: -float(P @ d.f0(features @ w)),
        start,
        jac=lambda w: -(features.T @ (P * d.df0(features @ w))),
        constraints={
            "type": "ineq",
            "fun": lambda w: d.f1(d.clip(features @ w, 1e-9)),
            "jac": lambda w: d.df1(d.clip(features @ w, 1e-9))[:, None] * features,
        },
        method="SLSQP",
        options={"ftol": 1e-14, "maxiter": 500},
    )
    assert solution.value == pytest.approx(-found.fun, abs=1e-6)


@pytest.mark.parametrize("support", [np.ones(N, dtype=bool), S], ids=["everywhere", "restricted"])
def test_bounded_features_agree_with_the_generators_own_program(support: Any) -> None:
    features, B = np.column_stack([X, X**2]), 0.7
    solution = FiniteGame(P, W0, FeatureDiscriminator(features, bound=B), support).solve()
    q = cp.Variable(N, nonneg=True)  # min_q B‖Φᵀ(p_d − q)‖₂, q = 0 off the support
    referee = cp.Problem(
        cp.Minimize(B * cp.norm2(features.T @ (P - q))), [q[~support] == 0] if (~support).any() else []
    )
    assert is_certified(solution)
    assert solution.value == pytest.approx(float(referee.solve(solver="CLARABEL")), abs=1e-7)


def test_kl_with_bounded_features_agrees_with_its_fenchel_dual() -> None:
    features, B = np.column_stack([np.ones(N), X]), 1.5
    q, y, on = cp.Variable(N, nonneg=True), cp.Variable(N), P > 0
    # sup_D = a log(a/(b−y)) − a + b, and b where a = 0 and y ≤ b
    cost = cp.sum(cp.kl_div(P[on], (q - y)[on]) + y[on]) + cp.sum(q[~on]) + B * cp.norm2(features.T @ y)
    referee = cp.Problem(cp.Minimize(cost), [q[~S] == 0, (q - y)[~on] >= 0])
    solution = FiniteGame(P, "kullback-leibler", FeatureDiscriminator(features, bound=B), S).solve()
    assert is_certified(solution)
    assert solution.value == pytest.approx(float(referee.solve(solver="CLARABEL")), abs=1e-6)


# ---- Lipschitz: Wasserstein proper -------------------------------------------------------------------------------


def transport_cost(cost: Any, p: Any, q: Any | None, support: Any) -> float:
    """min Σ π_ij c_ij, row sums p, column sums q (or any, on the support), by SciPy's HiGHS."""
    n = len(p)
    rows, columns = np.kron(np.eye(n), np.ones((1, n))), np.kron(np.ones((1, n)), np.eye(n))
    if q is None:
        limits = [(0.0, None if support[k % n] else 0.0) for k in range(n * n)]
        return float(linprog(cost.ravel(), A_eq=rows, b_eq=p, bounds=limits).fun)
    return float(linprog(cost.ravel(), A_eq=np.vstack([rows, columns]), b_eq=np.concatenate([p, q])).fun)


def test_lipschitz_value_of_a_generator_is_the_optimal_transport_cost() -> None:
    solution = FiniteGame(P, W0, LipschitzDiscriminator.of_points(X)).evaluate(Q)
    assert is_certified(solution)
    assert solution.value == pytest.approx(transport_cost(cdist(X, X), P, Q, S), abs=1e-7)
    d = solution.discriminator
    assert np.all(np.abs(d[:, None] - d[None, :]) <= cdist(X, X) + 1e-12)
    assert float(d @ (P - Q)) == pytest.approx(solution.bound, abs=1e-12)


def test_on_the_line_it_is_scipys_wasserstein_distance_and_scales_with_the_constant() -> None:
    x = X[:, :1]
    game = FiniteGame(P, W0, LipschitzDiscriminator.of_points(x, constant=3.0))
    assert game.evaluate(Q).value == pytest.approx(3 * wasserstein_distance(x[:, 0], x[:, 0], P, Q), abs=1e-7)


def test_generator_on_part_of_the_space_projects_the_data_in_transport_cost() -> None:
    solution = FiniteGame(P, W0, LipschitzDiscriminator.of_points(X), S).solve()
    cost = cdist(X, X)
    assert is_certified(solution)
    assert solution.value == pytest.approx(transport_cost(cost, P, None, S), abs=1e-7)
    assert solution.value == pytest.approx(float(P @ cost[:, S].min(axis=1)), abs=1e-7)
    nearest = np.flatnonzero(S)[cost[:, S].argmin(axis=1)]
    np.testing.assert_allclose(solution.generated, np.bincount(nearest, weights=P, minlength=N), atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_lipschitz_discriminators_still_separate_every_point(name: str) -> None:
    solution = FiniteGame(P, name, LipschitzDiscriminator.of_points(X)).solve()
    assert is_certified(solution)
    assert np.abs(solution.generated - P).max() <= 1e-5


def test_lipschitz_hellinger_on_part_of_the_space_agrees_with_a_program_over_flows() -> None:
    solution = FiniteGame(P, "hellinger", LipschitzDiscriminator.of_points(X), S).solve()
    q, flow = cp.Variable(N, nonneg=True), cp.Variable((N, N), nonneg=True)
    y = cp.sum(flow, axis=0) - cp.sum(flow, axis=1)
    u = cp.hstack([cp.geo_mean(cp.hstack([q[i], P[i] - y[i]])) for i in range(N)])  # sup_D = a + b − 2√(b(a−y))
    cost = cp.sum(P + q - 2 * u) + cp.sum(cp.multiply(flow, cdist(X, X)))
    referee = cp.Problem(cp.Minimize(cost), [q[~S] == 0])
    assert is_certified(solution)
    assert solution.value == pytest.approx(float(referee.solve(solver="CLARABEL")), abs=1e-6)


@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_transport_cost_is_certified_at_every_scale(scale: float) -> None:
    solution = FiniteGame(P, W0, LipschitzDiscriminator.of_points(scale * X), S).solve()
    assert solution.status is Status.CERTIFIED
    assert solution.value == pytest.approx(scale * float(P @ cdist(X, X)[:, S].min(axis=1)), rel=1e-6)


# ---- the package's own discriminators ----------------------------------------------------------------------------


def neurons(kind: str, bound: float, **options: Any) -> NeuronDiscriminator:
    make = getattr(Discriminator, kind)
    return NeuronDiscriminator(X, make(norm_bound=True, **options), bound=bound)


def test_linear_neurons_agree_with_mean_matching_in_the_generators_variables() -> None:
    solution = FiniteGame(P, W0, neurons("linear", 2.0), S).solve()
    q = cp.Variable(N, nonneg=True)
    referee = cp.Problem(cp.Minimize(2.0 * cp.norm2(X.T @ (P - q))), [q[~S] == 0, cp.sum(q) == 1])
    assert is_certified(solution)
    assert solution.value == pytest.approx(float(referee.solve(solver="CLARABEL")), abs=1e-7)


@pytest.mark.parametrize("skip", [False, True])
def test_quadratic_neurons_agree_with_second_moment_matching_in_spectral_norm(skip: bool) -> None:
    points = np.vstack([3 * X[:3], X[3:] / 2])  # second moments out of the generator's reach
    game = FiniteGame(
        P, W0, NeuronDiscriminator(points, Discriminator.quadratic(norm_bound=True, skip=skip)), np.arange(N) > 2
    )
    solution = game.solve()
    q = cp.Variable(N, nonneg=True)
    moment = points.T @ cp.diag(P - q) @ points
    matched = [points.T @ q == points.T @ P] if skip else []
    referee = cp.Problem(cp.Minimize(cp.sigma_max(moment)), [q[:3] == 0, cp.sum(q) == 1, *matched])
    value = float(referee.solve(solver="CLARABEL"))
    if skip and referee.status != "optimal":
        assert solution.status is not Status.CERTIFIED
        return
    assert value > 0.01
    assert is_certified(solution)
    assert solution.value == pytest.approx(value, abs=1e-6)


def test_relu_neurons_on_the_line_agree_with_a_linear_program_over_many_neurons() -> None:
    x, B = X[:, :1], 1.5
    relu = NeuronDiscriminator(x, Discriminator.relu(norm_bound=True, bias=True), bound=B)
    solution = FiniteGame(P, W0, relu, S).solve()
    kinks = np.arctan2(-x[:, 0], 1.0)  # maxima can sit on them: the grid has them all
    angles = np.concatenate([np.linspace(0, 2 * np.pi, 4000, endpoint=False), kinks, kinks + np.pi])
    sigma = np.maximum(np.column_stack([x, np.ones(N)]) @ np.stack([np.cos(angles), np.sin(angles)]), 0.0)
    # min t s.t. |Σ_i (p_i − q_i) σ_i(θ)| ≤ t for every θ of the grid, q ≥ 0 on the support, Σq = 1
    A = np.block([[-sigma.T, -np.ones((len(angles), 1))], [sigma.T, -np.ones((len(angles), 1))]])
    b = np.concatenate([-(sigma.T @ P), sigma.T @ P])
    mass = np.append(np.ones(N), 0.0)[None]
    limits = [(0.0, None if s else 0.0) for s in S] + [(0.0, None)]
    referee = B * linprog(np.append(np.zeros(N), 1.0), A, b, mass, [1.0], bounds=limits).fun
    assert is_certified(solution)
    assert solution.value == pytest.approx(referee, rel=1e-5, abs=1e-6)  # the grid misses (2π/4000)²/8 of it
    assert solution.value >= referee - 1e-7


def test_relu_value_of_a_generator_is_the_distance_of_its_pricing() -> None:
    relu = NeuronDiscriminator(X, Discriminator.relu(norm_bound=True), bound=2.0)
    solution = FiniteGame(P, W0, relu).evaluate(Q)
    angles = np.linspace(0, 2 * np.pi, 200_000, endpoint=False)
    gains = np.maximum(np.stack([np.cos(angles), np.sin(angles)]).T @ X.T, 0.0) @ (P - Q)
    assert is_certified(solution)
    assert solution.value == pytest.approx(2 * float(np.abs(gains).max()), abs=1e-7)


@pytest.mark.parametrize("kind", ["linear", "quadratic", "relu"])
def test_richer_neurons_leave_the_generator_less_freedom(kind: str) -> None:
    options = {"bias": True} if kind == "relu" else {}
    solution = FiniteGame(P, "jensen-shannon", neurons(kind, 1.0, **options)).solve()
    assert is_certified(solution)
    distance = np.abs(solution.generated - P).sum()
    assert (distance <= 1e-5) == (kind == "relu")  # ReLU neurons separate nine points, moments do not


def test_duplicate_points_share_their_mass_freely_but_keep_its_sum() -> None:
    points = np.array([[0.0], [0.0], [1.0]])
    solution = FiniteGame([0.3, 0.1, 0.6], "hellinger", LipschitzDiscriminator.of_points(points)).solve()
    assert is_certified(solution)
    assert solution.generated[:2].sum() == pytest.approx(0.4, abs=1e-5)


def test_regular_grids_whose_distances_tie_are_certified() -> None:
    line = np.linspace(-3, 3, 7)
    points = np.stack(np.meshgrid(line, line), axis=-1).reshape(-1, 2)  # collinear points: constraints imply others
    p = np.zeros(49)
    p[[0, 10, 30]] = [0.5, 0.3, 0.2]
    solution = FiniteGame(p, W0, LipschitzDiscriminator.of_points(points), p == 0).solve()
    assert is_certified(solution)
    assert solution.value == pytest.approx(1.0, abs=1e-7)  # one step of the grid, from everywhere
