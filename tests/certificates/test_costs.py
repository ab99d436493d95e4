"""The yardstick of the relative gap never excuses a gap, however ill-conditioned the noise."""

from __future__ import annotations

import numpy as np
import pytest

from convexwgan.certificates import PlainClaim, Status, certify, gather
from convexwgan.spec.discriminator import Discriminator
from convexwgan.spec.generator import Generator
from convexwgan.spec.regularizer import Regularizer


def orthonormal(n: int, p: int, rng: np.random.Generator) -> np.ndarray:
    return np.linalg.qr(rng.standard_normal((n, p)))[0]


@pytest.mark.parametrize("beta", [2.0, 1.0 - 1e-9, 20.0])
def test_weights_far_from_optimal_are_not_certified_on_ill_conditioned_noise(
    rng: np.random.Generator, beta: float
) -> None:
    Z, X = orthonormal(50, 3, rng) * [1.0, 1.0, 1e-10], orthonormal(40, 3, rng) * [3.0, 2.0, 1.0]
    wgan = Discriminator.quadratic(beta=beta) + Generator.linear() + Regularizer.weights(1.0)
    W = np.diag(np.sqrt(np.maximum(np.array([9.0, 4.0, 1.0]) - beta, 0.0)) / [1.0, 1.0, 1e-10])
    good = certify(gather(wgan, X, Z=Z), PlainClaim(W), tol=1e-6, repair=False).certificate
    W[2, 0] += 30.0 + 3.0 * W[2, 2]
    bad = certify(gather(wgan, X, Z=Z), PlainClaim(W), tol=1e-6, repair=False).certificate
    assert bad.upper > good.upper * 2
    assert bad.status is not Status.CERTIFIED, str(bad)
    if beta > 1.0:
        assert good.status is Status.CERTIFIED, str(good)


def test_nearly_duplicate_noise_columns_do_not_excuse_a_gap(rng: np.random.Generator) -> None:
    Z, X = orthonormal(50, 3, rng), orthonormal(40, 2, rng) * [3.0, 2.0]
    Z[:, 2] = Z[:, 0] + 1e-9 * Z[:, 2]
    wgan = Discriminator.quadratic(beta=2.0) + Generator.linear() + Regularizer.weights(1.0)
    W = np.zeros((3, 2))
    W[0, 0], W[1, 1] = np.sqrt(7.0), np.sqrt(2.0)
    W[:, 0] += 1e3 * np.array([1.0, 0.0, -1.0])
    certificate = certify(gather(wgan, X, Z=Z), PlainClaim(W), tol=1e-6, repair=False).certificate
    assert certificate.violation < 1e-4
    assert certificate.status is not Status.CERTIFIED


@pytest.mark.parametrize(
    "wgan",
    [
        Discriminator.polynomial(1.0, 0.01, 0.0, beta=300.0) + Generator.linear(),
        Discriminator.linear(beta=300.0) + Generator.linear(),
        Discriminator.linear(beta=300.0) + Generator.linear() + Regularizer.weights(1.0),
        Discriminator.linear(beta=300.0) + Generator.linear() + Regularizer.norm(2.0),
        Discriminator.linear(beta=300.0) + Generator.linear() + Regularizer.norm(2.0, of="weights"),
    ],
    ids=str,
)
def test_a_costly_generator_is_not_certified_where_none_is_needed(rng: np.random.Generator, wgan: object) -> None:
    """β_d exceeds dist at G = 0, and 1/ρ ~ 1e14 is no reason to take a cost for nothing."""
    Z = rng.standard_normal((60, 2)).astype(np.float32)
    Z = (Z - Z.mean(axis=0)).astype(np.float64)
    X = rng.standard_normal((60, 2)) + np.array([1.0, 0.5])
    evidence = gather(wgan, X, Z=Z)  # type: ignore[arg-type]
    assert evidence.latents.rho < 1e-12
    claim = PlainClaim(1e-2 * np.eye(2))
    certificate = certify(evidence, claim, tol=1e-6, repair=False).certificate
    assert (certificate.lower, certificate.violation) == (0.0, 0.0)
    assert certificate.status is Status.BRACKETED, str(certificate)
    assert certify(evidence, PlainClaim(np.zeros((2, 2))), tol=1e-6).certificate.status is Status.CERTIFIED
