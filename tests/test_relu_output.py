"""Theorem 2.1 end to end: first the output of a ReLU generator, certified, then its least weights, certified apart."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from convexwgan import Discriminator, Generator, Latent, Problem, Regularizer, Solution, Status, verify
from convexwgan.errors import InputError
from convexwgan.solvers.realization.merge import mergeable_pairs, minimal_network
from convexwgan.solvers.weights import network_neurons
from convexwgan.theory.laws import check_weak_duality

Array = np.ndarray[Any, Any]
QUADRATIC = Discriminator.quadratic(beta=4.0)
SKIP = Discriminator.quadratic(beta=4.0, skip=True)
PAIRS = {
    "quadratic": QUADRATIC,
    "skip": SKIP,
    "linear": Discriminator.linear(beta=1.0),
    "quadratic, norm bound": Discriminator.quadratic(norm_bound=True),
    "linear, norm bound": Discriminator.linear(norm_bound=True),
    "polynomial": Discriminator.polynomial(1.0, 0.5, 0.0, beta=4.0),
}
X = np.random.default_rng(0).standard_normal((12, 3)) + 0.5


def noise(n: int, d: int, seed: int = 0) -> Array:
    return np.random.default_rng(100 + seed).standard_normal((n, d))


def game(discriminator: Any = QUADRATIC, Z: Any = None, **generator: Any) -> Problem:
    return Problem(discriminator + Generator.relu(**generator), X, noise(6, 2) if Z is None else Z)


def weights_of(solution: Solution) -> tuple[Array, Array]:
    assert solution.generator is not None
    return solution.generator.hidden_weights


# ---- the game and the weights ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("bias", "normalize"), [(False, "sum"), (True, "mean")])
@pytest.mark.parametrize("name", PAIRS)
def test_the_game_has_the_value_of_the_free_one_and_the_network_attains_it(
    name: str, bias: bool, normalize: Any
) -> None:
    D = PAIRS[name]
    D = replace(D, beta=D.beta / 12) if normalize == "mean" and D.beta is not None else D
    problem = Problem(D + Generator.relu(bias=bias), X, noise(6, 2), normalize=normalize)
    solution = problem.solve()
    free = Problem(D + Generator.free(), X, n_fake=6, normalize=normalize).solve()
    assert solution.status is Status.CERTIFIED, str(solution.certificate)
    assert solution.value == pytest.approx(free.value, rel=2e-6)
    assert solution.realization is not None
    assert solution.realization.status is Status.CERTIFIED, str(solution.realization.certificate)
    W1, W2 = weights_of(solution)
    N = np.hstack([np.asarray(problem.Z), np.ones((6, 1))]) if bias else np.asarray(problem.Z)
    G = solution.realization.dual["target"]
    assert np.linalg.norm(np.maximum(N @ W1, 0.0) @ W2 - G) <= 1e-6 * np.linalg.norm(G)
    assert solution.realization.value == pytest.approx(0.5 * (np.sum(W1**2) + np.sum(W2**2)), rel=1e-12)
    np.testing.assert_allclose(solution.generator(problem.Z), solution.generator.output, rtol=1e-12)  # type: ignore[misc, union-attr]
    check_weak_duality(problem, solution)
    assert verify(problem, solution).status is Status.CERTIFIED


def test_a_target_along_one_feature_needs_one_neuron_by_hand() -> None:
    X_one, Z = np.diag([3.0, 1.0]), np.array([[3.0, 0.0], [0.0, 4.0]])
    solution = Problem(Discriminator.quadratic(beta=1.0) + Generator.relu(factor="optimised"), X_one, Z).solve()
    assert solution.value == pytest.approx(0.5 * 8.0, rel=1e-9)
    assert solution.realization is not None
    assert solution.realization.value == pytest.approx(8.0**0.5 / 4.0, rel=1e-6)  # d₁/max‖(Zu)₊‖, the bracket's end
    assert solution.realization.stats.extra["neurons"] == 1


def test_the_semidefinite_program_and_column_generation_agree() -> None:
    first, second = (game(Z=noise(8, 3)).solve(method=method) for method in ("conic", "column_generation"))
    assert first.realization is not None
    assert second.realization is not None
    assert (first.realization.stats.method, second.realization.stats.method) == ("conic", "column_generation")
    assert first.realization.value == pytest.approx(second.realization.value, rel=3e-6)


def test_conic_above_rank_4_is_refused_with_the_methods_that_work() -> None:
    with pytest.raises(InputError, match=r'method = \'conic\' must be "auto" or "column_generation" .* rank 5'):
        game(Z=noise(9, 5)).solve(method="conic")


def test_noise_of_high_rank_ends_bracketed_with_a_bound_that_beats_the_trivial_one() -> None:
    problem = game(Z=noise(14, 6))
    solution = problem.solve(time_limit=6.0)
    realization = solution.realization
    assert realization is not None
    assert solution.status is Status.CERTIFIED
    assert realization.status is Status.BRACKETED
    trivial = np.linalg.svd(realization.dual["target"], compute_uv=False).sum() / np.linalg.norm(problem.Z, 2)
    assert trivial < realization.bound <= realization.value
    assert realization.relative_gap < 0.3
    assert verify(problem, solution).status is Status.CERTIFIED


def test_limits_callback_and_verbose_reach_the_weights(caplog: pytest.LogCaptureFixture) -> None:
    lines: list[dict[str, Any]] = []
    with caplog.at_level("INFO", logger="convexwgan"):
        solution = game(Z=noise(14, 6)).solve(max_iter=2, callback=lines.append, verbose=True)
    rounds = [line for line in lines if line["stage"] == "realization"]
    assert len(rounds) == 2
    assert lines[-1]["stage"] == "closed_form"
    assert solution.realization is not None
    assert solution.realization.stats.stopped == solution.stats.stopped == "max_iter"
    assert all(line["lower"] <= solution.realization.value * (1 + 1e-9) for line in rounds)
    assert any("realization" in record.message for record in caplog.records)
    stopped = game(Z=noise(14, 6)).solve(callback=lambda line: True)
    assert stopped.realization is not None
    assert stopped.realization.stats.stopped == "callback"
    assert stopped.realization.certificate.violation <= 1e-6


def test_a_warm_start_is_never_lost() -> None:
    problem = game(Z=noise(14, 6))
    good = problem.solve(time_limit=6.0)
    again = problem.solve(max_iter=1, warm_start=good)
    assert good.realization is not None
    assert again.realization is not None
    assert again.realization.value <= good.realization.value * (1 + 1e-9)


# ---- factors -----------------------------------------------------------------------------------------------------


def test_fresh_noise_through_a_latent_factor_has_the_right_covariance_at_level_one_in_a_thousand() -> None:
    """n/2 tr((S⁻¹C − I)²) ~ χ²₃ for n Gaussian rows in the plane; 16.27 is its 0.999 quantile."""
    n, data = 40, np.random.default_rng(3).standard_normal((200, 3)) @ np.diag([3.0, 2.0, 0.5])
    Z = Latent.normal(2).draw(n, rng=1)
    wgan = Discriminator.quadratic(components=2) + Generator.relu(factor="latent")
    solution = Problem(wgan, data, Z, normalize="mean").solve()
    assert solution.generator is not None
    values, V = np.linalg.eigh(np.asarray(solution.generator.moments.second))
    fresh = np.asarray(solution.generator.sample(40_000, rng=2)) @ V[:, 1:]
    E = (fresh.T @ fresh / len(fresh)) / np.sqrt(np.outer(values[1:], values[1:])) - np.eye(2)
    assert 0.5 * n * float(np.sum(E**2)) <= 16.27


@pytest.mark.parametrize("discriminator", [QUADRATIC, SKIP], ids=["quadratic", "skip"])
def test_more_components_than_the_rank_of_the_noise_complete_the_latent_factor_and_say_so(discriminator: Any) -> None:
    discriminator = replace(discriminator, beta=1.0)
    problem = game(discriminator, noise(7, 2))
    solution = problem.solve()
    assert solution.status is Status.CERTIFIED
    assert "completed by" in solution.stats.extra["factor"]
    assert "completed by the leading directions of all ReLU features ✓" in str(problem.explain())


def test_too_few_reachable_outputs_are_infeasible_by_weyl() -> None:
    problem = game(replace(QUADRATIC, beta=1.0), noise(9, 1))  # all rows on two rays
    solution = problem.solve()
    assert solution.status is Status.INFEASIBLE
    assert solution.realization is None
    assert "reachable outputs have rank 2 of n_f = 9" in str(problem.explain())


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("discriminator", [QUADRATIC, SKIP, PAIRS["quadratic, norm bound"]])
def test_an_optimised_factor_is_never_worse_than_the_latent_one_and_inside_its_bracket(
    discriminator: Any, bias: bool
) -> None:
    latent, best = (game(discriminator, factor=factor, bias=bias).solve() for factor in ("latent", "optimised"))
    assert latent.realization is not None
    assert best.realization is not None
    assert best.status is Status.CERTIFIED
    assert best.value == pytest.approx(latent.value, rel=1e-6)
    assert best.realization.value <= latent.realization.value * (1 + 1e-9)
    (check,) = [c for c in best.realization.certificate.checks if c.name == "bracket over all factors"]
    assert float(check.detail.split(" ≤ ")[0]) <= best.realization.value


def test_an_optimised_factor_is_cheaper_where_there_is_room() -> None:
    costs = [game(factor=factor).solve().realization.value for factor in ("latent", "optimised")]  # type: ignore[union-attr]
    assert costs[1] < 0.9 * costs[0]


def test_a_given_factor_is_used_as_it_is() -> None:
    L = np.linalg.qr(np.maximum(noise(6, 2) @ noise(2, 3, seed=1), 0.0))[0]
    solution = game(factor=L).solve()
    G, k = solution.realization.dual["target"], solution.stats.extra["components"]  # type: ignore[union-attr]
    assert solution.status is Status.CERTIFIED
    assert np.linalg.norm(G - L[:, :k] @ (L[:, :k].T @ G)) <= 1e-6 * np.linalg.norm(G)


@pytest.mark.parametrize(
    ("discriminator", "factor", "message"),
    [
        (replace(QUADRATIC, beta=1.0), np.eye(6)[:, :1], "have shape"),
        (QUADRATIC, np.eye(8), "have shape"),
        (QUADRATIC, 2.0 * np.eye(6), "orthonormal columns"),
        (SKIP, np.eye(6), "columns that sum to 0"),
    ],
)
def test_a_given_factor_that_does_not_fit_is_refused(discriminator: Any, factor: Array, message: str) -> None:
    with pytest.raises(InputError, match=f"factor of Generator.relu .*{message}"):
        game(discriminator, factor=factor).solve()


def test_a_given_factor_out_of_reach_ends_infeasible_with_the_best_residual() -> None:
    Z = noise(6, 2)
    Z[1] = 2.0 * Z[0]  # the outputs of rows 0 and 1 are in proportion, those of the factor are not
    L = np.linalg.qr(noise(6, 3, seed=2))[0]
    problem = game(Z=Z, factor=L)
    solution = problem.solve()
    assert solution.realization is not None
    assert solution.realization.status is Status.INFEASIBLE
    assert solution.realization.stats.stopped == "unreachable"
    assert solution.status is not Status.CERTIFIED
    target = solution.realization.dual["target"]
    W1, W2 = weights_of(solution)
    found = np.linalg.norm(np.maximum(Z @ W1, 0.0) @ W2 - target) / np.linalg.norm(target)
    ray = np.zeros((6, 1))
    ray[:2, 0] = np.array([2.0, -1.0]) / 5**0.5
    assert found == pytest.approx(np.linalg.norm(ray.T @ target) / np.linalg.norm(target), rel=1e-6)


# ---- width and minimality ----------------------------------------------------------------------------------------


def test_fewer_neurons_than_found_are_refused_with_their_number() -> None:
    found = game().solve().realization.stats.extra["neurons"]  # type: ignore[union-attr]
    assert game(width=found).solve().status is Status.CERTIFIED
    with pytest.raises(InputError, match=f"width of Generator.relu = {found - 1} must be >= {found}"):
        game(width=found - 1).solve()


@pytest.mark.parametrize("seed", range(3))
def test_no_neuron_of_the_network_can_be_merged_or_dropped(seed: int) -> None:
    Z = np.vstack([noise(6, 2, seed), 3.0 * noise(6, 2, seed)[:2]])  # with parallel rows
    neurons = network_neurons(*weights_of(game(Z=Z).solve()))
    assert mergeable_pairs(Z, neurons.u, neurons.v) == []
    assert len(minimal_network(Z, neurons).u) == len(neurons.u)


# ---- judged apart, stored, tampered with -------------------------------------------------------------------------


@pytest.mark.parametrize("d", [2, 5])
def test_the_weights_survive_saving_and_are_verified_again(d: int, tmp_path: Path) -> None:
    problem = game(Z=noise(9, d))
    solution = problem.solve(time_limit=3.0)
    loaded = Solution.load(solution.save(tmp_path / "relu.safetensors"))
    assert loaded.realization is not None
    assert loaded.realization.status is Status.UNVERIFIED
    assert loaded.realization.value == solution.realization.value  # type: ignore[union-attr]
    assert verify(problem, loaded).status is Status.CERTIFIED
    forged = replace(loaded, realization=replace(loaded.realization, bound=loaded.realization.value))
    assert d == 2 or verify(problem, forged).status is not Status.CERTIFIED


def test_tampered_weights_or_bounds_are_never_certified() -> None:
    problem = game()
    solution = problem.solve()
    honest, generator = solution.realization, solution.generator
    assert honest is not None
    assert generator is not None
    R, target = honest.dual["R"], honest.dual["target"]
    shaken = np.random.default_rng(0).standard_normal(R.shape) * np.abs(R).max()
    forgeries = {
        "first layer": replace(solution, generator=replace(generator, first=generator.first * 1.001)),
        "second layer": replace(solution, generator=replace(generator, weights=generator.weights * 0.999)),
        "unbalanced": replace(
            solution, generator=replace(generator, first=generator.first * 1.2, weights=generator.weights / 1.2)
        ),
        "value": replace(solution, realization=replace(honest, value=0.9 * honest.value)),
        "bound": replace(solution, realization=replace(honest, bound=1.01 * honest.bound)),
        "multiplier": replace(solution, realization=replace(honest, dual={**honest.dual, "R": R + 0.1 * shaken})),
        "no multiplier": replace(solution, realization=replace(honest, dual={"target": target})),
        "target": replace(solution, realization=replace(honest, dual={**honest.dual, "target": 1.001 * target})),
        "infeasible": replace(solution, realization=replace(honest, status=Status.INFEASIBLE)),
        "nobody's": replace(solution, realization=replace(honest, generator=None)),
    }
    assert verify(problem, solution).status is Status.CERTIFIED
    for name, forged in forgeries.items():
        assert verify(problem, forged).status is not Status.CERTIFIED, name


# ---- weights in the game (MATH 3.8) ------------------------------------------------------------------------------


@pytest.mark.parametrize("normalize", ["sum", "mean"])
@pytest.mark.parametrize("bounded", [False, True])
def test_weights_under_second_moments_are_bracketed_and_no_random_network_is_below_the_bound(
    normalize: Any, bounded: bool
) -> None:
    D = Discriminator.quadratic(norm_bound=True) if bounded else Discriminator.quadratic(components=1)
    Z = noise(6, 2)
    problem = Problem(D + Generator.relu() + Regularizer.weights(0.6), X, Z, normalize=normalize)
    solution = problem.solve()
    assert solution.status in (Status.BRACKETED, Status.CERTIFIED)
    assert 0.0 < solution.bound <= solution.value * (1 + 1e-6)
    assert verify(problem, solution).status is solution.status
    (n_r, n_f) = (1, 1) if normalize == "sum" else (12, 6)
    M, W = X.T @ X / n_r, weights_of(solution)
    rng, beta = np.random.default_rng(1), problem.data.beta
    for scale in np.repeat([0.0, 0.05, 0.3, 1.0], 50):
        W1, W2 = (part + scale * rng.standard_normal(part.shape) * np.abs(part).max() for part in W)
        G = np.maximum(Z @ W1, 0.0) @ W2
        cost, dist = 0.3 * (np.sum(W1**2) + np.sum(W2**2)), np.linalg.norm(M - G.T @ G / n_f, 2)
        if bounded:
            assert cost + dist >= solution.bound
        elif dist <= beta * (1 + 1e-9):
            assert cost >= solution.bound * (1 - 1e-6)


def test_one_component_of_weights_is_certified_since_the_bracket_closes() -> None:
    wgan = Discriminator.quadratic(components=1) + Generator.relu() + Regularizer.weights(0.6)
    solution = Problem(wgan, X, noise(6, 2)).solve()
    assert solution.status is Status.CERTIFIED, str(solution.certificate)
    assert solution.discriminator is None


# ---- all kinds of arrays -----------------------------------------------------------------------------------------


def test_every_array_library_gives_the_same_network(array_library: Any) -> None:
    reference = game().solve()
    problem = Problem(QUADRATIC + Generator.relu(), array_library.asarray(X), array_library.asarray(noise(6, 2)))
    solution = problem.solve()
    assert solution.status is Status.CERTIFIED
    assert solution.realization.value == pytest.approx(reference.realization.value, rel=1e-5)  # type: ignore[union-attr]


@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_scales_of_data_and_noise_change_nothing_but_units(scale: float) -> None:
    one = game().solve()
    scaled = Problem(Discriminator.quadratic(beta=4.0 * scale**2) + Generator.relu(), scale * X, noise(6, 2)).solve()
    quiet = game(Z=scale * noise(6, 2)).solve()
    for other, cost in ((scaled, scale), (quiet, 1.0 / scale)):
        assert other.status is other.realization.status is Status.CERTIFIED  # type: ignore[union-attr]
        assert other.realization.value == pytest.approx(cost * one.realization.value, rel=5e-6)  # type: ignore[union-attr]


def test_float32_is_certified_to_its_own_tolerance() -> None:
    solution = Problem(QUADRATIC + Generator.relu(), X.astype(np.float32), noise(6, 2).astype(np.float32)).solve()
    assert solution.status is solution.realization.status is Status.CERTIFIED  # type: ignore[union-attr]
    assert solution.generator.weights.dtype == np.float32  # type: ignore[union-attr]


def test_nothing_to_generate_needs_no_neuron(tmp_path: Path) -> None:
    problem = game(Discriminator.quadratic(beta=1e4))
    solution = problem.solve()
    assert solution.status is solution.realization.status is Status.CERTIFIED  # type: ignore[union-attr]
    assert solution.value == solution.realization.value == 0.0  # type: ignore[union-attr]
    loaded = Solution.load(solution.save(tmp_path / "nothing.safetensors"))
    assert verify(problem, loaded).status is Status.CERTIFIED


@pytest.mark.parametrize("Z", [np.zeros((9, 2)), noise(1, 2), np.ones((9, 2))])
def test_noise_that_carries_too_little_is_infeasible(Z: Array) -> None:
    assert game(Z=Z).solve().status is Status.INFEASIBLE
