"""Weak duality of the population game: no discriminator beats the value, no distribution beats the bound."""

from __future__ import annotations

import numpy as np

from convexwgan.arrays import Float64, to_numpy64
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
