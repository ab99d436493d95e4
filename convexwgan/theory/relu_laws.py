"""Weak duality of games with ReLU discriminators, by their definition: sums over samples, no moments."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from convexwgan.arrays import Float64, to_numpy64
from convexwgan.geometry.relu_distances import relu_distance
from convexwgan.theory.candidate import Neurons
from convexwgan.theory.data import GameData

RIVALS = 20


def broken_law(data: GameData, solution: Any, slack: float) -> str | None:
    """Which inequality of bound ≤ L(D*, G), L(D, G*) ≤ value a solution breaks against random rivals, or None.

        L(D, G) = w_rΣD(x_i) − w_fΣD(g_i) + R_g(G) − β_dΣ|v_j|,   D(x) = Σσ(xᵀu_j + b_j)v_j

    Args:
        data: the game. solution: with an output. slack: rounding and tolerance.
    """
    X, G, rng = to_numpy64(data.X), to_numpy64(solution.generator.output), np.random.default_rng(0)
    rivals = [_random(data, weight, rng) for weight in (0.0, *rng.uniform(0.0, 1.0, RIVALS))]
    for rival in rivals + _best_responses(data, X, G):
        if not _payoff(data, X, G, rival) <= solution.value + slack:
            return "L(D, G*) ≤ value for every D"
    if solution.discriminator is None:
        return None
    adversary = solution.discriminator
    optimal = Neurons(adversary.u, adversary.v, None, adversary.b)
    size = float(np.abs(G).max(initial=0.0) or np.abs(X).max(initial=0.0) or 1.0)
    for factor in (0.0, *10.0 ** rng.uniform(-6.0, 0.5, RIVALS)):
        other = G + factor * size * rng.standard_normal(G.shape)
        if not solution.bound <= _payoff(data, X, other, optimal) + slack:
            return "bound ≤ L(D*, G) for every G"
    return None


def _payoff(data: GameData, X: Float64, G: Float64, neurons: Neurons) -> float:
    u, v = to_numpy64(neurons.u), to_numpy64(neurons.v)
    b = np.zeros(len(v)) if neurons.b is None else to_numpy64(neurons.b)
    real, fake = (np.maximum(A @ u.T + b, 0.0).sum(axis=0) for A in (X, G))
    price = 0.0 if math.isinf(data.beta) else data.beta * float(np.abs(v).sum())
    return float(v @ (data.real_weight * real - data.fake_weight * fake)) - price + _cost(data, G)


def _cost(data: GameData, G: Float64) -> float:
    regularizer = data.wgan.regularizer
    if regularizer.kind == "output":
        return 0.5 * regularizer.strength * data.fake_weight * float(np.sum(G**2))
    return regularizer.strength * float(np.linalg.norm(G.ravel(), regularizer.p))


def _random(data: GameData, weight: float, rng: np.random.Generator) -> Neurons:
    """Three neurons in the unit ball with Σ|v_j| = weight."""
    u = rng.standard_normal((3, data.dim))
    u *= rng.uniform(0.2, 1.0, (3, 1)) / np.linalg.norm(u, axis=1, keepdims=True)
    v = rng.standard_normal(3)
    b = rng.standard_normal(3) * float(np.abs(to_numpy64(data.X)).max()) if data.wgan.players[0].bias else None
    return Neurons(u, weight * v / np.abs(v).sum(), None, b)


def _best_responses(data: GameData, X: Float64, G: Float64) -> list[Neurons]:
    """The neuron that attains dist_D(X, G), with v = 1 and v = −1."""
    found = relu_distance(
        X,
        G,
        bias=data.wgan.players[0].bias,
        real_weights=np.full(len(X), data.real_weight),
        fake_weights=np.full(len(G), data.fake_weight),
    )
    b = None if found.b is None else np.array([found.b])
    return [Neurons(found.u[None, :], np.array([sign]), None, b) for sign in (1.0, -1.0)]
