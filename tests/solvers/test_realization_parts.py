"""Operator splitting, the metric of the multiplier, and column generation against the semidefinite program."""

from __future__ import annotations

import numpy as np
import pytest

from convexwgan.errors import InputError
from convexwgan.geometry.arrangements import enumerate_cells
from convexwgan.geometry.ascent import unit
from convexwgan.geometry.cones import triangulate
from convexwgan.geometry.pricing import price
from convexwgan.geometry.reachability import reachable_outputs
from convexwgan.solvers.column_generation import range_neurons, realize_weights, solve_soft
from convexwgan.solvers.conic import run
from convexwgan.solvers.conic.ki_neurons import finite_program, neurons_from_sdp
from convexwgan.solvers.conic.ki_norm import ki_program
from convexwgan.solvers.realization.bundle import _between
from convexwgan.solvers.realization.limits import Watch
from convexwgan.solvers.realization.metric import metric_of
from convexwgan.solvers.realization.multipliers import EQUALITY, first_incumbent
from convexwgan.solvers.realization.oracle import apart, oracle_for
from convexwgan.solvers.realization.scaling import scaled_problem
from convexwgan.solvers.realization.splitting import basis_pursuit, corrective_rounds

# ------------------------------------------------------------------------------ basis pursuit by splitting


@pytest.mark.parametrize(("n", "k", "d"), [(8, 20, 1), (8, 20, 3), (15, 40, 2)])
def test_basis_pursuit_meets_equality_and_the_value_of_the_conic_program(n, k, d):
    rng = np.random.default_rng(n + d)
    Phi = np.abs(rng.standard_normal((n, k)))
    G = Phi @ rng.standard_normal((k, d))
    V, R = basis_pursuit(Phi, G, np.zeros((k, d)), tol=1e-9)
    exact = run(finite_program(Phi, G)).objective
    assert np.linalg.norm(Phi @ V - G) <= 1e-9 * np.linalg.norm(G)
    assert np.linalg.norm(V, axis=1).sum() == pytest.approx(exact, rel=1e-4)
    lower = np.vdot(R, G) / np.linalg.norm(Phi.T @ R, axis=1).max()
    assert exact * (1 - 1e-2) <= lower <= exact * (1 + 1e-6)


def test_basis_pursuit_of_a_square_system_has_no_freedom():
    rng = np.random.default_rng(0)
    Phi, V = np.abs(rng.standard_normal((6, 6))) + 3 * np.eye(6), rng.standard_normal((6, 2))
    found, _ = basis_pursuit(Phi, Phi @ V, np.zeros((6, 2)))
    np.testing.assert_allclose(found, V, atol=1e-6)


def test_corrective_rounds_beat_the_2k_neurons_and_stay_above_the_exact_value():
    rng = np.random.default_rng(2)
    Z = rng.standard_normal((7, 3))
    problem = scaled_problem(Z, Z @ rng.standard_normal((3, 2)))
    oracle = oracle_for(problem, Z, 0, "heuristic")
    incumbent, watch = first_incumbent(problem.G, 3), Watch(None, None, None)
    pairs = range_neurons(problem.Z, problem.G)
    assert pairs is not None
    incumbent.offer_network(problem.Z, problem.G, *pairs)
    before = incumbent.upper
    corrective_rounds(problem.Z, problem.G, np.zeros((0, 3)), oracle, watch, incumbent, 1e-6, 1.0)
    exact = realize_weights(problem.Z, problem.G).stats["objective"]
    assert incumbent.residual <= EQUALITY
    assert exact * (1 - 1e-6) <= incumbent.upper <= exact * 1.02 < before
    uppers = [line["upper"] for line in watch.history]
    assert uppers == sorted(uppers, reverse=True)


def test_corrective_rounds_obey_their_limits():
    rng = np.random.default_rng(3)
    Z = rng.standard_normal((12, 6))
    problem = scaled_problem(Z, Z @ rng.standard_normal((6, 3)))
    watch = Watch(2, None, None)
    incumbent = first_incumbent(problem.G, 6)
    oracle = oracle_for(problem, Z, 0, "auto")
    corrective_rounds(problem.Z, problem.G, np.zeros((0, 6)), oracle, watch, incumbent, 1e-6, 1.0)
    assert len(watch.history) == 2
    assert watch.stopped == "max_iter"
    assert incumbent.residual <= EQUALITY


# ------------------------------------------------------------------------------ metric, candidates


def test_the_metric_is_the_mean_square_of_the_price_function():
    rng = np.random.default_rng(0)
    Z, U, R = rng.standard_normal((9, 3)), unit(rng.standard_normal((500, 3))), rng.standard_normal((9, 2))
    metric = metric_of(Z, U)
    mean = np.mean([np.sum((R.T @ np.maximum(Z @ u, 0.0)) ** 2) for u in U])
    assert metric.squared(R) == pytest.approx(mean, rel=1e-6)
    np.testing.assert_allclose(metric.back(metric.up(R)), R, rtol=1e-9)
    Phi = np.maximum(Z @ U[:4].T, 0.0)
    np.testing.assert_allclose(metric.up(R).T @ metric.down(Phi), R.T @ Phi, rtol=1e-9, atol=1e-12)


def test_the_metric_of_dependent_features_is_still_positive_definite():
    Z = np.array([[1.0, 0.0], [2.0, 0.0], [0.0, 0.0], [0.0, 1.0]])
    assert np.isfinite(metric_of(Z, np.eye(2)).down(np.ones((4, 1)))).all()


