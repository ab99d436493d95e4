"""Sliding column generation against brute force, exact pricing, and its own weaker relatives."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convexwgan.errors import InputError
from convexwgan.geometry.arrangements import enumerate_cells
from convexwgan.geometry.ascent import ascend, gains
from convexwgan.geometry.pricing import price
from convexwgan.solvers.column_generation import range_neurons, realize_weights, solve_soft
from convexwgan.solvers.realization.hessian import dense_hessian, hessian_product, newton_direction, tamed_coupling
from convexwgan.solvers.realization.master import solve_master
from convexwgan.solvers.realization.merge import mergeable_pairs, minimal_network
from convexwgan.solvers.realization.multipliers import EQUALITY
from convexwgan.solvers.realization.oracle import Oracle
from convexwgan.solvers.realization.rounds import entered
from convexwgan.solvers.realization.slide import objective, slide
from convexwgan.solvers.realization.state import Network, empty_network, features, network_at
from convexwgan.solvers.realization.types import RealizationResult, ReluNeurons

Float64 = np.ndarray[Any, np.dtype[np.float64]]


def planted(seed: int, n: int, r: int, d: int, k: int) -> tuple[Float64, Float64, float]:
    """Z, G = (ZA)₊B, and the cost of that network."""
    rng = np.random.default_rng(seed)
    Z, A, B = rng.standard_normal((n, r)), rng.standard_normal((r, k)), rng.standard_normal((k, d))
    cost = float((np.linalg.norm(A, axis=0) * np.linalg.norm(B, axis=1)).sum())
    return Z, np.maximum(Z @ A, 0.0) @ B, cost


def soft_objective(Z: Float64, G: Float64, beta: float, neurons: ReluNeurons) -> float:
    return 0.5 * float(((neurons.output(Z) - G) ** 2).sum()) + beta * neurons.cost


def exact_price(Z: Float64, R: Float64) -> float:
    return price(enumerate_cells(Z), Z, R).value


def assert_certified(Z: Float64, G: Float64, result: RealizationResult, tol: float = 1e-6) -> None:
    """Upper and lower bound recomputed from the answer alone."""
    assert result.multiplier is not None
    assert np.allclose(np.linalg.norm(result.neurons.u, axis=1), 1.0)
    residual = np.linalg.norm(result.neurons.output(Z) - G) / np.linalg.norm(G)
    assert residual <= 2e-8
    assert result.residual == pytest.approx(residual, abs=1e-9)
    lower = float(np.vdot(result.multiplier, G)) / exact_price(Z, result.multiplier)
    assert abs(result.neurons.cost - lower) <= 1.1 * tol * result.neurons.cost


# ------------------------------------------------------------------------------------------- equality


@pytest.mark.parametrize(
    ("seed", "n", "r", "d", "k"), [(0, 6, 1, 2, 2), (1, 9, 2, 3, 3), (2, 8, 3, 2, 2), (3, 6, 4, 2, 2), (4, 30, 2, 4, 2)]
)
def test_planted_targets_reach_equality_and_a_certified_gap(seed: int, n: int, r: int, d: int, k: int) -> None:
    Z, G, cost = planted(seed, n, r, d, k)
    result = realize_weights(Z, G)
    assert_certified(Z, G, result)
    assert result.neurons.cost <= cost * (1 + 1e-7)


@pytest.mark.parametrize(("seed", "n", "r", "d"), [(0, 7, 2, 3), (1, 6, 3, 2), (2, 9, 1, 2)])
def test_targets_in_the_range_of_the_latents_cost_at_most_their_2k_neurons(seed: int, n: int, r: int, d: int) -> None:
    rng = np.random.default_rng(seed)
    Z, W = rng.standard_normal((n, r)), rng.standard_normal((r, d))
    result = realize_weights(Z, Z @ W)
    assert_certified(Z, Z @ W, result)
    assert result.neurons.cost <= 2.0 * np.linalg.norm(W, "nuc") * (1 + 1e-7)


def test_two_antipodal_latents_need_two_neurons_of_known_cost() -> None:
    # one dimension: (u)₊ and (−u)₊ see one row each, so cost = Σ over signs of ‖g‖/|z|
    Z, G = np.array([[2.0], [-1.0]]), np.array([[3.0, 4.0], [0.0, 1.0]])
    result = realize_weights(Z, G)
    assert result.neurons.cost == pytest.approx(5.0 / 2.0 + 1.0, rel=1e-7)
    assert len(result.neurons.u) == 2


def test_the_balanced_weights_give_the_target_and_half_their_squares_is_the_cost() -> None:
    Z, G, _ = planted(3, 7, 2, 2, 2)
    neurons = realize_weights(Z, G).neurons
    W1, W2 = neurons.weights()
    assert np.maximum(Z @ W1, 0.0) @ W2 == pytest.approx(G, abs=1e-6)
    assert 0.5 * ((W1**2).sum() + (W2**2).sum()) == pytest.approx(neurons.cost, rel=1e-12)


def test_rank_deficient_latents_and_wide_outputs_are_reduced_first() -> None:
    rng = np.random.default_rng(0)
    narrow, G, _ = planted(5, 8, 2, 1, 2)
    Z, wide = narrow @ rng.standard_normal((2, 6)), G @ rng.standard_normal((1, 5))
    result = realize_weights(Z, wide)
    assert_certified(Z, wide, result)
    assert result.neurons.u.shape[1] == 6
    assert result.neurons.v.shape[1] == 5


def test_scaling_latents_and_targets_scales_the_answer() -> None:
    Z, G, _ = planted(6, 7, 2, 2, 2)
    one, other = realize_weights(Z, G), realize_weights(1e4 * Z, 1e-3 * G)
    assert other.neurons.cost == pytest.approx(1e-7 * one.neurons.cost, rel=2e-6)


def test_an_unreachable_target_ends_with_the_nearest_output_and_a_witness() -> None:
    Z, G = np.array([[1.0, 2.0], [2.0, 4.0], [0.0, 1.0]]), np.array([[1.0], [3.0], [1.0]])
    result = realize_weights(Z, G)
    assert result.stopped == "unreachable"
    assert result.multiplier is not None
    assert float(np.vdot(result.multiplier, G)) > 0.1
    assert exact_price(Z, result.multiplier) < 1e-9
    nearest = np.array([[1.4], [2.8], [1.0]])  # rows 0 and 1 share a ray: least squares on (1, 2)
    assert result.neurons.output(Z) == pytest.approx(nearest, abs=1e-6)


def test_a_zero_target_needs_no_neuron() -> None:
    result = realize_weights(np.eye(2), np.zeros((2, 3)))
    assert len(result.neurons.u) == 0
    assert result.stats["objective"] == 0.0


def test_a_warm_start_keeps_the_optimum() -> None:
    Z, G, _ = planted(7, 9, 2, 2, 3)
    cold = realize_weights(Z, G)
    warm = realize_weights(Z, G, warm_start=cold.neurons)
    assert warm.neurons.cost == pytest.approx(cold.neurons.cost, rel=2e-6)


@settings(max_examples=12)
@given(seed=st.integers(0, 10**6), r=st.integers(1, 3), d=st.integers(1, 3), ties=st.booleans())
def test_bounds_meet_on_random_targets_with_ties_and_parallel_rows(seed: int, r: int, d: int, ties: bool) -> None:
    rng = np.random.default_rng(seed)
    Z = rng.integers(-2, 3, (6, r)).astype(float) if ties else rng.standard_normal((6, r))
    Z[0, 0] = 1.0
    G = np.maximum(Z @ rng.standard_normal((r, 2)), 0.0) @ rng.standard_normal((2, d))
    if np.linalg.norm(G) > 1e-9:
        assert_certified(Z, G, realize_weights(Z, G))


# ------------------------------------------------------------------------------------------ soft form


@pytest.mark.parametrize(("seed", "n", "r", "d"), [(0, 40, 2, 1), (1, 30, 3, 1), (2, 30, 2, 4), (3, 20, 4, 2)])
def test_the_soft_form_closes_its_gap_by_exact_pricing(seed: int, n: int, r: int, d: int) -> None:
    Z, G, _ = planted(seed, n, r, d, 3)
    beta = 0.02 * exact_price(Z, G)
    result = solve_soft(Z, G, beta)
    assert result.multiplier is not None
    assert exact_price(Z, result.multiplier) <= beta * (1 + 1e-6)
    value = soft_objective(Z, G, beta, result.neurons)
    dual = float(np.vdot(result.multiplier, G)) - 0.5 * float((result.multiplier**2).sum())
    assert value == pytest.approx(result.stats["objective"], rel=1e-9)
    assert abs(value - dual) <= 2e-6 * value


def test_the_soft_multiplier_is_the_residual_at_the_optimum() -> None:
    Z, G, _ = planted(0, 30, 2, 2, 3)
    result = solve_soft(Z, G, 0.05, tol=1e-9)
    assert result.multiplier == pytest.approx(G - result.neurons.output(Z), abs=1e-6)


def test_beta_above_the_pricing_maximum_of_the_target_gives_no_neuron() -> None:
    Z, G, _ = planted(1, 12, 2, 2, 2)
    beta = exact_price(Z, G)
    assert len(solve_soft(Z, G, 1.001 * beta).neurons.u) == 0
    assert len(solve_soft(Z, G, 0.99 * beta).neurons.u) >= 1


def test_one_dimensional_soft_form_is_two_soft_thresholds() -> None:
    # (u)₊ sees the positive rows only: min ½‖zv − g‖² + β|v| on each side
    Z, G, beta = np.array([[1.0], [2.0], [-1.0]]), np.array([[1.0], [2.0], [3.0]]), 0.5
    result = solve_soft(Z, G, beta)
    expected = {1.0: (5.0 - beta) / 5.0, -1.0: 3.0 - beta}
    found = {float(u[0]): float(v[0]) for u, v in zip(result.neurons.u, result.neurons.v, strict=True)}
    assert found == pytest.approx(expected, rel=1e-8)


def test_soft_values_beat_a_hundred_multistart_descents() -> None:
    Z, G, _ = planted(4, 15, 2, 1, 3)
    beta = 0.1
    best = solve_soft(Z, G, beta).stats["objective"]
    rng = np.random.default_rng(0)
    for _ in range(100):
        start = network_at(Z, rng.standard_normal((8, 2)), rng.standard_normal((8, 1)))
        assert slide(Z, G, beta, start, max_iter=30)[1].objective >= best * (1 - 1e-9)


def test_heuristic_pricing_reaches_the_exact_optimum_on_a_small_instance() -> None:
    Z, G, _ = planted(2, 25, 3, 2, 3)
    exact, heuristic = solve_soft(Z, G, 0.3), solve_soft(Z, G, 0.3, pricing="heuristic")
    assert heuristic.stats["objective"] == pytest.approx(exact.stats["objective"], rel=1e-5)
    assert heuristic.stats["is_exact"] is False


def test_plain_frank_wolfe_stalls_where_sliding_does_not() -> None:
    """The same candidates with and without the sliding step, to the same number of rounds."""
    Z, G, _ = planted(0, 60, 3, 1, 4)
    beta, rounds = 0.3, 12
    optimum = solve_soft(Z, G, beta, tol=1e-9).stats["lower"]
    assert _gap_after(Z, G, beta, rounds, optimum, slides=False) > 1e-4
    assert _gap_after(Z, G, beta, rounds, optimum, slides=True) < 1e-7


def _gap_after(Z: Float64, G: Float64, beta: float, rounds: int, optimum: float, slides: bool) -> float:
    """Relative gap of fully corrective Frank–Wolfe: neurons stay where pricing by random ascent put them, or slide."""
    oracle = Oracle(Z, np.random.default_rng(0), "heuristic", starts=32)
    network = empty_network(*Z.shape, G.shape[1])
    for _ in range(rounds):
        R = (G - features(Z, network) @ network.V) / beta
        network = entered(Z, G, beta, network, oracle.candidates(R, 4, 1.0))
        network = slide(Z, G, beta, network)[0] if slides else _corrected(Z, G, beta, network)
    E = features(Z, network) @ network.V - G
    return (0.5 * float((E**2).sum()) + beta * float(network.sizes.sum())) / optimum - 1.0


def _corrected(Z: Float64, G: Float64, beta: float, network: Network) -> Network:
    """The best weights on fixed directions (the master of plain Frank–Wolfe)."""
    U = network.W / np.linalg.norm(network.W, axis=1)[:, None]
    Phi = np.maximum(Z @ U.T, 0.0)
    start = np.zeros_like(G)
    V = solve_master(Phi, G, beta, start, start, mu=1e-2, tol=1e-10).V
    kept = np.linalg.norm(V, axis=1) > 1e-9
    return network_at(Z, U[kept], V[kept]).balanced()


# ------------------------------------------------------------------------------------ limits, progress


def test_limits_and_callbacks_stop_the_run_with_the_bounds_earned() -> None:
    Z, G, _ = planted(0, 40, 3, 3, 4)
    assert realize_weights(Z, G, max_iter=2).stopped == "max_iter"
    assert realize_weights(Z, G, time_limit=1e-9).stopped == "time_limit"
    seen: list[dict[str, Any]] = []
    result = realize_weights(Z, G, callback=lambda line: seen.append(line) or len(seen) == 3)
    assert result.stopped == "callback"
    assert [line["iteration"] for line in seen] == [0, 1, 2]
    assert len(result.history) == 3


def test_history_bounds_bracket_the_optimum_every_round() -> None:
    Z, G, _ = planted(1, 20, 2, 2, 3)
    result = realize_weights(Z, G)
    assert any(line["residual"] <= EQUALITY for line in result.history)
    for line in result.history:
        assert line["lower"] <= result.stats["objective"] * (1 + 1e-6)
        assert line["residual"] > EQUALITY or line["upper"] >= result.stats["lower"] * (1 - 1e-6)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"pricing": "best"}, "pricing"),
        ({"max_iter": 0}, "max_iter"),
        ({"time_limit": -1.0}, "time_limit"),
    ],
)
def test_options_out_of_range_are_refused_by_name(arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        realize_weights(np.eye(2), np.eye(2), **arguments)


def test_exact_pricing_above_rank_4_and_bad_beta_are_refused() -> None:
    with pytest.raises(InputError, match="rank of Z"):
        realize_weights(np.eye(5), np.eye(5), pricing="exact")
    for beta in (0.0, -1.0, np.nan, np.inf):
        with pytest.raises(InputError, match="beta"):
            solve_soft(np.eye(2), np.eye(2), beta)
    with pytest.raises(InputError, match="rows of G"):
        solve_soft(np.eye(2), np.ones((3, 1)), 1.0)


def test_the_same_seed_gives_the_same_network() -> None:
    Z, G, _ = planted(3, 25, 5, 2, 3)
    one, two = (solve_soft(Z, G, 1.0, rng=7) for _ in range(2))
    assert np.array_equal(one.neurons.u, two.neurons.u)


def test_torch_latents_price_on_their_own_device() -> None:
    torch = pytest.importorskip("torch")
    Z, G, _ = planted(3, 25, 5, 2, 3)
    host, device = solve_soft(Z, G, 1.0), solve_soft(torch.asarray(Z), torch.asarray(G), 1.0)
    assert device.stats["objective"] == pytest.approx(host.stats["objective"], rel=1e-5)


# ------------------------------------------------------------------------------------ the parts by themselves


def test_the_hessian_is_the_derivative_of_the_gradient_inside_a_face() -> None:
    rng = np.random.default_rng(0)
    Z, T = rng.standard_normal((9, 3)), 0.1 * rng.standard_normal((9, 2))
    network = network_at(Z, rng.standard_normal((4, 3)), rng.standard_normal((4, 2))).balanced()
    beta = 1e3  # so that no coupling exceeds β and none is tamed

    def gradient(W: Float64, V: Float64) -> Float64:
        moved = network_at(Z, W, V)
        Phi = features(Z, moved)
        E = Phi @ V - T
        return np.concatenate(
            [(np.where(moved.active, V @ E.T, 0.0) @ Z + beta * W).ravel(), (Phi.T @ E + beta * V).ravel()]
        )

    Phi = features(Z, network)
    E = Phi @ network.V - T
    H = dense_hessian(Z, Phi, tamed_coupling(Z, E, beta, network), beta, network)
    step = 1e-6
    for column, direction in enumerate(np.eye(len(H))):
        dW, dV = step * direction[:12].reshape(4, 3), step * direction[12:].reshape(4, 2)
        difference = gradient(network.W + dW, network.V + dV) - gradient(network.W - dW, network.V - dV)
        assert difference / (2 * step) == pytest.approx(H[:, column], rel=1e-5, abs=1e-4)


def test_the_matrix_free_hessian_is_the_dense_one_and_its_direction_descends(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    Z, T = rng.standard_normal((30, 3)), rng.standard_normal((30, 2))
    network = network_at(Z, rng.standard_normal((5, 3)), rng.standard_normal((5, 2))).balanced()
    Phi, beta = features(Z, network), 5.0
    E = Phi @ network.V - T
    M = tamed_coupling(Z, E, beta, network)
    x = rng.standard_normal(25)
    product = hessian_product(Z, Phi, M, beta, network, x)
    assert product == pytest.approx(dense_hessian(Z, Phi, M, beta, network) @ x, rel=1e-9)

    gW, gV = np.where(network.active, network.V @ E.T, 0.0) @ Z + beta * network.W, Phi.T @ E + beta * network.V
    dense = newton_direction(Z, Phi, E, beta, network, gW, gV)
    monkeypatch.setattr("convexwgan.solvers.realization.hessian.DENSE_UNKNOWNS", 0)
    free = newton_direction(Z, Phi, E, beta, network, gW, gV)
    slopes = [float(np.vdot(gW, dW) + np.vdot(gV, dV)) for dW, dV in (dense, free)]
    assert slopes[1] == pytest.approx(slopes[0], rel=1e-2)
    assert slopes[0] < 0


def test_sliding_never_raises_the_objective_and_ends_stationary() -> None:
    Z, G, _ = planted(2, 40, 3, 2, 3)
    rng = np.random.default_rng(0)
    start = network_at(Z, rng.standard_normal((6, 3)), rng.standard_normal((6, 2))).balanced()
    end, report = slide(Z, G, 1.0, start, max_iter=300)
    assert report.objective <= objective(Z, G, 1.0, start)
    assert report.gradient <= 1e-6
    U = end.W / np.linalg.norm(end.W, axis=1)[:, None]
    R = G - features(Z, end) @ end.V
    assert gains(Z, R, U) == pytest.approx(1.0, rel=1e-6)  # ‖Rᵀ(Zu_j)₊‖ = β on the support


def test_a_neuron_lands_on_a_kink_that_is_locally_optimal() -> None:
    # ½(v|u| − …): two rows pull the neuron apart; the best u is orthogonal to the second row
    Z, G = np.array([[1.0, 0.0], [1.0, 1.0], [1.0, -1.0]]), np.array([[1.0], [2.0], [-3.0]])
    end, _ = slide(Z, G, 0.1, network_at(Z, np.array([[1.0, 0.1]]), np.array([[1.0]])))
    assert end.kinks[0].tolist() == [False, False, True]
    assert abs(Z[2] @ end.W[0]) < 1e-12


def test_local_ascent_never_loses_and_finds_the_maximum_of_a_smooth_case() -> None:
    rng = np.random.default_rng(0)
    Z, R = np.abs(rng.standard_normal((10, 3))), np.abs(rng.standard_normal((10, 2)))
    U = np.abs(rng.standard_normal((5, 3)))
    U /= np.linalg.norm(U, axis=1)[:, None]
    climbed = ascend(Z, R, U)
    assert (gains(Z, R, climbed) >= gains(Z, R, U) * (1 - 1e-12)).all()
    assert gains(Z, R, climbed).max() == pytest.approx(exact_price(Z, R), rel=1e-6)


@pytest.mark.parametrize("d", [1, 3])
def test_the_master_meets_its_optimality_conditions(d: int) -> None:
    rng = np.random.default_rng(0)
    Phi, G, beta = np.abs(rng.standard_normal((8, 20))), rng.standard_normal((8, d)), 0.3
    zero = np.zeros_like(G)
    result = solve_master(Phi, G, beta, zero, zero, mu=1.0, tol=1e-10)
    size, gain = np.linalg.norm(result.V, axis=1), np.linalg.norm(Phi.T @ result.R, axis=1)
    assert (gain <= 1).all()
    assert beta * result.R == pytest.approx(G - Phi @ result.V, abs=1e-8)
    assert float((size * (1 - gain)).sum()) <= 1e-8 * size.sum()


def test_neurons_of_one_cell_with_parallel_outputs_merge_exactly() -> None:
    Z, _, _ = planted(0, 12, 3, 2, 2)
    u = np.array([[1.0, 0.2, 0.1], [1.0, 0.2001, 0.1]])
    u /= np.linalg.norm(u, axis=1)[:, None]
    v = np.array([[1.0, 2.0], [2.0, 4.0]])
    assert mergeable_pairs(Z, u, v) == [(0, 1)]
    merged = minimal_network(Z, ReluNeurons(u, v))
    assert len(merged.u) == 1
    assert merged.output(Z) == pytest.approx(ReluNeurons(u, v).output(Z), rel=1e-12)
    assert merged.cost < ReluNeurons(u, v).cost


def test_dependent_neurons_are_dropped_without_changing_output_or_raising_cost() -> None:
    rng = np.random.default_rng(0)
    Z = rng.standard_normal((3, 2))
    u = rng.standard_normal((12, 2))
    u /= np.linalg.norm(u, axis=1)[:, None]
    neurons = ReluNeurons(u, rng.standard_normal((12, 1)))
    small = minimal_network(Z, neurons)
    assert len(small.u) <= 3
    assert small.output(Z) == pytest.approx(neurons.output(Z), abs=1e-10)
    assert small.cost <= neurons.cost * (1 + 1e-12)


@pytest.mark.parametrize("seed", range(4))
def test_no_neuron_of_the_answer_can_be_dropped_or_merged(seed: int) -> None:
    Z, G, _ = planted(seed, 8, 2, 2, 3)
    neurons = realize_weights(Z, G).neurons
    assert mergeable_pairs(Z, neurons.u, neurons.v) == []
    Phi = np.maximum(Z @ neurons.u.T, 0.0)
    directions = neurons.v / np.linalg.norm(neurons.v, axis=1)[:, None]
    columns = np.einsum("nk,kd->ndk", Phi, directions).reshape(-1, len(neurons.u))
    columns /= np.linalg.norm(columns, axis=0)
    assert np.linalg.svd(columns)[1].min() > 1e-11


def test_range_neurons_need_the_target_in_the_range_of_the_latents() -> None:
    rng = np.random.default_rng(0)
    Z, W = rng.standard_normal((8, 3)), rng.standard_normal((3, 2))
    pairs = range_neurons(Z, Z @ W)
    assert pairs is not None
    assert ReluNeurons(*pairs).output(Z) == pytest.approx(Z @ W, abs=1e-12)
    assert range_neurons(Z, rng.standard_normal((8, 2))) is None
