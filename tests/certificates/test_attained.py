"""dist by its definition, from both sides, and the violation that follows from it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from convexwgan.certificates import PlainClaim, attain, best_response, certify, gather
from convexwgan.certificates.attained import ball_upper_bound
from convexwgan.spec.discriminator import Discriminator
from convexwgan.spec.generator import Generator

DISCRIMINATORS = [
    Discriminator.linear(beta=1.0),
    Discriminator.quadratic(beta=1.0),
    Discriminator.polynomial(1.0, 0.5, 0.3, beta=1.0),
    Discriminator.polynomial(-2.0, 3.0, 0.1, beta=1.0),
    Discriminator.polynomial(0.0, 1.0, 1.0, beta=1.0),
]


@pytest.mark.parametrize("discriminator", DISCRIMINATORS, ids=str)
def test_dist_is_reached_by_its_neuron_and_by_no_other(
    witness: Any, rng: np.random.Generator, discriminator: Discriminator
) -> None:
    evidence = gather(discriminator + Generator.linear(), witness.X, Z=witness.Z)
    W = rng.standard_normal((6, 4))
    attained, response = attain(evidence, W), best_response(evidence, W)
    a, b, c = discriminator.activation
    directions = rng.standard_normal((4, 100_000))
    directions /= np.linalg.norm(directions, axis=0)
    directions *= rng.uniform(size=100_000) ** 0.25
    directions = np.column_stack([response.u, directions])

    def total(table: np.ndarray) -> np.ndarray:
        projected = table @ directions
        return (a * projected**2 + b * projected + c).sum(axis=0)

    gains = np.abs(total(witness.X) - total(witness.Z @ W))
    assert gains.max() <= attained.dist * (1 + 1e-12)
    assert gains[0] == pytest.approx(attained.dist, rel=1e-9)
    assert response.value == pytest.approx(attained.dist, rel=1e-9)
    assert all(check.holds for check in attained.checks)


def test_any_multiplier_gives_a_valid_bound_on_the_ball(rng: np.random.Generator) -> None:
    A = rng.standard_normal((3, 3))
    A, g, kappa = A + A.T, rng.standard_normal(3), 0.4
    w, V = np.linalg.eigh(A)
    u = rng.standard_normal((20_000, 3))
    u /= np.maximum(np.linalg.norm(u, axis=1), 1)[:, None]
    best = (np.einsum("ij,jk,ik->i", u, A, u) + u @ g + kappa).max()
    bounds = [ball_upper_bound(w, g @ V, kappa, lam) for lam in (0.0, w[-1], 3.0, 10.0)]
    assert min(bounds) >= best
    assert ball_upper_bound(np.zeros(2), np.zeros(2), 0.0, 0.0) == 0.0


def test_hard_case_of_the_trust_region_is_bracketed() -> None:
    """g ⟂ the top eigenvector of M − S: the multiplier is the eigenvalue itself."""
    X = np.array([[3.0, 0.2], [-3.0, 0.2], [0.0, 0.1], [0.0, 0.1]])  # m along e_2, the top of M along e_1
    wgan = Discriminator.polynomial(1.0, 0.1, 0.0, beta=1.0) + Generator.free()
    attained = attain(gather(wgan, X), np.zeros((4, 2)))
    assert all(check.holds for check in attained.checks)


def test_violation_is_relative_to_beta(witness: Any) -> None:
    wgan = Discriminator.quadratic(beta=2.0) + Generator.linear()
    attained = attain(gather(wgan, witness.X, Z=witness.Z), np.zeros((6, 4)))
    top = np.linalg.eigvalsh(witness.M)[-1]
    assert attained.violation == pytest.approx((top - 2.0) / 2.0)
    tiny = Discriminator.quadratic(beta=1e-12 * top) + Generator.linear()
    floored = attain(gather(tiny, witness.X, Z=witness.Z), np.zeros((6, 4)))
    assert floored.violation == pytest.approx(1e8, rel=1e-6)


def test_norm_bound_has_no_violation_but_the_skip_has(witness: Any) -> None:
    plain = Discriminator.quadratic(norm_bound=True) + Generator.linear()
    assert attain(gather(plain, witness.X, Z=witness.Z), np.zeros((6, 4))).violation == 0.0
    skip = Discriminator.quadratic(norm_bound=True, skip=True) + Generator.linear()
    evidence = gather(skip, witness.X, Z=witness.Z)
    attained = attain(evidence, np.zeros((6, 4)))
    assert attained.violation == pytest.approx(np.linalg.norm(witness.m) / evidence.real.mean_scale)


def test_zero_data_are_matched_by_nothing_at_all() -> None:
    for discriminator in DISCRIMINATORS[:4]:
        evidence = gather(discriminator + Generator.free(), np.zeros((3, 2)))
        certificate = certify(evidence, PlainClaim(np.zeros((3, 2))), tol=1e-6).certificate
        assert certificate.status.name == "CERTIFIED"
        assert (certificate.lower, certificate.upper) == (0.0, 0.0)
