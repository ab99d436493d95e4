"""Lower bounds on a game of sampled outputs: the population game's discriminator, and semidefinite multipliers."""

from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np

from convexwgan.arrays import Float64, to_numpy64
from convexwgan.geometry.relu_planes import lifted, quadratic_maxima
from convexwgan.geometry.relu_sums import relu_sum, sphere_maxima
from convexwgan.geometry.zonotopes import farthest_vertex
from convexwgan.solvers.population.sides import best_scaled
from convexwgan.solvers.population.solve import solve_population
from convexwgan.solvers.run import Limits
from convexwgan.spec.generator import Generator
from convexwgan.spec.regularizer import Regularizer
from convexwgan.spec.wgan import WGAN
from convexwgan.theory.candidate import Candidate
from convexwgan.theory.data import GameData
from convexwgan.theory.forms import Form, Stage

logger = logging.getLogger("convexwgan")

_SHARE = 0.4
"""Of the time limit, for the lower bound."""
_FEW_CELLS = 20_000
_BIASED, _FEW = 5e-3, 8
"""With a bias and more samples the exchange is slow, and the gap to finitely many outputs is wider than this."""


def relaxed(data: GameData) -> GameData:
    """The free game that costs no more: (β_g/2)‖W‖² ≥ (β_g/2)‖G‖²/σ_max(Z)², and every G is a measure."""
    strength = data.wgan.regularizer.strength
    if data.wgan.regularizer.of == "weights":
        size = float(np.linalg.norm(to_numpy64(data.features), 2))
        strength = strength / (data.fake_weight * size**2) if size > 0.0 else strength
    wgan = WGAN(data.wgan.players[0], Generator.free(), Regularizer.output(strength))
    return GameData(wgan, data.X, None, None, data.n_fake, data.normalize)


def measure_candidate(data: GameData, limits: Limits) -> tuple[Candidate, float]:
    """The population game's measure and discriminator for ``relaxed(data)``, and what the discriminator proves."""
    game = relaxed(data)
    bias, rank = game.wgan.players[0].bias, len(data.spectrum[0])
    tol = 1e-7 if rank < 3 else 1e-4
    if bias:
        tol = 1e-6 if data.n_real <= _FEW else _BIASED
    share = None if limits.time_limit is None else _SHARE * limits.time_limit
    part = replace(limits, time_limit=share, max_iter=None, tol=max(tol, min(limits.tol, 1e-7)), options=None)
    found = solve_population(Form(Stage.MEASURE_GAME, game.wgan, game.normalize), game, part)
    lower = proven(found, game)
    logger.debug("population bound %.9g", lower)
    return found, lower


def proven(candidate: Candidate, data: GameData) -> float:
    """What the discriminator proves, as the certificate will: s⟨v,h_X⟩ − sβ_d‖v‖₁ − price of sv, at the best s."""
    if candidate.neurons is None or len(candidate.neurons.v) == 0:
        return 0.0
    u, v = to_numpy64(candidate.neurons.u), to_numpy64(candidate.neurons.v)
    X, bias = to_numpy64(data.X), data.wgan.players[0].bias
    variation, strength = float(np.abs(v).sum()), data.wgan.regularizer.strength
    is_penalty = data.wgan.players[0].norm_bound
    most = 1.0 / variation if is_penalty and variation > 0.0 else np.inf
    gain = float(v @ relu_sum(lifted(X) if bias else X, np.full(len(X), data.real_weight), u))
    gain -= 0.0 if is_penalty else data.beta * variation
    if not bias:
        top = max(float(sphere_maxima(u, v).values[0]), 0.0)
        return best_scaled(gain, data.mass_fake * top**2 / strength, most)
    s = min(1.0, most)
    return max(s * gain - data.mass_fake * float(quadratic_maxima(u, s * v, strength).values[0]), 0.0)


def in_units(candidate: Candidate, basis: Float64, length: float) -> Float64 | None:
    """The measure's table [atoms | probabilities] in coordinates of the range and units of length."""
    if candidate.weights is None:
        return None
    table = to_numpy64(candidate.weights)
    return np.column_stack([table[:, :-1] @ basis / length, table[:, -1]])


def moment_table(data: GameData, basis: Float64, length: float) -> tuple[Float64, float] | None:
    """Multipliers [u | μ τ λ ν] of the semidefinite bound in the user's units, and the program's value.

    S stands for w_fGᵀG, or WᵀW where the weights are paid for. In units X' = X/L, h' = h/(NL) and c = 1 the objective
    is (β_g/2)(NL/c)² tr S̄; τ = NLτ̄, μ = μ̄V/(NL)², λ = λ̄V/(NL) and ν alike, V the unit of the value.

    Returns:
        None where every output is reachable: then the population game proves as much.
    """
    from convexwgan.solvers.conic.zonotope_moments import moment_multipliers

    if data.is_free or data.features is None:
        return None
    shape = _shape(data)
    if shape is None:
        return None
    rho, c = shape
    rows, mass = to_numpy64(data.X) @ basis / length, data.real_weight * data.n_real
    unit, bias, beta = mass * length, data.wgan.players[0].bias, data.beta
    is_penalty = data.wgan.players[0].norm_bound
    price = 0.5 * data.wgan.regularizer.strength * unit**2 / c**2
    found = moment_multipliers(
        rows,
        1.0 / data.n_real,
        beta=None if is_penalty else beta / unit,
        rho=rho / c**2,
        kappa=price / unit,
        mean_factor=1.0 if bias else 2.0,
    )
    if found is None:
        return None
    value = unit if is_penalty else price
    r = rows.shape[1]
    u, (mu, tau, lam, nu) = found.table[:, :r] @ basis.T, found.table[:, r:].T
    table = np.column_stack([u, mu * value / unit**2, tau * unit, lam * value / unit, nu * value / unit])
    return table, max(found.value * value * (1.0 - 1e-6), 0.0)


def _shape(data: GameData) -> tuple[float, float] | None:
    """(ρ, c) of the noise; None for noise that is zero. The certificate computes its own."""
    Z = to_numpy64(data.features)
    weight = data.fake_weight
    if not Z.any():
        return None
    if data.wgan.regularizer.of != "weights":
        Q, s, _ = np.linalg.svd(Z, full_matrices=False)
        Z, weight = Q[:, s > 1e-10 * s[0]], np.sqrt(weight)
    mean = float(np.linalg.norm(weight * Z.sum(axis=0)))
    c = weight * farthest_vertex(np.concatenate([Z, -Z]), max_cells=_FEW_CELLS).upper
    return max(mean**2, 1e-14 * c**2), c
