"""The judge of Gaussian noise: its bounds against dense grids and hand computations, and what it must not believe."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from convexwgan.certificates import PlainClaim, certify
from convexwgan.certificates.normal_games import (
    gather_normal,
    normal_bound,
    normal_distance_bound,
    normal_ray,
)
from convexwgan.certificates.relu_upper import sphere_upper
from convexwgan.geometry.normal_distances import NORMAL_MEAN, normal_maxima, normal_support
from convexwgan.geometry.relu_sums import relu_sum
from convexwgan.spec.discriminator import Discriminator
from convexwgan.spec.generator import Generator
from convexwgan.spec.latent import Latent

Array = np.ndarray[Any, Any]


def game(X: Array, beta: float) -> Any:
    return gather_normal(Discriminator.relu(beta=beta) + Generator.linear(), X, Latent.normal(X.shape[1]))


@pytest.mark.parametrize("d", [2, 3])
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_branch_and_bound_with_a_norm_is_above_every_direction_and_close(d: int, sign: float) -> None:
    rng = np.random.default_rng(d)
    for rank in (0, 1, d):
        X, w = rng.standard_normal((8, d)), np.full(8, 0.125)
        B = rng.standard_normal((rank, d)) * 0.4
        U = rng.standard_normal((20_000, d))
        U /= np.linalg.norm(U, axis=1)[:, None]
        F = sign * (relu_sum(X, w, U) - np.linalg.norm(U @ B.T, axis=1))
        known = float(normal_maxima(X, w, B / NORMAL_MEAN, sign).values[0])
        bound = sphere_upper(X, sign * w, max(known, 0.0), 1e-5, root=B, sign=-sign)
        assert max(float(F.max()), 0.0) <= bound
        assert bound <= max(known, 0.0) + 1e-4


def test_the_proven_distance_is_above_a_dense_grid_in_every_scale() -> None:
    rng = np.random.default_rng(0)
    X, W = rng.standard_normal((10, 2)), rng.standard_normal((2, 2))
    angle = np.linspace(0, 2 * np.pi, 20_000)
    U = np.column_stack([np.cos(angle), np.sin(angle)])
    dense = np.abs(relu_sum(X, np.full(10, 0.1), U) - normal_support(W, U)).max()
    for scale in (1e-6, 1.0, 1e6):
        bound, is_proven = normal_distance_bound(scale * X, scale * W)
        assert is_proven
        assert scale * dense <= bound <= scale * (dense + 1e-3)


def test_multipliers_by_hand_on_one_feature() -> None:
    """x = ±2: h(1) = h(−1) = 1, β = ½: c|w| ≥ ½, value ½·2π/4 = π/4."""
    evidence = game(np.array([[2.0], [-2.0]]), 0.5)
    found = normal_bound(evidence, np.array([[1.0], [-1.0]]), np.array([1.0, 0.3]))
    assert found.value == pytest.approx(math.pi / 4, rel=1e-12)
    assert np.abs(found.v).sum() == pytest.approx(2 * math.pi * 0.5, rel=1e-12)  # −d value/dβ = 2π(1 − β)
    assert normal_bound(evidence, np.array([[1.0]]), np.array([-1.0])).value == 0.0
    assert normal_bound(evidence, np.zeros((0, 1)), np.zeros(0)).value == 0.0


def test_opposite_neurons_along_the_mean_prove_infeasibility_only_beyond_two_beta() -> None:
    X = np.array([[2.0, 1.0], [1.0, 2.0], [2.0, 2.0]])
    m = X.mean(axis=0)
    u = np.stack([m, -m]) / np.linalg.norm(m)
    for share, is_proof in ((0.999, True), (1.001, False)):
        beta = 0.5 * share * float(np.linalg.norm(m))
        h = np.maximum(u @ X.T, 0.0).mean(axis=1)
        v = np.array([2 * (h[0] - beta), -2 * (h[1] + beta)])
        ray = normal_ray(game(X, beta), u, v)
        assert (ray is not None) is is_proof
    assert normal_ray(game(X, 0.4), u, np.array([np.inf, -1.0])) is None


def test_what_is_malformed_or_missing_is_not_certified() -> None:
    X = np.random.default_rng(1).standard_normal((12, 2))
    evidence = game(X, 0.3)
    claims = [
        PlainClaim(),
        PlainClaim(weights="no matrix"),
        PlainClaim(weights=np.eye(3)),
        PlainClaim(weights=np.eye(2), neurons_u=np.eye(2), neurons_v=np.ones(3)),
        PlainClaim(weights=np.eye(2), neurons_u=np.full((1, 2), np.nan), neurons_v=np.ones(1)),
        PlainClaim(weights=1e200 * np.eye(2), neurons_u=np.eye(2), neurons_v=np.ones(2)),
    ]
    for claim in claims:
        assert certify(evidence, claim, tol=1e-6, repair=False).certificate.status.name != "CERTIFIED"