def test_chosen_candidates_are_the_best_and_apart():
    U = unit(np.array([[1.0, 0.0], [1.0, 0.01], [0.0, 1.0], [-1.0, 0.0]]))
    chosen = apart(U, np.array([1.5, 1.6, 1.2, 0.9]), limit=5, above=1.0, cosine=0.99)
    np.testing.assert_allclose(chosen, U[[1, 2]])


def test_midpoints_lie_between_a_maximum_and_its_neighbours_that_violate_too():
    Z, R = np.eye(2), 1.001 * np.array([[3.0], [4.0]]) / 5.0
    u, far = unit(np.array([[0.6, 0.8]])), np.array([[-1.0, 0.0]])
    near = unit(np.array([[0.61, 0.79]]))
    middle = _between(Z, R, u, np.vstack([near, far]))
    np.testing.assert_allclose(middle, unit(u + near))
    assert _between(Z, 0.5 * R, u, near).shape == (0, 2)


# ------------------------------------------------------------------------------ two solvers, one answer


def test_latents_of_one_sign_need_one_neuron_a_column():
    Z = np.random.default_rng(0).uniform(0.1, 1.0, (30, 6))
    for latents in (Z, Z @ np.diag([1.0, -1.0, 1.0, -1.0, 1.0, 1.0]), np.hstack([Z, np.zeros((30, 1))])):
        found = realize_weights(latents, latents, max_iter=1)
        assert found.residual <= EQUALITY
        assert found.neurons.cost <= 6.0 * (1 + 1e-9)  # the 2k neurons cost 12


def random_instance(rng, kind):
    r = int(rng.integers(1, 5))
    n, d = int(rng.integers(*{1: (2, 12), 2: (3, 9), 3: (4, 7), 4: (5, 6)}[r])), int(rng.integers(1, 4))
    Z = rng.standard_normal((n, r))
    if kind == "planted":
        return Z, np.maximum(Z @ rng.standard_normal((r, 3)), 0.0) @ rng.standard_normal((3, d))
    if kind == "latent":
        return Z, Z @ rng.standard_normal((r, d))
    return Z, reachable_outputs(Z).project(rng.standard_normal((n, d)))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("kind", ["planted", "latent", "reachable"])
def test_semidefinite_program_and_column_generation_agree_and_bracket_each_other(kind, seed):
    Z, G = random_instance(np.random.default_rng([seed, len(kind)]), kind)
    if np.linalg.norm(G) == 0:
        pytest.skip("a target of zero needs no network")
    cones = triangulate(enumerate_cells(Z))
    exact = run(ki_program(Z, G, cones))
    network = neurons_from_sdp(exact.values, cones, Z, G)
    found = realize_weights(Z, G)
    lowers = [
        float(np.vdot(R, G)) / price(cones.arrangement, Z, R).value for R in (exact.multipliers["R"], found.multiplier)
    ]
    uppers = [network.cost, found.neurons.cost]
    for neurons in (network, found.neurons):
        assert np.linalg.norm(neurons.output(Z) - G) <= 2e-8 * np.linalg.norm(G)
    assert max(lowers) <= min(uppers) * (1 + 1e-7)
    assert max(uppers) - min(lowers) <= 1.2e-6 * min(uppers)
    assert exact.objective == pytest.approx(found.neurons.cost, rel=1e-6)


def test_the_program_that_broke_the_solver_down_is_solved():
    rng = np.random.default_rng(2)  # Clarabel at its own regularisation: NumericalError
    for _ in range(60):
        Z = rng.standard_normal((6, 3))
        G = Z @ rng.standard_normal((3, 2))
        if _ % 20 == 0:
            assert run(ki_program(Z, G, triangulate(enumerate_cells(Z)))).values


# ------------------------------------------------------------------------------ the soft form's early stop


def test_a_target_objective_stops_the_soft_form_at_the_first_network_as_good():
    rng = np.random.default_rng(0)
    Z = rng.standard_normal((60, 3))
    G = np.maximum(Z @ rng.standard_normal((3, 5)), 0.0) @ rng.standard_normal((5, 1))
    full = solve_soft(Z, G, 0.5)
    early = solve_soft(Z, G, 0.5, target=1.5 * full.stats["objective"])
    assert early.stopped == "target"
    assert full.stats["objective"] <= early.stats["objective"] <= 1.5 * full.stats["objective"]
    assert len(early.history) < len(full.history)
    assert early.stats["objective"] == pytest.approx(
        0.5 * np.sum((early.neurons.output(Z) - G) ** 2) + 0.5 * early.neurons.cost, rel=1e-9
    )


def test_a_target_below_the_optimum_changes_nothing():
    rng = np.random.default_rng(1)
    Z = rng.standard_normal((20, 2))
    G = np.maximum(Z @ rng.standard_normal((2, 3)), 0.0) @ rng.standard_normal((3, 1))
    full = solve_soft(Z, G, 0.5)
    other = solve_soft(Z, G, 0.5, target=0.5 * full.stats["objective"])
    assert other.stopped is full.stopped
    np.testing.assert_array_equal(other.neurons.u, full.neurons.u)


@pytest.mark.parametrize("target", [np.nan, np.inf, "low"])
def test_a_target_that_is_no_number_is_refused(target):
    with pytest.raises(InputError, match="target of solve_soft"):
        solve_soft(np.eye(2), np.eye(2), 0.1, target=target)
