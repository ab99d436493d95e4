"""Small columns are not zero columns: rank, ρ and bounds against exact rational arithmetic and explicit weights."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from convexwgan.certificates import PlainClaim, Status, attain, certify, gather
from convexwgan.certificates import features as module
from convexwgan.spec.discriminator import Discriminator
from convexwgan.spec.generator import Generator
from convexwgan.spec.latent import Latent
from convexwgan.spec.regularizer import Regularizer

LINEAR = Discriminator.linear(beta=1.0) + Generator.linear()


def exact_rho(Z: np.ndarray) -> float:
    """z̄ᵀ(ZᵀZ)⁻¹z̄/n by Gaussian elimination over the rationals."""
    rows = [[Fraction(float(z)) for z in row] for row in Z]
    p = len(rows[0])
    mean = [sum((row[i] for row in rows), Fraction(0)) for i in range(p)]
    table = [[sum((row[i] * row[j] for row in rows), Fraction(0)) for j in range(p)] + [mean[i]] for i in range(p)]
    for i in range(p):
        pivot = next(k for k in range(i, p) if table[k][i] != 0)
        table[i], table[pivot] = table[pivot], table[i]
        table[i] = [value / table[i][i] for value in table[i]]
        for k in range(p):
            if k != i:
                table[k] = [a - table[k][i] * b for a, b in zip(table[k], table[i], strict=True)]
    return float(sum((table[i][p] * mean[i] for i in range(p)), Fraction(0)) / len(rows))


@pytest.mark.parametrize("seed", range(24))
def test_rho_lies_within_its_bounds_for_badly_scaled_collinear_and_nearly_centred_noise(seed: int) -> None:
    rng = np.random.default_rng(seed)
    Z, small = rng.standard_normal((5, 3)) * 10 ** rng.uniform(-6, 6, 3), 10 ** rng.uniform(-11, 0)
    if seed % 2:
        Z[:, 1] = Z[:, 0] * (1 + small * rng.standard_normal(5))
    if seed % 3 == 0:
        Z = Z - Z.mean(axis=0) + small * rng.uniform()
    lower, upper = gather(LINEAR, np.ones((1, 1)), Z=Z, normalize="mean").latents.rho_bounds
    assert lower <= exact_rho(Z) <= upper


@pytest.mark.parametrize("size", [1e-18, 1e-200, 1e60])
def test_lower_bound_stays_below_weights_on_a_badly_scaled_column(rng: np.random.Generator, size: float) -> None:
    """A constant column gives ρ = n_f however small its entries are."""
    Z, X = (
        np.column_stack([rng.standard_normal(40), np.full(40, size)]),
        rng.standard_normal((40, 2)) + np.array([2, 1]),
    )
    m = X.sum(axis=0)
    s = m * (1 - 1 / np.linalg.norm(m))
    claim = PlainClaim(np.vstack([np.zeros(2), s / (40 * size)]))
    certificate = certify(gather(LINEAR, X, Z=Z), claim, tol=1e-6).certificate
    assert certificate.upper == pytest.approx(s @ s / 80)
    assert certificate.status is Status.CERTIFIED, str(certificate)


def test_norm_bound_counts_a_small_column_as_a_direction() -> None:
    wgan = Discriminator.quadratic(norm_bound=True) + Generator.linear() + Regularizer.output(0.5)
    evidence = gather(wgan, np.diag([3.0, 2.0]), Z=np.diag([1.0, 1e-18]))
    claim = PlainClaim(np.diag([3.0, 2e18]))
    certificate = certify(evidence, claim, tol=1e-6, repair=False).certificate
    assert certificate.upper == pytest.approx(3.25)
    assert certificate.status is not Status.UNVERIFIED
    assert certificate.lower <= 3.25


@pytest.mark.parametrize("regularizer", [Regularizer.output(1.0), Regularizer.weights(1.0)], ids=["output", "weights"])
def test_a_small_column_does_not_make_a_feasible_game_infeasible(regularizer: Regularizer) -> None:
    X, Z, claim = np.diag([3.0, 2.0]), np.diag([1.0, 1e-18]), PlainClaim(np.zeros((2, 2)))
    wgan = Discriminator.quadratic(beta=1.0) + Generator.linear() + regularizer
    assert certify(gather(wgan, X, Z=Z), claim, tol=1e-6).certificate.status is not Status.INFEASIBLE
    centred = np.column_stack([[1.0, -1.0, 2.0, -2.0], np.full(4, 1e-18)])
    linear = Discriminator.linear(beta=1.0) + Generator.linear() + regularizer
    assert certify(gather(linear, X, Z=centred), claim, tol=1e-6).certificate.status is not Status.INFEASIBLE


@pytest.mark.parametrize("beta", [5.0, None])
def test_truncated_directions_never_raise_a_bound_on_weights(beta: float | None) -> None:
    """λ_2 = 1e-36 lies below the rank tolerance, but 5.25 (norm bound) and 1.0 (β_d = 5) are attained."""
    discriminator = Discriminator.quadratic(norm_bound=True) if beta is None else Discriminator.quadratic(beta=beta)
    wgan = discriminator + Generator.linear() + Regularizer.weights(0.5)
    evidence = gather(wgan, np.diag([3.0, 2.0]), Z=np.diag([1.0, 1e-18]))
    t = 4.0 if beta is None else beta
    certificate = certify(evidence, PlainClaim(np.diag([np.sqrt(9 - t), 0.0])), tol=1e-6).certificate
    assert certificate.status is Status.CERTIFIED, str(certificate)
    assert certificate.upper == pytest.approx(5.25 if beta is None else 1.0)


def test_small_coefficients_of_a_polynomial_generator_are_directions() -> None:
    for noise in ({"latent": Latent.normal(2)}, {"Z": np.random.default_rng(0).standard_normal((20, 2))}):
        evidence = gather(
            Discriminator.linear(beta=1.0) + Generator.polynomial(1.0, 1e-18, 1.0),
            np.ones((3, 2)),
            normalize="mean",
            **noise,
        )
        assert evidence.latents.rank == 6
        assert evidence.latents.rho == pytest.approx(1.0)


def test_weights_stay_in_the_users_units(witness: Any) -> None:
    scale = np.array([1.0, 1e-9, 1e9, 1e-3, 1.0, 1e30])
    W = np.random.default_rng(1).standard_normal((6, 4))
    wgan = Discriminator.quadratic(beta=20.0) + Generator.linear()
    plain, scaled = (gather(wgan, witness.X, Z=Z) for Z in (witness.Z, witness.Z * scale))
    ours, theirs = attain(plain, W), attain(scaled, W / scale[:, None])
    assert theirs.dist == pytest.approx(ours.dist, rel=1e-12)
    frame = scaled.latents.frame
    np.testing.assert_allclose(frame.weights(frame.coordinates(W / scale[:, None])) * scale[:, None], W)
    audit = certify(scaled, PlainClaim(witness.quadratic(20.0).weights / scale[:, None] * 0.9), tol=1e-6)
    assert audit.repaired
    assert attain(scaled, audit.weights).violation <= 1e-12


def test_noise_in_many_blocks_has_the_spectrum_of_one(monkeypatch: pytest.MonkeyPatch, witness: Any) -> None:
    Z = witness.Z * np.logspace(-20, 0, 6)
    whole = gather(LINEAR, witness.X, Z=Z).latents
    monkeypatch.setattr(module, "BLOCK_NUMBERS", 18)
    parts = gather(LINEAR, witness.X, Z=Z).latents
    assert (parts.rank, parts.rho) == (6, pytest.approx(whole.rho, rel=1e-12))
    np.testing.assert_allclose(parts.eigenvalues, whole.eigenvalues)


def test_a_bound_that_hangs_on_a_truncated_rank_says_so(witness: Any) -> None:
    Z = witness.Z[:, :2] @ np.random.default_rng(2).standard_normal((2, 5))
    certificate = certify(gather(LINEAR, witness.X, Z=Z), PlainClaim(np.zeros((5, 4))), tol=1e-6).certificate
    (check,) = (check for check in certificate.checks if check.name == "the mean of the noise is unambiguous")
    assert check.holds
    assert "singular values above" in check.detail
