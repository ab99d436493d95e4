"""Sampled outputs against ReLU neurons: biases, norm bounds, and generators whose outputs are linear in weights."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convexwgan import Discriminator, Generator, Problem, Regularizer, Solution, Status, verify
from convexwgan.certificates.certify import certify
from convexwgan.certificates.claim import PlainClaim
from convexwgan.certificates.zonotope_moments import moment_bound, shape_of_noise
from convexwgan.errors import InputError
from convexwgan.solvers.feature_starts import apportioned
from convexwgan.solvers.linearised_neurons import NeuronTarget, least_elastic, least_penalised, worst
from convexwgan.solvers.search import Search
from convexwgan.theory.convex_concave_linear_generator import LinearPiecewiseMeans
from convexwgan.theory.laws import check_reduction_inverts, check_weak_duality

Array = np.ndarray[Any, Any]
FREE, LINEAR, POLYNOMIAL, RELU = Generator.free(), Generator.linear(), Generator.polynomial(1, 1, 1), Generator.relu()
FEW = {"starts": 3}


def normal(seed: int, *shape: int) -> Array:
    return np.random.default_rng(seed).standard_normal(shape)


def plain(beta: float | None, bias: bool = False) -> Discriminator:
    if beta is None:
        return Discriminator.relu(norm_bound=True, bias=bias)
    return Discriminator.relu(beta=beta, bias=bias)


def sampled_dist(X: Array, G: Array, weights: tuple[float, float] = (1.0, 1.0), bias: bool = False) -> float:
    """A lower bound on dist by directions and, with a bias, kinks drawn at random: knows nothing of arcs or cells."""
    rng = np.random.default_rng(5)
    U = rng.standard_normal((20_000, X.shape[1]))
    U /= np.linalg.norm(U, axis=1)[:, None]
    rows = np.concatenate([X, G])
    b = -np.einsum("ij,ij->i", U, rows[rng.integers(len(rows), size=len(U))]) if bias else np.zeros(len(U))
    h = [w * np.maximum(A @ U.T + b, 0.0).sum(axis=0) for A, w in zip((X, G), weights, strict=True)]
    return float(np.abs(h[0] - h[1]).max())


def check_bracket(problem: Problem, solution: Solution, gap: float) -> Array:
    """A verified bracket of at most this relative gap, whose output is within β_d by an oracle of the test's own."""
    assert solution.status in (Status.BRACKETED, Status.CERTIFIED), str(solution.certificate)
    assert solution.certificate.scope == "priced"
    assert solution.bound <= solution.value * (1.0 + 1e-9)
    assert solution.relative_gap <= gap
    assert verify(problem, solution).status is solution.status
    check_weak_duality(problem, solution)
    G = np.asarray(solution.generator.output, dtype=float)
    weights = (1.0, 1.0) if problem.normalize == "sum" else (1.0 / len(problem.X), 1.0 / len(G))
    dist = sampled_dist(np.asarray(problem.X, dtype=float), G, weights, problem.wgan.discriminator.bias)
    beta = problem.wgan.discriminator.beta
    assert dist <= (problem.dist(G).value if beta is None else beta) * (1.0 + 1e-6)
    return G


# ---- every pair ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("discriminator", "generator", "regularizer", "gap"),
    [
        (plain(None), FREE, Regularizer.output(0.5), 0.06),
        (plain(0.3, bias=True), FREE, Regularizer.output(2.0), 0.1),
        (plain(None, bias=True), FREE, Regularizer.output(0.5), 0.05),
        (plain(0.5), LINEAR, Regularizer.output(1.0), 0.3),
        (plain(0.5), LINEAR, Regularizer.weights(1.0), 0.7),
        (plain(None), LINEAR, Regularizer.output(0.5), 0.4),
        (plain(0.3, bias=True), LINEAR, Regularizer.output(1.0), 0.3),
        (plain(0.5), POLYNOMIAL, Regularizer.output(1.0), 0.1),
        (plain(0.5), RELU, Regularizer.output(1.0), 0.1),
    ],
    ids=repr,
)
def test_every_sampled_pair_is_bracketed_in_the_plane(
    discriminator: Discriminator, generator: Generator, regularizer: Regularizer, gap: float
) -> None:
    n = 4 if discriminator.bias else 5
    X, Z = normal(0, n, 2), normal(1, n, 3) if generator.needs_noise else None
    problem = Problem(discriminator + generator + regularizer, X, Z)
    solution = problem.solve(options=FEW)
    check_bracket(problem, solution, gap)
    if generator is RELU:
        assert solution.realization is not None
        assert solution.realization.status is Status.CERTIFIED


