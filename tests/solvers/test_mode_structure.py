"""A ring of eight modes: the ReLU discriminator with bias sees the modes, the quadratic one an ellipse (issue 4)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from convexwgan import Discriminator, Generator, Latent, Problem
from convexwgan.spec.recipes import ring

ANGLE = np.arange(8) * np.pi / 4
CENTRES = 2.0 * np.column_stack([np.cos(ANGLE), np.sin(ANGLE)])
X = ring(16, 8, 2.0, 0.05).X


def shares(points: Any, p: Any) -> Any:
    """Mass within 0.25 of each mode."""
    return p @ (np.linalg.norm(points[:, None] - CENTRES, axis=2) <= 0.25)


def relu_game(beta: float) -> Any:
    pair = Discriminator.relu(bias=True, beta=beta) + Generator.distribution()
    return Problem(pair, X, normalize="mean").solve(tol=1e-3)


def test_relu_with_bias_puts_an_eighth_on_every_mode() -> None:
    solution = relu_game(0.05)
    found = shares(solution.generator.atoms, solution.generator.weights)
    assert solution.status.name == "CERTIFIED"
    assert found.sum() >= 0.99
    assert np.abs(found - 1 / 8).max() <= 0.03


def test_modes_shrink_and_then_collapse_as_beta_grows() -> None:
    games = [relu_game(beta) for beta in (0.3, 0.5, 0.7)]
    radii = [float(np.linalg.norm(g.generator.atoms, axis=1) @ g.generator.weights) for g in games]
    assert all(game.status.name == "CERTIFIED" for game in games)
    assert 1.5 > radii[0] > radii[1] > radii[2]
    assert radii[2] == pytest.approx(0.0, abs=1e-9)
    assert (
        shares(games[0].generator.atoms, games[0].generator.weights).sum() < 1e-3
    )  # the repair mixes a little data in


def test_quadratic_discriminator_certifies_a_cloud_that_misses_the_modes() -> None:
    pair = Discriminator.quadratic(beta=0.01) + Generator.linear()
    solution = Problem(pair, X, Latent.normal(2), normalize="mean").solve()
    points = np.asarray(solution.generator.sample(20_000, rng=3))
    assert solution.status.name == "CERTIFIED"
    assert shares(points, np.full(len(points), 1 / len(points))).sum() < 0.1


def test_quadratic_discriminator_prices_ring_and_cloud_alike() -> None:
    quadratic = Discriminator.quadratic(beta=0.01)
    cloud = Problem(quadratic + Generator.linear(), X, Latent.normal(2), normalize="mean").solve()
    points = Problem(quadratic + Generator.free(), X, n_fake=16, normalize="mean").solve()
    assert cloud.value == pytest.approx(points.value, rel=1e-9)
    np.testing.assert_allclose(cloud.generator.moments.second, points.generator.moments.second, atol=1e-9)
