"""Infeasible games are proven so from the data, with the tolerance of every rank and zero decision."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from convexwgan.certificates import PlainClaim, Status, certify, gather
from convexwgan.spec.discriminator import Discriminator
from convexwgan.spec.generator import Generator
from convexwgan.spec.latent import Latent

NOTHING = PlainClaim()


def verdict(wgan: Any, X: Any, claim: PlainClaim = NOTHING, **data: Any) -> Any:
    return certify(gather(wgan, X, **data), claim, tol=1e-6).certificate


def test_rank_deficient_latent_is_infeasible_with_weyl_certificate(witness: Any) -> None:
    Z = witness.Z[:, :2] @ np.ones((2, 5))
    sigma2 = np.linalg.eigvalsh(witness.M)[::-1]
    wgan = Discriminator.quadratic(beta=sigma2[1] * 0.99) + Generator.linear()
    certificate = verdict(wgan, witness.X, Z=Z)
    assert certificate.status is Status.INFEASIBLE
    assert certificate.infeasibility.kind == "weyl"
    assert certificate.infeasibility.margin == pytest.approx(0.01 * sigma2[1])
    assert "rank(Z) = 1" in certificate.infeasibility.text
    assert "above" in certificate.infeasibility.text  # the rank tolerance is stated


def test_a_claimed_generator_does_not_hide_infeasibility(witness: Any) -> None:
    wgan = Discriminator.quadratic(beta=1.0) + Generator.linear()
    audit = certify(gather(wgan, witness.X, Z=witness.Z[:, :1]), PlainClaim(np.ones((1, 4))), tol=1e-6)
    assert audit.certificate.status is Status.INFEASIBLE
    assert audit.weights is None


def test_free_generator_with_too_few_samples_is_infeasible(witness: Any) -> None:
    wgan = Discriminator.quadratic(beta=1.0) + Generator.free()
    assert verdict(wgan, witness.X, n_fake=2).status is Status.INFEASIBLE
    assert verdict(wgan, witness.X, n_fake=4).status is Status.FAILED


def test_beta_equal_to_the_next_eigenvalue_is_not_infeasible(witness: Any) -> None:
    wgan = Discriminator.quadratic(components=2) + Generator.free()
    assert verdict(wgan, witness.X, n_fake=2).status is Status.FAILED


def test_skip_needs_one_more_rank_and_a_reachable_mean(witness: Any) -> None:
    gamma = np.linalg.eigvalsh(witness.M - np.outer(witness.m, witness.m) / 2)[::-1]
    weyl = Discriminator.quadratic(beta=0.9 * gamma[1], skip=True) + Generator.free()
    assert verdict(weyl, witness.X, n_fake=2).infeasibility.kind == "weyl"
    assert gamma[-1] < -1.0
    indefinite = Discriminator.quadratic(beta=-0.9 * gamma[-1], skip=True) + Generator.linear()
    Z = np.column_stack([np.ones(2), [1.0, -1.0]]).repeat(1, axis=0)
    loose = verdict(indefinite, witness.X, Z=np.vstack([Z, np.zeros((3, 2))]))
    assert loose.status is Status.INFEASIBLE


def test_skip_with_zero_mean_noise_and_nonzero_data_mean_is_infeasible(witness: Any) -> None:
    wgan = Discriminator.quadratic(beta=1e6, skip=True) + Generator.linear()
    certificate = verdict(wgan, witness.X, latent=Latent.normal(4), normalize="mean")
    assert certificate.status is Status.INFEASIBLE
    assert certificate.infeasibility.kind == "zero_mean"
    centred = verdict(wgan, witness.X - witness.X.mean(axis=0), latent=Latent.normal(4), normalize="mean")
    assert centred.status is Status.FAILED


def test_norm_bound_with_skip_is_infeasible_for_unreachable_means(witness: Any) -> None:
    wgan = Discriminator.quadratic(norm_bound=True, skip=True) + Generator.linear()
    assert verdict(wgan, witness.X, latent=Latent.normal(4), normalize="mean").status is Status.INFEASIBLE


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_centred_noise_cannot_move_the_mean(witness: Any, dtype: Any) -> None:
    Z = witness.Z.astype(dtype)
    Z = Z - Z.mean(axis=0)
    X = witness.X.astype(dtype)
    norm = float(np.linalg.norm(X.sum(axis=0)))
    infeasible = verdict(Discriminator.linear(beta=0.9 * norm) + Generator.linear(), X, Z=Z)
    assert infeasible.status is Status.INFEASIBLE
    assert "tolerance" in infeasible.infeasibility.text
    feasible = verdict(Discriminator.linear(beta=1.1 * norm) + Generator.linear(), X, PlainClaim(np.zeros((6, 4))), Z=Z)
    assert feasible.status is Status.CERTIFIED
    assert feasible.upper == 0.0


def test_almost_centred_noise_is_unverified_and_not_infeasible(witness: Any) -> None:
    Z = witness.Z - witness.Z.mean(axis=0)
    tolerance = gather(Discriminator.linear(beta=1.0) + Generator.linear(), witness.X, Z=Z).latents.zero_tolerance
    Z[0] += 0.5 * tolerance
    certificate = verdict(Discriminator.linear(beta=1.0) + Generator.linear(), witness.X, Z=Z)
    assert certificate.status is Status.UNVERIFIED
    assert any("mean of the noise" in check.name for check in certificate.failed_checks)


def test_ambiguous_rank_is_unverified_and_not_infeasible(witness: Any, rng: np.random.Generator) -> None:
    Z = np.column_stack([witness.Z[:, 0], witness.Z[:, 0] * (1 + 1e-14 * rng.standard_normal(25))])
    certificate = verdict(Discriminator.quadratic(beta=1.0) + Generator.linear(), witness.X, Z=Z)
    assert certificate.status is Status.UNVERIFIED


def test_constant_term_that_beta_cannot_cover_is_infeasible(witness: Any) -> None:
    wgan = Discriminator.polynomial(1.0, 1.0, 0.5, beta=4.0) + Generator.free()
    certificate = verdict(wgan, witness.X, n_fake=20)
    assert certificate.infeasibility.kind == "mass_gap"
    assert certificate.infeasibility.margin == pytest.approx(1.0)


def test_polynomial_ray_proves_infeasibility_for_zero_mean_noise() -> None:
    """z̄ = 0 forces s = 0; with S ⪰ 0 free, −u² direction aside, u along m gains without bound."""
    X = np.array([[2.0, 0.0], [2.0, 0.1]])
    wgan = Discriminator.polynomial(0.1, 1.0, 0.0, beta=0.5) + Generator.linear()
    evidence = gather(wgan, X, latent=Latent.normal(3), normalize="mean")
    # neurons ±m̂ with weights ±: R cancels, y = 2m̂ stays
    u = np.array([[1.0, 0.0], [-1.0, 0.0]])
    certificate = certify(evidence, PlainClaim(None, u, np.array([0.5, -0.5])), tol=1e-6).certificate
    assert certificate.status is Status.INFEASIBLE
    assert certificate.infeasibility.kind == "ray"
    assert certificate.infeasibility.margin == pytest.approx(2.0 - 0.5, rel=1e-6)


def test_a_feasible_polynomial_game_has_no_ray(witness: Any, rng: np.random.Generator) -> None:
    wgan = Discriminator.polynomial(1.0, 1.0, 0.0, beta=1e-3) + Generator.free()
    evidence = gather(wgan, witness.X)  # G = X is feasible for every β
    for _ in range(30):
        u, v = rng.standard_normal((4, 4)), rng.standard_normal(4)
        certificate = certify(evidence, PlainClaim(None, u, v), tol=1e-6).certificate
        assert certificate.status is Status.FAILED


def test_feasible_games_are_never_called_infeasible(rng: np.random.Generator) -> None:
    """G = X attains dist = 0: whatever β, nothing may prove infeasibility."""
    for kind in ("linear", "quadratic"):
        for n in (1, 2, 5):
            X = rng.standard_normal((n, 3))
            wgan = getattr(Discriminator, kind)(beta=1e-9) + Generator.free()
            assert verdict(wgan, X).status is Status.FAILED
    X = rng.standard_normal((4, 3))
    assert verdict(Discriminator.quadratic(beta=1e-9, skip=True) + Generator.free(), X).status is Status.FAILED


@pytest.mark.parametrize("seed", range(8))
def test_error_of_rho_is_no_proof_of_an_indefinite_covariance(seed: int) -> None:
    """β_d = m²/ρ − M is feasible; ρ of nearly equal columns is only known to 1e-4."""
    rng = np.random.default_rng(seed)
    z = np.round(rng.standard_normal(6) * 2**20) / 2**20
    step = 2.0**-44 * np.round(rng.standard_normal(6) * 2**8)
    plain = np.column_stack([z, step])
    e = np.linalg.qr(plain / np.linalg.norm(plain, axis=0))[0].sum(axis=0)
    beta = (9.0 * 6 / float(e @ e) - 9.0) * (1 + 1e-7)
    wgan = Discriminator.quadratic(beta=beta, skip=True) + Generator.linear()
    certificate = verdict(wgan, np.array([[3.0]]), Z=np.column_stack([z, z + step]), normalize="mean")
    assert certificate.status is not Status.INFEASIBLE, str(certificate)


def test_a_violation_within_tolerance_does_not_hide_a_proof_of_infeasibility() -> None:
    wgan = Discriminator.quadratic(beta=1.0 - 1e-8) + Generator.free()
    X, nearly = np.diag([2.0, 1.0]), PlainClaim(np.array([[np.sqrt(3.0 + 1e-8), 0.0]]))
    certificate = verdict(wgan, X, nearly, n_fake=1)
    assert certificate.status is Status.INFEASIBLE
    assert certificate.status is verdict(wgan, X, n_fake=1).status
    above = Discriminator.quadratic(beta=1.0 + 1e-8) + Generator.free()
    claim = PlainClaim(np.array([[np.sqrt(3.0 - 1e-8), 0.0]]), np.eye(2)[:1], np.array([0.5]))
    assert verdict(above, X, claim, n_fake=1).status is Status.CERTIFIED
