"""Weyl's bound where no discriminator helps: the weights cost, and a norm bound limited by rank."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.optimize import minimize

from convexwgan.certificates import PlainClaim, Status, attain, certify, gather
from convexwgan.certificates.spectral import spectral_bound
from convexwgan.spec.discriminator import Discriminator
from convexwgan.spec.generator import Generator
from convexwgan.spec.regularizer import Regularizer


def noise(spectrum: list[float], rng: np.random.Generator) -> np.ndarray:
    """Z with ZᵀZ = diag(spectrum)."""
    return np.linalg.qr(rng.standard_normal((12, len(spectrum))))[0] * np.sqrt(spectrum)


def matched(M: np.ndarray, spectrum: list[float], t: float, k: int) -> np.ndarray:
    """W that matches the largest with the largest: λ_i is paired with (σ_i² − t)₊, i ≤ k."""
    values, V = np.linalg.eigh(M)
    W = np.zeros((len(spectrum), len(M)))
    W[:k] = (np.sqrt(np.maximum(values[::-1][:k] - t, 0) / np.array(spectrum[:k])) * V[:, ::-1][:, :k]).T
    return W


def test_weights_cost_with_unequal_latents_is_certified_without_a_discriminator(
    rng: np.random.Generator,
) -> None:
    """MATH 3.3: λ = (9, 4, 1) leaves a duality gap; matching is optimal and Weyl proves it."""
    X, spectrum, beta = rng.standard_normal((20, 3)) * [3, 2, 1], [9.0, 4.0, 1.0], 3.0
    wgan = Discriminator.quadratic(beta=beta) + Generator.linear() + Regularizer.weights(2.0)
    evidence = gather(wgan, X, Z=noise(spectrum, rng))
    W = matched(X.T @ X, spectrum, beta, 3)
    audit = certify(evidence, PlainClaim(W, np.eye(3), np.ones(3)), tol=1e-6)
    assert audit.certificate.status is Status.CERTIFIED
    assert audit.certificate.relative_gap <= 1e-8
    assert audit.certificate.lower <= float(np.vdot(W, W))
    assert audit.neurons_u is None


def test_no_local_search_beats_the_weights_bound(rng: np.random.Generator) -> None:
    X, spectrum, beta = rng.standard_normal((10, 2)) * [3, 1], [5.0, 1.0], 2.0
    wgan = Discriminator.quadratic(beta=beta) + Generator.linear() + Regularizer.weights(1.0)
    evidence = gather(wgan, X, Z=noise(spectrum, rng))
    lower = spectral_bound(evidence).value

    def penalised(w: np.ndarray) -> float:
        attained = attain(evidence, w.reshape(2, 2))
        return attained.value + 1e3 * max(0.0, attained.dist - beta)

    starts = rng.standard_normal((6, 4)) * 2
    best = min(minimize(penalised, start, method="Nelder-Mead", options={"maxiter": 4000}).fun for start in starts)
    assert lower <= best * (1 + 1e-9)
    assert best <= lower * 1.05


@pytest.mark.parametrize("cost", ["output", "weights"])
@pytest.mark.parametrize("strength", [0.05, 0.4, 1.1, 5.0])
@pytest.mark.parametrize("rank", [2, 4])
def test_norm_bound_is_a_piecewise_linear_minimum(
    rng: np.random.Generator, cost: Any, strength: float, rank: int
) -> None:
    X, spectrum = rng.standard_normal((20, 4)) * [3, 2, 1, 0.5], [2.0, 1.5, 1.0, 0.7][:rank]
    regularizer = Regularizer.output(strength) if cost == "output" else Regularizer.weights(strength)
    wgan = Discriminator.quadratic(norm_bound=True) + Generator.linear() + regularizer
    evidence = gather(wgan, X, Z=noise(spectrum, rng))
    sigma2 = np.linalg.eigvalsh(X.T @ X)[::-1]
    inverse = np.ones(rank) if cost == "output" else 1 / np.array(spectrum)
    floor = sigma2[rank] if rank < 4 else 0.0
    grid = np.concatenate([np.linspace(floor, sigma2[0] * 1.1, 2001), sigma2[sigma2 >= floor]])
    values = grid + strength / 2 * (np.maximum(sigma2[:rank, None] - grid, 0) * inverse[:, None]).sum(axis=0)
    t, value = grid[values.argmin()], float(values.min())
    assert spectral_bound(evidence).value == pytest.approx(value, rel=1e-10)
    audit = certify(evidence, PlainClaim(matched(X.T @ X, spectrum, t, rank)), tol=1e-6)
    assert audit.certificate.status is Status.CERTIFIED
    assert audit.certificate.lower <= value <= audit.certificate.upper * (1 + 1e-12)


def test_rank_limited_norm_bound_with_skip_is_certified(witness: Any) -> None:
    """One direction is left for the spectrum after the mean: t = γ_2, which no discriminator proves."""
    Z = witness.Z[:, :2]
    e = Z @ np.linalg.pinv(Z) @ np.ones(len(Z))
    rho = float(e.sum())
    gamma, Q = np.linalg.eigh(witness.M - np.outer(witness.m, witness.m) / rho)
    strength, t = 0.05, max(gamma[-2], -gamma[0])
    u = np.linalg.qr(np.column_stack([e, Z[:, 0]]))[0][:, 1]
    G = np.outer(e, witness.m) / rho + np.sqrt(gamma[-1] - t) * np.outer(u, Q[:, -1])
    W = np.linalg.lstsq(Z, G, rcond=None)[0]
    wgan = Discriminator.quadratic(norm_bound=True, skip=True) + Generator.linear() + Regularizer.output(strength)
    audit = certify(gather(wgan, witness.X, Z=Z), PlainClaim(W), tol=1e-6)
    value = t + strength / 2 * (witness.m @ witness.m / rho + gamma[-1] - t)
    assert audit.certificate.status is Status.CERTIFIED
    assert audit.certificate.upper == pytest.approx(value, rel=1e-9)


def test_rank_limited_bound_is_unverified_where_the_rank_is_a_judgement(rng: np.random.Generator) -> None:
    X = rng.standard_normal((20, 4)) * [3, 2, 1, 0.5]
    Z = noise([1.0, 1.0], rng)
    Z = np.column_stack([Z, Z @ [1.0, 1.0] + 1e-14 * rng.standard_normal(12)])
    wgan = Discriminator.quadratic(norm_bound=True) + Generator.linear() + Regularizer.output(0.1)
    evidence = gather(wgan, X, Z=Z)
    assert evidence.latents.is_rank_ambiguous
    audit = certify(evidence, PlainClaim(np.zeros((3, 4))), tol=1e-6)
    assert audit.certificate.status is Status.UNVERIFIED
    assert any("rank" in check.name for check in audit.certificate.failed_checks)


@pytest.mark.parametrize("seed", range(6))
def test_error_of_rho_lowers_the_floor_of_the_norm_bound(seed: int) -> None:
    """n = 2 collinear columns: ρ is known from exact rationals; the bound is (β_g/2)m²/ρ + (m²/ρ − M)₊ at best."""
    rng = np.random.default_rng(seed)
    z = np.round(rng.standard_normal(4) * 2**20) / 2**20
    step = 2.0**-36 * np.round(rng.standard_normal(4) * 2**8)
    Z = np.column_stack([z, z + step])
    wgan = Discriminator.quadratic(norm_bound=True, skip=True) + Generator.linear()
    bound = spectral_bound(gather(wgan, np.array([[3.0]]), Z=Z, normalize="mean"))
    plain = np.column_stack([z, step])  # the same range, well conditioned once its columns are scaled
    e = np.linalg.qr(plain / np.linalg.norm(plain, axis=0))[0].sum(axis=0)
    rho = float(e @ e) / 4
    optimum = 4.5 / rho + max(0.0, 9.0 / rho - 9.0)
    assert bound is not None
    assert optimum * (1 - 1e-2) <= bound.value <= optimum * (1 + 1e-14)


def test_unequal_latents_of_any_ratio_do_not_cancel_in_the_norm_bound(rng: np.random.Generator) -> None:
    """X = diag(3, 2), λ = (1, 1e-24): t = 4 and value 4 + 5/4; sums of γ_i/λ_i would cancel at 1e24."""
    wgan = Discriminator.quadratic(norm_bound=True) + Generator.linear() + Regularizer.weights(0.5)
    bound = spectral_bound(gather(wgan, np.diag([3.0, 2.0]), Z=noise([1.0, 1e-24], rng)))
    assert bound is not None
    assert 5.25 * (1 - 1e-9) <= bound.value <= 5.25
