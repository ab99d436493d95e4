"""The S-lemma program: its special cases, and its multipliers as neurons (MATH 1.4)."""

from __future__ import annotations

import numpy as np
import pytest

from convexwgan.geometry.distances import polynomial_distance
from convexwgan.geometry.polynomials import rank_one_decomposition
from convexwgan.solvers.conic import ConicStatus, phase_one, polynomial_program, run

BETA_G = 0.7
RELATIVE = 1e-6


def sample_moments(seed: int, d: int = 4, scale: float = 1.0):
    rng = np.random.default_rng(seed)
    X = scale * (rng.normal(size=(20, d)) * np.linspace(1, 2, d) + 0.3)
    return X.sum(axis=0), X.T @ X


def neurons(multipliers):
    """(u, v) of the discriminator: rank-one pieces of both moment matrices."""
    plus, minus = (rank_one_decomposition(multipliers[name]) for name in ("Y_plus", "Y_minus"))
    return np.concatenate([plus[0], minus[0]]), np.concatenate([plus[1], -minus[1]])


def lagrangian_bound(multipliers, m, M, coefficients, mass_gap, rho, beta, strength):
    """⟨R, M⟩ + yᵀm + κ·mass_gap − βΣ|v| − (ρ/4) yᵀN⁺y with R, y, κ from the neurons."""
    (a, b, c), (u, v) = coefficients, neurons(multipliers)
    R, y, kappa = a * (u.T * v) @ u, b * (v @ u), c * v.sum()
    N = strength / 2 * np.eye(len(m)) - R
    values, vectors = np.linalg.eigh(N)
    size = max(values[-1], np.abs(v).sum())
    assert values[0] >= -1e-7 * size
    assert np.linalg.norm(u, axis=1).max() <= 1 + 1e-9
    big = values > 1e-7 * size
    penalty = rho / 4 * np.sum((vectors.T @ y)[big] ** 2 / values[big])
    weight = 0.0 if beta is None else beta * np.abs(v).sum()
    return np.sum(R * M) + y @ m + kappa * mass_gap - weight - penalty


def test_polynomial_with_a_alone_is_quadratic():
    m, M = sample_moments(0)
    sigma = np.linalg.eigvalsh(M)
    beta = float(sigma.mean())
    data = {"coefficients": (1.0, 0.0, 0.0), "mass_gap": 3.0, "rho": 9.0, "strength": BETA_G}
    weight_decay, norm_bound = (run(polynomial_program(M, m, beta=b, **data)) for b in (beta, None))
    t = sigma[-1 - int(2 / BETA_G)]
    assert weight_decay.objective == pytest.approx(BETA_G / 2 * np.maximum(sigma - beta, 0).sum(), rel=RELATIVE)
    assert norm_bound.objective == pytest.approx(t + BETA_G / 2 * np.maximum(sigma - t, 0).sum(), rel=RELATIVE)


@pytest.mark.parametrize("scale", [1e-4, 1.0, 1e4])
def test_polynomial_with_b_alone_is_linear(scale):
    m, M = sample_moments(1, scale=scale)
    length, rho = np.linalg.norm(m), 9.0
    data = {"coefficients": (0.0, 1.0, 0.0), "mass_gap": 0.0, "rho": rho, "strength": BETA_G}
    weight_decay, norm_bound = (run(polynomial_program(M, m, beta=b, **data)) for b in (length / 3, None))
    s = min(length, rho / BETA_G)
    np.testing.assert_allclose(weight_decay.values["s"], m * 2 / 3, rtol=1e-5)
    assert weight_decay.objective == pytest.approx(BETA_G / 2 * (2 / 3 * length) ** 2 / rho, rel=RELATIVE)
    assert norm_bound.objective == pytest.approx(BETA_G / 2 * s**2 / rho + length - s, rel=RELATIVE)


@pytest.mark.parametrize("rho", [0.0, 7.5])
@pytest.mark.parametrize("coefficients", [(1.0, 0.5, 0.0), (1.0, 0.5, 0.3), (-1.0, 2.0, 0.1), (0.2, 3.0, 0.0)])
@pytest.mark.parametrize("regularisation", ["weight decay", "norm bound"])
def test_polynomial_multipliers_decompose_into_neurons_that_attain_the_value(coefficients, rho, regularisation):
    m, M = sample_moments(2)
    beta = None
    if regularisation == "weight decay":
        nearest = run(phase_one(M, m, coefficients=coefficients, mass_gap=2.0, rho=rho)).objective
        beta = 1.3 * nearest + 0.2 * np.linalg.norm(M, 2)
    data = {"coefficients": coefficients, "mass_gap": 2.0, "rho": rho, "beta": beta, "strength": BETA_G}
    result = run(polynomial_program(M, m, **data))
    assert result.status is ConicStatus.OPTIMAL
    bound = lagrangian_bound(result.multipliers, m, M, **data)
    assert bound == pytest.approx(result.objective, rel=RELATIVE, abs=1e-8 * np.linalg.norm(M, 2))
    if beta is None:
        assert np.abs(neurons(result.multipliers)[1]).sum() <= 1 + 1e-7