def test_value_is_what_the_regulariser_says() -> None:
    X, Z = normal(0, 6, 2), normal(1, 9, 3)
    output, weights = (
        Problem(plain(0.3) + LINEAR + R, X, Z, normalize="mean").solve(options=FEW)
        for R in (Regularizer.output(3.0), Regularizer.weights(3.0))
    )
    G, W = output.generator.output, weights.generator.weights
    assert output.value == pytest.approx(1.5 * np.sum(G * G) / 9, rel=1e-12)
    assert weights.value == pytest.approx(1.5 * np.sum(W * W), rel=1e-12)


def test_norm_bound_pays_for_dist() -> None:
    X = normal(2, 5, 2)
    problem = Problem(plain(None) + FREE + Regularizer.output(0.5), X)
    solution = problem.solve(options=FEW)
    G = solution.generator.output
    assert solution.value == pytest.approx(0.25 * np.sum(G * G) + problem.dist(G).value, rel=1e-7)


def test_one_feature_without_bias_is_bracketed_for_a_linear_generator() -> None:
    problem = Problem(plain(0.2) + LINEAR, normal(3, 5, 1), normal(1, 6, 2), normalize="mean")
    check_bracket(problem, problem.solve(options=FEW), 0.5)


def test_a_single_sample_is_certified() -> None:
    solution = Problem(plain(0.5) + LINEAR, np.array([[3.0, 4.0]]), np.array([[1.0, 2.0, 3.0]])).solve()
    assert solution.status is Status.CERTIFIED
    assert solution.value == pytest.approx(0.5 * 4.5**2, rel=1e-6)


def test_nothing_is_generated_where_beta_allows_it() -> None:
    solution = Problem(plain(100.0) + LINEAR, normal(0, 5, 2), normal(1, 5, 2)).solve()
    assert solution.status is Status.CERTIFIED
    assert solution.value == 0.0


@pytest.mark.parametrize(("scale", "noise"), [(1e-6, 1e3), (1e6, 1e-3)])
def test_units_do_not_matter(scale: float, noise: float) -> None:
    X, Z = normal(0, 5, 2), normal(1, 5, 3)
    one = Problem(plain(0.5) + LINEAR, X, Z).solve(options=FEW)
    other = Problem(plain(0.5 * scale) + LINEAR, scale * X, noise * Z).solve(options=FEW)
    assert other.status is Status.BRACKETED
    assert other.bound == pytest.approx(scale**2 * one.bound, rel=1e-4)
    assert other.value == pytest.approx(scale**2 * one.value, rel=0.1)


def test_float32_duplicates_and_zero_rows_are_no_trouble() -> None:
    X = np.concatenate([normal(0, 4, 2), normal(0, 2, 2), np.zeros((1, 2))]).astype(np.float32)
    Z = np.repeat(normal(1, 4, 3), 2, axis=0).astype(np.float32)
    problem = Problem(plain(1.0) + LINEAR, X, Z)
    solution = problem.solve(options=FEW)
    assert solution.generator.weights.dtype == np.float32
    check_bracket(problem, solution, 0.5)


def test_above_the_exact_rank_nothing_is_proven() -> None:
    solution = Problem(plain(2.0) + LINEAR, normal(0, 5, 4), normal(1, 5, 5)).solve(options={"starts": 1}, max_iter=2)
    assert solution.status is Status.UNVERIFIED
    assert solution.certificate.scope == "sampled"


# ---- no output is close enough ---------------------------------------------------------------------------------


