"""Weak duality of the population games: no discriminator beats the value, no generator beats the bound."""

from __future__ import annotations

from typing import Any

import numpy as np

from convexwgan.arrays import Float64, to_numpy64
from convexwgan.geometry.normal_distances import normal_distance, normal_support
from convexwgan.geometry.relu_sums import relu_sum
from convexwgan.theory.data import GameData

RIVALS = 8


def measure_payoff(data: GameData, atoms: Float64, p: Float64, neurons: Float64, v: Float64) -> float:
    """L(D, ν) = ⟨v, h_X − h_ν⟩ − β_d‖v‖₁ + (β_g/2)N_f Σp_k‖g_k‖² for neurons (u [, b]) as rows.

    >>> from convexwgan.spec.discriminator import Discriminator
    >>> from convexwgan.spec.generator import Generator
    >>> pair = Discriminator.relu(beta=1.0) + Generator.distribution()
    >>> data = GameData(pair, np.eye(1), None, None, 1, "sum")
    >>> measure_payoff(data, np.zeros((1, 1)), np.ones(1), np.eye(1), np.array([2.0]))
    0.0
    """
    X, w = to_numpy64(data.X), np.full(data.n_real, data.real_weight)
    G, masses = atoms, data.mass_fake * p
    if data.wgan.players[0].bias:
        X, G = (np.column_stack([rows, np.ones(len(rows))]) for rows in (X, atoms))
    earned = float(v @ (relu_sum(X, w, neurons) - relu_sum(G, masses, neurons)))
    beta = data.wgan.players[0].beta or 0.0
    cost = 0.5 * data.wgan.regularizer.strength * float(masses @ np.einsum("ij,ij->i", atoms, atoms))
    return earned - beta * float(np.abs(v).sum()) + cost


def rival_neurons(data: GameData, weight: float, rng: np.random.Generator) -> tuple[Float64, Float64]:
    """Three neurons of the unit ball, with biases where the discriminator has them, and Σ|v_j| = weight."""
    u = rng.standard_normal((3, data.dim))
    u /= np.linalg.norm(u, axis=1)[:, None]
    v = rng.standard_normal(3)
    if data.wgan.players[0].bias:
        u = np.column_stack([u, rng.standard_normal(3) * float(np.abs(to_numpy64(data.X)).max())])
    return u, weight * v / np.abs(v).sum()


def rival_measure(atoms: Float64, size: float, rng: np.random.Generator) -> tuple[Float64, Float64]:
    """The atoms moved at random by about ``size`` of their own length, with random probabilities."""
    p = rng.dirichlet(np.ones(len(atoms)))
    return atoms + size * float(np.abs(atoms).max(initial=0.0) or 1.0) * rng.standard_normal(atoms.shape), p


def normal_payoff(data: GameData, W: Float64, u: Float64, v: Float64) -> float:
    """L(D, W) = Σ v_k(h_X(u_k) − c‖Wu_k‖) − β_d‖v‖₁ + (β_g/2)‖W‖_F² for the output Wᵀz, z ~ N(0, I).

    >>> from convexwgan.spec.discriminator import Discriminator
    >>> from convexwgan.spec.generator import Generator
    >>> from convexwgan.spec.latent import Latent
    >>> pair = Discriminator.relu(beta=1.0) + Generator.linear()
    >>> data = GameData(pair, np.eye(1), None, Latent.normal(1), 1, "mean")
    >>> normal_payoff(data, np.zeros((1, 1)), np.eye(1), np.array([2.0]))
    0.0
    """
    h = relu_sum(to_numpy64(data.X), np.full(data.n_real, data.real_weight), u)
    earned = float(v @ (h - normal_support(W, u))) - data.beta * float(np.abs(v).sum())
    return earned + 0.5 * data.wgan.regularizer.strength * float(np.vdot(W, W))


def broken_normal_law(data: GameData, solution: Any, slack: float) -> str | None:
    """What a solution on Gaussian noise breaks, or None: L(D, W*) ≤ value for rivals D, bound ≤ L(D*, W) for rivals W.

    Without a saddle point only the first is asked, and bound ≤ (β_g/2)‖W‖_F² of feasible rivals.
    """
    rng, W = np.random.default_rng(0), to_numpy64(solution.generator.weights)
    neuron = normal_distance(to_numpy64(data.X), W, np.full(data.n_real, data.real_weight)).u[None]
    rivals = [rival_neurons(data, weight, rng) for weight in (0.0, *rng.uniform(0.0, 1.0, RIVALS))]
    for u, v in [*rivals, (neuron, np.ones(1)), (neuron, -np.ones(1))]:
        payoff = normal_payoff(data, W, u, v)
        if not payoff <= solution.value + slack:
            return f"L(D, W*) ≤ value for every D, but {payoff:.12g} > {solution.value:.12g}"
    size = float(np.abs(W).max(initial=0.0)) or 1.0
    adversary = solution.discriminator
    for step in (0.0, *10.0 ** rng.uniform(-6.0, 0.5, RIVALS)):
        other = W + step * size * rng.standard_normal(W.shape)
        if adversary is not None:
            payoff = normal_payoff(data, other, to_numpy64(adversary.u), to_numpy64(adversary.v))
        else:
            payoff = _cost_if_feasible(data, other)
        if not solution.bound <= payoff + slack:
            return f"bound ≤ what every W costs, but {solution.bound:.12g} > {payoff:.12g}"
    return None


def _cost_if_feasible(data: GameData, W: Float64) -> float:
    dist = normal_distance(to_numpy64(data.X), W, np.full(data.n_real, data.real_weight)).value
    return 0.5 * data.wgan.regularizer.strength * float(np.vdot(W, W)) if dist <= data.beta else np.inf
