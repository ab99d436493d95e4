"""The weight problem as a semidefinite program: exact, attained, bounded below, and proved at any rank."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import nnls

from convexwgan.errors import InputError, MemoryLimitError
from convexwgan.geometry.arrangements import enumerate_cells
from convexwgan.geometry.cones import triangulate
from convexwgan.geometry.pricing import price
from convexwgan.solvers.conic import ConicStatus, run
from convexwgan.solvers.conic.ki_descent import descend
from convexwgan.solvers.conic.ki_neurons import completely_positive_factors, finite_program, neurons_from_sdp
from convexwgan.solvers.conic.ki_norm import ki_program
from convexwgan.solvers.conic.ki_nuclear import nuclear_bound
from convexwgan.solvers.conic.ki_pricing import multiplier_bound, pricing_relaxation, weight_bound

RELATIVE = 1e-6


def instance(seed: int, n: int, r: int, q: int, kind: str, d: int | None = None):
    """Z (n, d) of rank r, G (n, q): random, from three neurons, or linear in Z; and the cones of Z."""
    rng = np.random.default_rng(seed)
    Z = rng.normal(size=(n, r))
    G = {
        "random": lambda: rng.normal(size=(n, q)),
        "planted": lambda: np.maximum(Z @ rng.normal(size=(r, 3)), 0) @ rng.normal(size=(3, q)),
        "latent": lambda: Z @ rng.normal(size=(r, q)),
    }[kind]()
    if kind == "random" and r == 1:  # all outputs are combinations of (z)₊ and (−z)₊
        G = np.hstack([np.maximum(Z, 0), np.maximum(-Z, 0)]) @ rng.normal(size=(2, q))
    if d is not None:
        Z = Z @ np.linalg.qr(rng.normal(size=(d, r)))[0].T
    return Z, G, triangulate(enumerate_cells(Z))


def solved(Z, G, cones, **kwargs):
    result = run(ki_program(Z, G, cones, **kwargs))
    assert result.status in (ConicStatus.OPTIMAL, ConicStatus.INACCURATE)
    return result


def random_directions(d: int, count: int, seed: int = 0):
    U = np.random.default_rng(seed).normal(size=(count, d))
    return U / np.linalg.norm(U, axis=1, keepdims=True)


INSTANCES = [
    (seed, n, r, q, kind)
    for (n, r, q), kind in product([(5, 1, 2), (5, 2, 3), (9, 2, 1), (6, 3, 2)], ["random", "planted", "latent"])
    for seed in (0, 1)
] + [(0, 5, 4, 2, "planted"), (1, 5, 4, 3, "random"), (3, 6, 2, 3, "latent"), (4, 6, 4, 2, "latent")]


@pytest.mark.parametrize("case", INSTANCES, ids=str)
def test_neurons_and_multiplier_bracket_the_semidefinite_value(case):
    Z, G, cones = instance(*case)
    result = solved(Z, G, cones)
    R = result.multipliers["R"]
    lower = np.sum(R * G) / price(cones.arrangement, Z, R).value
    neurons = neurons_from_sdp(result.values, cones, Z, G)
    assert result.objective == pytest.approx(lower, rel=RELATIVE)
    assert neurons.cost == pytest.approx(lower, rel=RELATIVE)
    np.testing.assert_allclose(np.linalg.norm(neurons.u, axis=1), 1.0, rtol=1e-12)
    assert np.linalg.norm(neurons.output(Z) - G) <= 1e-8 * np.linalg.norm(G)


@pytest.mark.parametrize("seed", range(3))
def test_multiplier_is_feasible_on_a_hundred_thousand_directions(seed):
    Z, G, cones = instance(seed, 5, 3, 2, "random")
    R = solved(Z, G, cones).multipliers["R"]
    outputs = np.maximum(random_directions(3, 100_000) @ Z.T, 0) @ R
    assert np.linalg.norm(outputs, axis=1).max() <= 1 + 1e-7


@pytest.mark.parametrize("seed", range(3))
def test_value_equals_brute_force_over_a_fine_circle_of_neurons(seed):
    Z, G, cones = instance(seed, 4, 2, 1, "planted")
    angles = np.linspace(0, 2 * np.pi, 20_000, endpoint=False)
    features = np.maximum(Z @ np.array([np.cos(angles), np.sin(angles)]), 0)
    # min Σ|v| s.t. Φv = G by nonnegative least squares on [Φ, −Φ] with the sum as a light last row
    weight = 1e-5
    system = np.vstack([np.hstack([features, -features]), weight * np.ones(2 * len(angles))])
    v, _ = nnls(system[:, ::8], np.append(G[:, 0], 0.0))
    assert solved(Z, G, cones).objective == pytest.approx(v.sum(), rel=1e-3)


def test_single_planted_neuron_is_found_where_it_is_optimal():
    Z = np.array([[1.0, 0.1], [0.9, -0.3], [1.2, 0.4], [-1.0, 0.2]])
    u = np.array([1.0, 0.0])
    v = np.array([3.0, 4.0])
    G = np.outer(np.maximum(Z @ u, 0), v)
    cones = triangulate(enumerate_cells(Z))
    result = solved(Z, G, cones)
    neurons = neurons_from_sdp(result.values, cones, Z, G)
    assert result.objective <= 5.0 * (1 + RELATIVE)
    assert neurons.cost == pytest.approx(result.objective, rel=RELATIVE)


def test_value_is_the_norm_of_the_target_for_orthonormal_latents():
    Z, G = np.eye(3), np.array([[1.0], [2.0], [2.0]])
    cones = triangulate(enumerate_cells(Z))
    result = solved(Z, G, cones)
    neurons = neurons_from_sdp(result.values, cones, Z, G)
    assert result.objective == pytest.approx(3.0, rel=1e-7)
    main = np.argmax(np.linalg.norm(neurons.v, axis=1))
    np.testing.assert_allclose(neurons.u[main], [1 / 3, 2 / 3, 2 / 3], atol=1e-5)


def test_wider_latents_of_the_same_rank_have_the_same_value():
    thin = instance(5, 6, 2, 2, "latent")
    wide = instance(5, 6, 2, 2, "latent", d=7)
    result = solved(*wide)
    assert wide[0].shape == (6, 7)
    assert result.objective == pytest.approx(solved(*thin).objective, rel=RELATIVE)
    assert neurons_from_sdp(result.values, wide[2], wide[0], wide[1]).u.shape[1] == 7


@pytest.mark.parametrize("scales", [(1e-6, 1.0), (1e5, 1e-3), (1.0, 1e6)])
def test_value_scales_with_the_target_and_against_the_latents(scales):
    Z, G, cones = instance(6, 5, 2, 2, "random")
    value = solved(Z, G, cones).objective
    assert solved(scales[0] * Z, scales[1] * G, cones).objective == pytest.approx(
        value * scales[1] / scales[0], rel=RELATIVE
    )


def test_unsplit_cells_of_four_rays_give_the_value_of_the_split_ones():
    Z, G, cones = instance(7, 4, 3, 2, "random")
    arrangement = cones.arrangement
    whole = [arrangement.rays[list(arrangement.cell_rays[i])].T for i in range(arrangement.count)]
    assert {B.shape[1] for B in whole} == {3, 4}
    result = solved(Z, G, whole)
    assert result.values["C"].shape == (arrangement.count, 4, 4)
    assert result.objective == pytest.approx(solved(Z, G, cones).objective, rel=RELATIVE)
    neurons = neurons_from_sdp(result.values, whole, Z, G)
    assert neurons.cost == pytest.approx(result.objective, rel=RELATIVE)


@pytest.mark.parametrize("case", [(0, 6, 2, 3, "random"), (1, 5, 3, 2, "planted"), (2, 12, 2, 2, "random")], ids=str)
def test_soft_form_closes_its_own_gap(case):
    Z, G, cones = instance(*case)
    beta = 0.1 * price(cones.arrangement, Z, G).value
    result = solved(Z, G, cones, beta=beta)
    neurons = neurons_from_sdp(result.values, cones, Z)
    R = result.multipliers["R"]
    R = R * min(1.0, beta / price(cones.arrangement, Z, R).value)
    upper = 0.5 * np.sum((neurons.output(Z) - G) ** 2) + beta * neurons.cost
    lower = np.sum(R * G) - 0.5 * np.sum(R**2)
    assert upper == pytest.approx(lower, rel=RELATIVE)
    assert result.objective == pytest.approx(lower, rel=RELATIVE)
    np.testing.assert_allclose(R, G - neurons.output(Z), atol=1e-5 * np.linalg.norm(G))


def test_soft_form_above_the_price_of_the_target_is_the_zero_network():
    Z, G, cones = instance(3, 6, 2, 2, "random")
    beta = 1.01 * price(cones.arrangement, Z, G).value
    result = solved(Z, G, cones, beta=beta)
    assert result.objective == pytest.approx(0.5 * np.sum(G**2), rel=RELATIVE)
    np.testing.assert_allclose(result.multipliers["R"], G, rtol=1e-5)


def test_soft_form_keeps_what_no_network_reaches_in_the_residual():
    Z = np.array([[1.0, 0.5], [2.0, 1.0], [0.3, -1.0]])  # the second row is twice the first
    G = np.array([[1.0], [0.0], [1.0]])
    cones = triangulate(enumerate_cells(Z))
    result = solved(Z, G, cones, beta=1e-4)
    missed = np.linalg.norm(np.array([4.0, -2.0]) / 5)  # G₁₂ off the line through (1, 2)
    assert result.values["residual"] == pytest.approx(missed, rel=1e-9)
    assert result.objective == pytest.approx(0.5 * missed**2, rel=1e-2)


def test_target_out_of_reach_is_refused_with_its_distance():
    Z = np.array([[1.0, 0.5], [2.0, 1.0], [0.3, -1.0]])
    with pytest.raises(InputError, match=r"unreachable part of the target G, relative = 0\.63.* must be <= 1e-06"):
        ki_program(Z, np.array([[1.0], [0.0], [1.0]]), triangulate(enumerate_cells(Z)))


def test_program_too_large_is_refused_before_it_is_built():
    Z, G, cones = instance(0, 6, 3, 2, "random")
    with pytest.raises(MemoryLimitError, match=r"needs about [\d,]+ bytes .*column_generation"):
        ki_program(Z, G, cones, memory_limit=10**6)


@pytest.mark.parametrize("beta", [0.0, -1.0, float("nan")])
def test_beta_that_is_not_positive_is_refused(beta):
    Z, G, cones = instance(0, 5, 2, 2, "random")
    with pytest.raises(InputError, match="must be > 0"):
        ki_program(Z, G, cones, beta=beta)


# ------------------------------------------------------------------------------ the nuclear relaxation


def test_nuclear_bound_is_strictly_below_the_exact_value_on_a_constructed_instance():
    # (Zu)₊ ≥ 0 for Z = I, so the −1 takes a neuron of its own; the relaxation uses u = (1, −1)/√2 on the cell of (1, 1)
    Z, G = np.eye(2), np.array([[1.0], [-1.0]])
    cones = triangulate(enumerate_cells(Z))
    nuclear = nuclear_bound(Z, G, cones.arrangement.patterns, is_exhaustive=True)
    assert nuclear.is_lower_bound
    assert nuclear.value == pytest.approx(np.sqrt(2), rel=RELATIVE)
    assert solved(Z, G, cones).objective == pytest.approx(2.0, rel=RELATIVE)


@pytest.mark.parametrize("case", [(0, 5, 2, 2, "random"), (1, 5, 3, 2, "latent"), (2, 4, 4, 2, "random")], ids=str)
def test_nuclear_bound_never_exceeds_the_exact_value_and_its_multiplier_is_feasible(case):
    Z, G, cones = instance(*case)
    patterns = cones.arrangement.patterns
    nuclear = nuclear_bound(Z, G, patterns, is_exhaustive=True)
    assert nuclear.value <= solved(Z, G, cones).objective * (1 + RELATIVE)
    assert max(np.linalg.norm((nuclear.multiplier * h[:, None]).T @ Z, 2) for h in patterns) <= 1.0
    outputs = np.maximum(random_directions(Z.shape[1], 100_000) @ Z.T, 0) @ nuclear.multiplier
    assert np.linalg.norm(outputs, axis=1).max() <= 1.0
    assert nuclear.value == pytest.approx(np.sum(nuclear.multiplier * G), rel=1e-12)


def test_program_without_nonnegativity_is_the_nuclear_relaxation():
    Z, G, cones = instance(2, 5, 2, 2, "planted")  # in the plane, cells are simplicial
    nuclear = nuclear_bound(Z, G, cones.arrangement.patterns, is_exhaustive=True).value
    assert solved(Z, G, cones, doubly_nonnegative=False).objective == pytest.approx(nuclear, rel=RELATIVE)


# ------------------------------------------------------------------------------ completely positive factors


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 4), st.integers(1, 6), st.floats(0, 0.7), st.integers(0, 10**6))
def test_completely_positive_matrices_factor(p, k, sparsity, seed):
    rng = np.random.default_rng(seed)
    factor = rng.uniform(size=(p, k)) * (rng.uniform(size=(p, k)) >= sparsity)
    C = factor @ factor.T
    found = completely_positive_factors(C)
    assert np.all(found >= 0)
    assert len(found) <= p * (p + 1) / 2
    np.testing.assert_allclose(found.T @ found, C, atol=1e-8 * max(np.trace(C), 1e-300))


def test_doubly_nonnegative_matrix_with_a_cycle_of_zeros_factors():
    C = np.array([[2.0, 1, 0, 1], [1, 2, 1, 0], [0, 1, 2, 1], [1, 0, 1, 2]])  # rank 3, edges only
    found = completely_positive_factors(C)
    np.testing.assert_allclose(found.T @ found, C, atol=1e-9)
    assert np.all((found > 0).sum(axis=1) <= 2)


def test_factors_are_refused_from_order_five_on():
    with pytest.raises(InputError, match="must be <= 4"):
        completely_positive_factors(np.eye(5))


def test_finite_program_brackets_itself():
    rng = np.random.default_rng(0)
    features, V = rng.uniform(size=(6, 9)), rng.normal(size=(9, 2))
    result = run(finite_program(features, features @ V))
    R = result.multipliers["R"]
    np.testing.assert_allclose(features @ result.values["V"], features @ V, atol=1e-7)
    assert np.linalg.norm(features.T @ R, axis=1).max() <= 1 + 1e-7
    assert np.sum(R * (features @ V)) == pytest.approx(result.objective, rel=1e-7)


# ------------------------------------------------------------------------------ pricing at any rank


@pytest.mark.parametrize(("n", "d", "q"), [(6, 2, 2), (10, 3, 1), (12, 3, 4), (9, 4, 2)])
def test_pricing_relaxation_is_valid_and_nearly_exact_where_exact_pricing_knows(n, d, q):
    rng = np.random.default_rng(n)
    Z, R = rng.normal(size=(n, d)), rng.normal(size=(n, q))
    exact = price(enumerate_cells(Z), Z, R).value
    diagonal, full = (pricing_relaxation(Z, R, pairs=pairs).value for pairs in (False, True))
    assert exact <= full * (1 + 1e-12)
    assert full <= diagonal * (1 + 1e-6)
    assert full <= exact * 1.02


def test_pricing_relaxation_is_a_bound_on_a_hundred_thousand_directions_at_high_rank():
    rng = np.random.default_rng(0)
    Z, R = 100 * rng.normal(size=(40, 12)), 1e-3 * rng.normal(size=(40, 5))
    bound = pricing_relaxation(Z, R)
    sampled = np.linalg.norm(np.maximum(random_directions(12, 100_000) @ Z.T, 0) @ R, axis=1).max()
    assert sampled <= bound.value < 0.8 * np.linalg.norm(Z, 2) * np.linalg.norm(R, 2)
    assert multiplier_bound(Z, R, bound.evidence) == bound.value


def test_evidence_is_checked_by_the_definition_of_the_quadratic_form():
    rng = np.random.default_rng(1)
    Z, R = rng.normal(size=(8, 3)), rng.normal(size=(8, 2))
    evidence = pricing_relaxation(Z, R).evidence
    level, D, aa, bb, ab = (evidence[name] for name in ("level", "D", "N_aa", "N_bb", "N_ab"))
    assert min(aa.min(), bb.min(), ab.min()) >= 0
    for _ in range(200):  # any (u, w), not only w = |Zu|
        u, w = rng.normal(size=3), 3 * rng.normal(size=8)
        y = Z @ u
        a, b = (w + y) / 2, (w - y) / 2
        form = np.sum((R.T @ a) ** 2) + a @ aa @ a + b @ bb @ b + 2 * a @ ab @ b + D @ (y**2 - w**2) / 4
        assert form <= level * (u @ u) + 1e-9 * (u @ u + w @ w)


@pytest.mark.parametrize("change", ["level", "D", "N_ab"])
def test_tampered_evidence_proves_nothing(change):
    rng = np.random.default_rng(2)
    Z, R = rng.normal(size=(8, 3)), rng.normal(size=(8, 2))
    evidence = dict(pricing_relaxation(Z, R).evidence)
    evidence[change] = evidence[change] * 0.9 if change != "N_ab" else evidence[change] - 0.1
    with pytest.raises(InputError):
        multiplier_bound(Z, R, evidence)


@pytest.mark.parametrize("missing", ["level", "D"])
def test_missing_evidence_is_named(missing):
    evidence = dict(pricing_relaxation(np.eye(2), np.eye(2)).evidence)
    del evidence[missing]
    with pytest.raises(InputError, match=f"evidence {missing}"):
        multiplier_bound(np.eye(2), np.eye(2), evidence)


def test_price_of_an_unreachability_proof_is_nearly_zero():
    Z = np.array([[1.0, 0.5], [2.0, 1.0], [0.3, -1.0]])
    R = np.array([[2.0], [-1.0], [0.0]])  # (Zu)₊ has its second entry twice its first: price 0
    assert pricing_relaxation(Z, R).value <= 1e-3 * np.linalg.norm(Z, 2) * np.linalg.norm(R, 2)


@pytest.mark.parametrize("zero", ["Z", "R"])
def test_pricing_relaxation_of_zero_is_zero(zero):
    Z, R = np.ones((3, 2)) * (zero != "Z"), np.ones((3, 1)) * (zero != "R")
    bound = pricing_relaxation(Z, R)
    assert bound.value == 0.0
    assert multiplier_bound(Z, R, bound.evidence) == 0.0


@pytest.mark.parametrize("case", [(0, 6, 2, 2, "latent"), (1, 6, 3, 2, "planted"), (2, 6, 4, 3, "latent")], ids=str)
def test_weight_bound_is_below_the_exact_value_and_above_the_trivial_bound(case):
    Z, G, cones = instance(*case)
    exact = solved(Z, G, cones).objective
    bound = weight_bound(Z, G)
    trivial = np.linalg.svd(G, compute_uv=False).sum() / np.linalg.norm(Z, 2)
    assert trivial < bound.value <= exact
    assert bound.value >= 0.9 * exact
    assert multiplier_bound(Z, bound.multiplier, bound.price.evidence) == bound.price.value
    assert price(cones.arrangement, Z, bound.multiplier).value <= bound.price.value
    assert bound.value == pytest.approx(np.sum(bound.multiplier * G) / bound.price.value, rel=1e-12)


def test_weight_bound_at_high_rank_beats_the_trivial_bound_in_limited_time():
    rng = np.random.default_rng(3)
    Z, W = rng.normal(size=(60, 16)), rng.normal(size=(16, 16))
    G = Z @ W
    trivial = np.linalg.svd(G, compute_uv=False).sum() / np.linalg.norm(Z, 2)
    twice = 2 * np.linalg.svd(W, compute_uv=False).sum()  # the 2k-neuron network
    bound = weight_bound(Z, G, max_iter=60, time_limit=5.0)
    assert 1.2 * trivial < bound.value < twice


def test_weight_bound_refuses_a_zero_target_and_a_start_that_points_away():
    Z, G, _ = instance(0, 5, 2, 2, "random")
    with pytest.raises(InputError, match="G"):
        weight_bound(Z, np.zeros_like(G))
    with pytest.raises(InputError, match="start"):
        weight_bound(Z, G, start=-G)


def test_descent_with_nonnegative_variables_meets_the_optimality_conditions():
    rng = np.random.default_rng(0)
    A, b = rng.normal(size=(30, 12)), rng.normal(size=30)
    x = descend(lambda x: (0.5 * np.sum((A @ x - b) ** 2), A.T @ (A @ x - b)), np.ones(12), slice(2, 12), 500)
    slope = A.T @ (A @ x - b)
    assert x[2:].min() == 0.0
    np.testing.assert_allclose(slope[:2], 0.0, atol=1e-3)
    assert slope[2:].min() >= -1e-3
    np.testing.assert_allclose(slope * (np.arange(12) >= 2) * x, 0.0, atol=1e-3)


def test_pricing_relaxation_that_does_not_fit_in_memory_is_refused():
    with pytest.raises(MemoryLimitError, match="pairs=False"):
        pricing_relaxation(np.ones((60_000, 2)), np.ones((60_000, 1)))