def test_one_column_of_noise_is_infeasible_since_a_neuron_sees_across_the_line() -> None:
    X, z = normal(0, 6, 2), normal(1, 6, 1)
    problem = Problem(plain(0.5) + LINEAR, X, z)
    solution = problem.solve(options=FEW)
    assert solution.status is Status.INFEASIBLE
    assert verify(problem, solution).status is Status.INFEASIBLE
    angles = np.linspace(0.0, np.pi, 400_001)
    U = np.column_stack([np.cos(angles), np.sin(angles)])
    margin = solution.certificate.infeasibility.margin
    assert 0.5 * np.abs(X @ U.T).sum(axis=0).min() == pytest.approx(0.5 + margin, rel=1e-5)


def test_centred_noise_is_infeasible_for_data_with_a_large_mean_and_not_for_centred_data() -> None:
    X, half = normal(0, 6, 2), normal(1, 6, 3)
    Z = np.concatenate([half, -half])
    for bias in (False, True):
        problem = Problem(plain(0.2, bias) + LINEAR, X + 2.0, Z, normalize="mean")
        solution = problem.solve(options={"starts": 2})
        assert solution.status is Status.INFEASIBLE
        assert "z̄ = 0" in solution.certificate.infeasibility.text
    assert (
        Problem(plain(0.2) + LINEAR, X - X.mean(axis=0), Z, normalize="mean").solve(options=FEW).generator is not None
    )


def test_noise_of_too_few_dimensions_earns_a_bound_and_no_generator() -> None:
    solution = Problem(plain(0.3) + LINEAR, normal(0, 15, 2), normal(1, 15, 2)).solve(options={"starts": 2})
    assert solution.status is Status.FAILED
    assert solution.generator is None
    assert 0.0 < solution.bound < np.inf


# ---- the semidefinite bound ------------------------------------------------------------------------------------


def test_second_moments_prove_more_than_the_population_for_gaussian_noise_of_few_dimensions() -> None:
    X, Z = normal(0, 30, 2), normal(1, 30, 2)
    solution = Problem(plain(5.0) + LINEAR, X, Z).solve(options={"starts": 2})
    population = Problem(plain(5.0) + Generator.distribution(), X).solve()
    assert solution.bound > 1.1 * population.bound
    assert "output_multiplier" in solution.dual
    assert solution.discriminator is None


def test_shape_of_the_noise_bounds_every_output() -> None:
    for seed, pays_weights in [(0, False), (1, True)]:
        problem = Problem(plain(1.0) + LINEAR, normal(0, 7, 2), normal(seed, 7, 3), normalize="mean")
        latents = problem.evidence.latents
        shape = shape_of_noise(latents, pays_weights)
        for k in range(200):
            W = normal(k, 3, 2)
            G = latents.output(W)
            S = W.T @ W if pays_weights else G.T @ G / 7
            s, u = G.mean(axis=0), normal(k + 1000, 2)
            assert np.abs(G @ u).mean() <= shape.c * np.sqrt(u @ S @ u) * (1.0 + 1e-12)
            assert np.linalg.eigvalsh(S - np.outer(s, s) / shape.rho)[0] >= -1e-12


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), pays=st.booleans(), mean=st.booleans(), bias=st.booleans())
def test_no_multipliers_prove_more_than_what_feasible_weights_cost(
    seed: int, pays: bool, mean: bool, bias: bool
) -> None:
    rng = np.random.default_rng(seed)
    X, Z, W = rng.standard_normal((6, 2)), rng.standard_normal((6, 3)), rng.standard_normal((3, 2))
    normalize = "mean" if mean else "sum"
    regularizer = Regularizer.weights(1.3) if pays else Regularizer.output(0.7)
    probe = Problem(plain(1.0, bias) + LINEAR + regularizer, X, Z, normalize=normalize)
    beta = probe.dist(Z @ W).value * (1.0 + 1e-9)
    problem = Problem(plain(beta, bias) + LINEAR + regularizer, X, Z, normalize=normalize)
    paid = 0.65 * np.sum(W * W) if pays else 0.35 * np.sum((Z @ W) ** 2) / (6 if mean else 1)
    table = np.column_stack([rng.standard_normal((9, 2)), rng.exponential(1.0, (9, 4)) * (rng.random((9, 4)) < 0.5)])
    bound = moment_bound(problem.evidence, table)
    assert bound.value <= paid * (1.0 + 1e-9)
    scaled = moment_bound(problem.evidence, bound.table)
    assert scaled.value == pytest.approx(bound.value, rel=1e-6, abs=1e-12)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6), ratio=st.floats(0.05, 1.0))
