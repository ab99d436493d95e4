"""Quadratic discriminator × ReLU generator × weights: the network of the cheapest factor (MATH 3.8)."""

from __future__ import annotations

import math

import numpy as np

from convexwgan.arrays import Float64, to_numpy64
from convexwgan.geometry.spectra import singular_value_threshold
from convexwgan.solvers.cheapest_factor import cheapest_factor
from convexwgan.solvers.run import Limits
from convexwgan.solvers.weights import Callback
from convexwgan.theory.candidate import Candidate, MomentPoint
from convexwgan.theory.data import GameData
from convexwgan.theory.forms import Form
from convexwgan.theory.relu_factor import factored_output


def solve_joint_weights(form: Form, data: GameData, limits: Limits, callback: Callback | None = None) -> Candidate:
    """min (β_g/2)(‖W₁‖² + ‖W₂‖²) over networks with S = (M − t)₊, from the latent factor and others; t by the theorem.

    A time limit goes to the networks and the factor in thirds; the bounds are the certificate's.
    """
    values, vectors = data.spectrum
    N, strength = to_numpy64(data.network_input), form.regularizer.strength
    t = _level(to_numpy64(values), strength, N, data) if form.discriminator.norm_bound else data.beta
    variances = singular_value_threshold(values, t)
    k = min(int((to_numpy64(variances) > 0).sum()), data.rank)
    infeasible = None
    if not form.discriminator.norm_bound and float(to_numpy64(values)[k:].max(initial=0.0)) > data.beta:
        infeasible = f"the output has rank ≤ {data.rank}, which leaves an eigenvalue above β_d = {data.beta:.6g} (Weyl)"
    point = MomentPoint(vectors[:, :k], variances[:k])
    G = to_numpy64(factored_output(point, data))
    _, found = cheapest_factor(N, G, limits, callback=_in_game_units(callback, strength), with_bound=False)
    stats = {**found.stats, "components": k, "threshold": t, "neurons": len(found.neurons.u)}
    hidden = found.neurons.weights()
    return Candidate(hidden=hidden, infeasible=infeasible, stopped=found.stopped, stats=stats)


def _level(values: Float64, strength: float, N: Float64, data: GameData) -> float:
    """The t of {0, σ_i²} that minimises t + (β_g/ℓ)Σ((σ_i² − t)₊/w)^½, as far as the rank goes; ℓ = ‖N‖₂."""
    price = strength / max(float(np.linalg.norm(N, 2)) * math.sqrt(data.fake_weight), 1e-300)
    levels = np.append(np.maximum(values, 0.0), 0.0)
    levels = levels[levels >= (values[data.rank] if data.rank < len(values) else 0.0)]
    costs = levels + price * np.sqrt(np.maximum(values[None, :] - levels[:, None], 0.0)).sum(axis=1)
    return float(levels[int(costs.argmin())])


def _in_game_units(callback: Callback | None, strength: float) -> Callback | None:
    """The reports of the weight problem times β_g; its lower bounds are for one output and say nothing of the game."""
    if callback is None:
        return None
    return lambda line: callback({**line, "lower": 0.0, "upper": strength * line["upper"], "of": "weights"})
