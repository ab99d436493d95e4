"""An infeasible generator is moved to feasibility, as little as can be proven, in the dtype it is stored in."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from convexwgan.certificates import PlainClaim, Status, certify, gather
from convexwgan.spec.discriminator import Discriminator
from convexwgan.spec.generator import Generator
from convexwgan.spec.regularizer import Regularizer

CASES = {
    "linear": (Discriminator.linear(beta=8.0), "linear"),
    "quadratic": (Discriminator.quadratic(beta=20.0), "quadratic"),
    "skip": (Discriminator.quadratic(beta=20.0, skip=True), "skip"),
}


def case(witness: Any, name: str) -> tuple[Any, PlainClaim]:
    discriminator, solver = CASES[name]
    evidence = gather(discriminator + Generator.linear(), witness.X, Z=witness.Z)
    return evidence, getattr(witness, solver)(discriminator.beta)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("size", [1e-10, 1e-7, 1e-4, 1e-2])
def test_a_perturbed_optimum_is_repaired_at_a_price_of_the_perturbation(
    witness: Any, rng: np.random.Generator, name: str, size: float
) -> None:
    evidence, claim = case(witness, name)
    noise = size * np.linalg.norm(claim.weights) * rng.standard_normal(claim.weights.shape)
    for sign in (1, -1):
        shaken = PlainClaim(claim.weights + sign * noise, claim.neurons_u, claim.neurons_v)
        audit = certify(evidence, shaken, tol=1e-6)
        assert audit.certificate.violation <= 1e-12
        assert audit.certificate.relative_gap <= 60 * size + 1e-10
        assert np.linalg.norm(audit.weights - claim.weights) <= 60 * np.linalg.norm(noise)


@pytest.mark.parametrize("name", CASES)
def test_a_wild_claim_becomes_feasible(witness: Any, rng: np.random.Generator, name: str) -> None:
    evidence, _ = case(witness, name)
    for _ in range(5):
        W = rng.standard_normal((6, 4)) * 10 ** rng.uniform(-3, 2)
        audit = certify(evidence, PlainClaim(W), tol=1e-6)
        assert audit.certificate.violation <= 1e-12
        assert audit.certificate.status is not Status.UNVERIFIED


def test_a_feasible_claim_is_returned_untouched(witness: Any) -> None:
    for name in CASES:
        evidence, claim = case(witness, name)
        audit = certify(evidence, claim, tol=1e-6)
        assert audit.weights is claim.weights
        assert not audit.repaired


@pytest.mark.parametrize("name", CASES)
def test_float32_weights_are_feasible_after_rounding(witness: Any, name: str) -> None:
    evidence, claim = case(witness, name)
    W = np.float32(claim.weights)
    audit = certify(evidence, PlainClaim(W, claim.neurons_u, claim.neurons_v), tol=1e-4)
    assert audit.certificate.status is Status.CERTIFIED
    assert audit.certificate.relative_gap <= 1e-5
    assert audit.certificate.violation <= (1e-6 if name == "skip" else 0.0)
    assert audit.weights.dtype == np.float32


def test_repair_uses_no_more_rank_than_the_noise_has(witness: Any, rng: np.random.Generator) -> None:
    Z = witness.Z[:, :2]
    sigma2 = np.linalg.eigvalsh(witness.M)[::-1]
    wgan = Discriminator.quadratic(beta=1.2 * sigma2[2]) + Generator.linear()
    evidence = gather(wgan, witness.X, Z=Z)
    audit = certify(evidence, PlainClaim(rng.standard_normal((2, 4))), tol=1e-6)
    assert audit.certificate.violation <= 1e-12


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_components_leave_no_room_and_are_certified_all_the_same(witness: Any, dtype: Any) -> None:
    """β_d is the next eigenvalue itself: the repair ends at the closed form, or the claim within tol stays."""
    sigma2, V = np.linalg.eigvalsh(witness.M)[::-1], np.linalg.eigh(witness.M)[1][:, ::-1]
    evidence = gather(Discriminator.quadratic(components=2) + Generator.free(), witness.X, n_fake=2)
    G = np.diag(np.sqrt(sigma2[:2] - sigma2[2])) @ V[:, :2].T * (1 - 1e-8)
    tol = 1e-6 if dtype is np.float64 else 1e-4
    audit = certify(evidence, PlainClaim(G.astype(dtype), V[:, :2].T, np.full(2, 0.5)), tol=tol)
    assert audit.certificate.status is Status.CERTIFIED
    assert audit.weights.dtype == dtype


@pytest.mark.parametrize("coefficients", [(1.0, 0.7, 0.1), (0.0, 1.0, 0.1), (-0.5, 2.0, 0.0)])
@pytest.mark.parametrize("generator", [Generator.free(), Generator.linear()])
def test_polynomial_claims_are_blended_into_feasibility(
    witness: Any, rng: np.random.Generator, coefficients: Any, generator: Generator
) -> None:
    wgan = Discriminator.polynomial(*coefficients, beta=6.0) + generator
    data = {"n_fake": 25} if generator.kind == "free" else {"Z": np.column_stack([witness.Z, np.ones(25)])}
    evidence = gather(wgan, witness.X, **data)
    W = 0.1 * rng.standard_normal((evidence.latents.width, 4))
    audit = certify(evidence, PlainClaim(W), tol=1e-6)
    assert audit.certificate.violation <= 1e-12
    assert audit.repaired


def test_weights_cost_moves_the_mean_in_the_cheapest_direction(witness: Any) -> None:
    wgan = Discriminator.linear(beta=8.0) + Generator.linear() + Regularizer.weights(1.0)
    audit = certify(gather(wgan, witness.X, Z=witness.Z), PlainClaim(np.zeros((6, 4))), tol=1e-6)
    assert audit.certificate.status is Status.CERTIFIED  # from W = 0 the repair is the optimum itself


def test_zero_weights_with_a_skip_are_completed_orthogonally_to_the_mean(witness: Any) -> None:
    evidence, _ = case(witness, "skip")
    audit = certify(evidence, PlainClaim(np.zeros((6, 4))), tol=1e-6)
    assert audit.certificate.violation <= 1e-12
    free = gather(Discriminator.quadratic(beta=20.0, skip=True) + Generator.free(), witness.X, n_fake=12)
    assert certify(free, PlainClaim(np.zeros((12, 4))), tol=1e-6).certificate.violation <= 1e-12


def test_nothing_is_repaired_when_asked_not_to(witness: Any) -> None:
    evidence, claim = case(witness, "quadratic")
    audit = certify(evidence, PlainClaim(0.9 * claim.weights), tol=1e-6, repair=False)
    assert audit.certificate.status is Status.UNVERIFIED
    assert audit.certificate.violation > 1e-3