def test_unequal_directions_of_noise_raise_the_bound_on_weights_but_never_above_their_cost(
    seed: int, ratio: float
) -> None:
    rng = np.random.default_rng(seed)
    Z, W = rng.standard_normal((8, 2)) * np.array([1.0, ratio]), rng.standard_normal((2, 2))
    X = Z @ W + 0.01 * rng.standard_normal((8, 2))
    probe = Problem(plain(1.0) + LINEAR, X, Z)
    problem = Problem(plain(probe.dist(Z @ W).value * (1.0 + 1e-9)) + LINEAR + Regularizer.weights(1.0), X, Z)
    table = np.column_stack([rng.standard_normal((5, 2)), 0.1 * rng.exponential(1.0, (5, 4))])
    assert moment_bound(problem.evidence, table).value <= 0.5 * np.sum(W * W)
    extra = problem.evidence.ellipsoids[1][2]
    assert moment_bound(problem.evidence, 0.0 * table).value == extra
    assert extra >= 0.0


def test_malformed_or_boasting_claims_are_not_verified() -> None:
    problem = Problem(plain(0.5) + LINEAR, normal(0, 5, 2), normal(1, 5, 3))
    solution = problem.solve(options=FEW)
    boasting = replace(solution, bound=1.1 * solution.bound)
    assert verify(problem, boasting).status is Status.UNVERIFIED
    generator: Any = solution.generator
    shrunk = replace(
        solution, generator=replace(generator, weights=0.8 * generator.weights), value=0.64 * solution.value
    )
    assert verify(problem, shrunk).status is Status.UNVERIFIED
    for claim in (
        PlainClaim(weights=np.ones((2, 2))),
        PlainClaim(weights=np.full((3, 2), np.nan)),
        replace(solution.claim, output_multiplier=-np.ones((2, 6))),
        replace(solution.claim, output_multiplier=np.ones((2, 5))),
    ):
        assert certify(problem.evidence, claim, tol=1e-6).certificate.status is Status.UNVERIFIED


# ---- running it ------------------------------------------------------------------------------------------------


def test_callback_time_limit_interrupt_and_file(tmp_path: Any) -> None:
    problem = Problem(plain(0.5) + LINEAR, normal(0, 6, 2), normal(1, 6, 4))
    lines: list[dict[str, Any]] = []

    def stop_at_third(line: dict[str, Any]) -> None:
        lines.append(line)
        if len(lines) == 3:
            raise KeyboardInterrupt

    stopped = problem.solve(callback=stop_at_third)
    assert stopped.stats.stopped == "interrupt"
    assert stopped.value == pytest.approx(lines[2]["upper"], rel=1e-6)
    assert all(later["upper"] <= line["upper"] * (1.0 + 1e-9) for line, later in pairwise(lines))
    assert all(line["lower"] <= line["upper"] for line in lines)
    hurried = problem.solve(time_limit=0.05)
    assert hurried.stats.stopped == "time_limit"
    assert hurried.bound <= hurried.value
    loaded = Solution.load(stopped.save(tmp_path / "linear.safetensors"))
    assert verify(problem, loaded).status is Status.BRACKETED


@pytest.mark.parametrize("generator", [FREE, LINEAR, RELU], ids=repr)
def test_a_warm_start_is_where_the_descent_begins(generator: Generator) -> None:
    X, Z = normal(0, 6, 2), normal(1, 6, 3) if generator.needs_noise else None
    problem = Problem(plain(0.5) + generator, X, Z)
    good = problem.solve(options={"starts": 8})
    again = problem.solve(options={"starts": 1}, warm_start=good)
    assert again.value <= good.value * (1.0 + 1e-6)


def test_options_seed_the_starts_and_nothing_else_is_accepted() -> None:
    problem = Problem(plain(0.5) + LINEAR, normal(0, 5, 2), normal(1, 5, 3))
    first, same, other = (problem.solve(options={"rng": k, "starts": 4}, max_iter=2) for k in (1, 1, 2))
    assert np.array_equal(first.generator.weights, same.generator.weights)
    assert not np.array_equal(first.generator.weights, other.generator.weights)
    assert first.stats.extra["starts"] == 4
    for options in ({"seed": 1}, {"rng": -1}, {"rng": "x"}, {"starts": 0}):
        with pytest.raises(InputError, match="options"):
            problem.solve(options=options)