def test_polynomial_point_is_feasible_by_the_definition_of_dist():
    m, M = sample_moments(3)
    coefficients, rho, beta = (1.0, 0.5, 0.1), 7.5, 8.0
    result = run(polynomial_program(M, m, coefficients=coefficients, mass_gap=1.0, rho=rho, beta=beta, strength=BETA_G))
    S, s = result.values["S"], result.values["s"]
    dist = polynomial_distance(M, S, m, s, 1.0, coefficients).value
    assert dist == pytest.approx(beta, rel=1e-6)
    assert np.linalg.eigvalsh(S - np.outer(s, s) / rho)[0] >= -1e-6


def test_beta_below_the_constant_gap_is_infeasible_and_phase_one_says_by_how_much():
    m, M = sample_moments(4)
    data = {"coefficients": (1.0, 0.5, 2.0), "mass_gap": 3.0, "rho": 9.0}
    result = run(polynomial_program(M, m, beta=5.0, strength=BETA_G, **data))
    nearest = run(phase_one(M, m, **data))
    assert result.status is ConicStatus.INFEASIBLE
    assert nearest.objective == pytest.approx(6.0, rel=1e-6)


@pytest.mark.parametrize("coefficients", [(-1.0, 2.0, 0.1), (0.2, 3.0, 0.0)])
def test_phase_one_multipliers_are_a_ray_that_proves_infeasibility(coefficients):
    m, M = sample_moments(5)
    data = {"coefficients": coefficients, "mass_gap": 2.0, "rho": 0.0}
    nearest = run(phase_one(M, m, **data))
    bound = lagrangian_bound(nearest.multipliers, m, M, beta=None, strength=0.0, **data)
    result = run(polynomial_program(M, m, beta=0.9 * nearest.objective, strength=BETA_G, **data))
    assert result.status is ConicStatus.INFEASIBLE
    assert bound == pytest.approx(nearest.objective, rel=RELATIVE)
    assert np.abs(neurons(nearest.multipliers)[1]).sum() == pytest.approx(1.0, rel=1e-6)


def test_phase_one_without_mean_cannot_move_a_linear_discriminator():
    m, M = sample_moments(6)
    result = run(phase_one(M, m, coefficients=(0.0, 1.0, 0.0), mass_gap=0.0, rho=0.0))
    assert result.objective == pytest.approx(np.linalg.norm(m), rel=RELATIVE)
    np.testing.assert_array_equal(result.values["s"], 0.0)


def test_multipliers_are_moment_matrices_of_measures_on_the_unit_ball():
    m, M = sample_moments(7)
    result = run(
        polynomial_program(M, m, coefficients=(1.0, 0.5, 0.0), mass_gap=0.0, rho=9.0, beta=5.0, strength=BETA_G)
    )
    for Y in result.multipliers.values():
        assert np.trace(Y[:-1, :-1]) <= Y[-1, -1] * (1 + 1e-12)
        assert np.linalg.eigvalsh(Y)[0] >= -1e-12 * np.abs(Y).max()


@pytest.mark.parametrize("rho", [1e-2, 1e-6, 1e-12, 1e-24, 1e-60])
@pytest.mark.parametrize("regularisation", ["weight decay", "norm bound"])
def test_noise_with_a_small_mean_costs_no_accuracy(rho, regularisation):
    """S ⪰ ssᵀ/ρ explodes at s = m, but |a|‖M − S‖ ≤ 2β bounds S: as ρ → 0 the program goes to that of ρ = 0."""
    m, M = sample_moments(3)
    coefficients = (1.0, 0.01, 0.0)
    beta = 0.3 * np.linalg.norm(M, 2) if regularisation == "weight decay" else None
    data = {"coefficients": coefficients, "mass_gap": 2.0, "beta": beta, "strength": BETA_G}
    without, result = (run(polynomial_program(M, m, rho=r, **data)) for r in (0.0, rho))
    assert result.status is ConicStatus.OPTIMAL
    assert result.objective == pytest.approx(without.objective, rel=1e-2 if rho == 1e-2 else 1e-4)
    bound = lagrangian_bound(result.multipliers, m, M, rho=rho, **data)
    assert bound == pytest.approx(result.objective, rel=RELATIVE)