@pytest.mark.parametrize("generator", [FREE, LINEAR, RELU], ids=repr)
def test_explanation_does_not_call_the_program_convex(generator: Generator) -> None:
    Z = normal(1, 4, 3) if generator.needs_noise else None
    explanation = Problem(plain(None, bias=True) + generator, normal(0, 4, 2), Z).explain()
    assert not explanation.is_convex
    assert explanation.method == "convex_concave"
    assert "h_G(u,b)" in str(explanation)


def test_unequal_sums_with_bias_are_refused_naming_means() -> None:
    with pytest.raises(InputError, match="mean"):
        Problem(plain(0.5, bias=True) + LINEAR, normal(0, 5, 2), normal(1, 6, 3)).solve()


@pytest.mark.parametrize(("generator", "regularizer"), [(LINEAR, Regularizer.weights(1.0)), (POLYNOMIAL, None)])
def test_the_theorem_inverts(generator: Generator, regularizer: Regularizer | None) -> None:
    wgan = plain(0.5) + generator
    problem = Problem(wgan if regularizer is None else wgan + regularizer, normal(0, 4, 2), normal(1, 4, 3))
    check_reduction_inverts(problem, LinearPiecewiseMeans())


# ---- parts -----------------------------------------------------------------------------------------------------


def test_elastic_program_is_at_its_stationary_point() -> None:
    A, b = normal(0, 30, 5), normal(1, 30)
    x, y = least_elastic(A, b, 50.0, np.zeros(5))
    assert A.T @ y == pytest.approx(x, abs=1e-9)
    assert y == pytest.approx(50.0 * np.maximum(b - A @ x, 0.0))


def test_penalised_program_is_optimal_by_its_multipliers() -> None:
    A, r, kappa = normal(0, 20, 6), normal(1, 20) + 1.0, 0.3
    x, y, t = least_penalised(A, r, kappa)
    assert (A @ x >= r - t - 1e-7).all()
    assert y.sum() == pytest.approx(1.0, abs=1e-5)
    assert A.T @ y == pytest.approx(kappa * x, abs=1e-7)
    assert y @ (A @ x - r + t) == pytest.approx(0.0, abs=1e-6)


def test_tangents_lie_below_the_piecewise_means_and_touch_them() -> None:
    F, G0 = normal(0, 7, 3), normal(1, 3, 2)
    target = NeuronTarget(normal(2, 4, 2), 0.25, F, 7, 1.0 / 7.0, 0.1, 1e-9, True)
    neurons = normal(3, 10, 3)
    A, c = target.tangents(target.output(G0), neurons)

    def h(Y: Array) -> Array:
        rows = np.column_stack([target.output(Y), np.ones(7)])
        return np.maximum(neurons @ rows.T, 0.0).mean(axis=1)

    assert A @ G0.ravel() + c == pytest.approx(h(G0))
    for seed in range(20):
        Y = normal(100 + seed, 3, 2)
        assert (A @ Y.ravel() + c <= h(Y) + 1e-12).all()


def test_planar_oracle_with_bias_finds_what_a_dense_search_does() -> None:
    X, G = normal(0, 6, 2), normal(1, 8, 2)
    target = NeuronTarget(X, 1 / 6, None, 8, 1 / 8, 0.1, 1e-9, True)
    found = worst(target.gaps(G))
    dense = sampled_dist(X, G, (1 / 6, 1 / 8), bias=True)
    assert dense <= found <= dense * 1.01


def test_apportioned_counts_add_up() -> None:
    table = np.column_stack([normal(0, 5, 2), np.random.default_rng(0).dirichlet(np.ones(5))])
    for n in (1, 3, 20):
        assert apportioned(table, n).shape == (n, 2)


def test_a_generator_seeds_the_search_as_well() -> None:
    first, again = (Search.of({"rng": np.random.default_rng(4)}) for _ in range(2))
    assert first == again != Search.of({"rng": np.random.default_rng(5)})
    with pytest.raises(InputError, match=r"options\['rng'\] = 'x' must be a whole number"):
        Search.of({"rng": "x"})
