"""What a generator attains: its output moments, dist by its definition, its cost and its violation."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from convexwgan.arrays import Float64
from convexwgan.certificates.certificate import Check
from convexwgan.certificates.costs import generator_cost
from convexwgan.certificates.latents import EPS
from convexwgan.certificates.moments import GameEvidence
from convexwgan.geometry.distances import Distance, linear_distance, polynomial_distance, quadratic_distance


@dataclass(frozen=True, eq=False)
class Attained:
    """Weights W with output moments (S, s), dist, skip residual ‖m − s‖, value and violation."""

    W: Float64
    S: Float64
    s: Float64
    dist: float
    residual: float
    value: float
    violation: float
    checks: tuple[Check, ...] = ()


def attain(evidence: GameEvidence, W: Float64, cost: float | None = None) -> Attained:
    """dist, value and violation of weights W, shape (p, d), recomputed from the features and the data.

    The value is R_g under weight decay and R_g + dist under a norm bound: an upper bound on the optimum, up
    to ``violation``. dist is not rounded up: its rounding error, a few eps·‖M‖, is part of the violation that
    the tolerance covers. ``cost``: R_g where the weights of a ReLU network are what is paid for.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        S, s = evidence.latents.output_moments(W)
        finite = bool(np.isfinite(S).all() and np.isfinite(s).all())
        if not finite:
            overflow = Check("the output is finite", False, "it overflows float64")
            return Attained(W, S, s, math.inf, math.inf, math.inf, math.inf, (overflow,))
        dist, checks = _dist(evidence, S, s)
        cost = generator_cost(evidence, W, S) if cost is None else cost
    residual = float(np.linalg.norm(evidence.real.m - s)) if evidence.discriminator.skip else 0.0
    value = cost + dist if evidence.beta is None else cost
    value = math.inf if math.isnan(value) else value
    return Attained(W, S, s, dist, residual, value, _violation(evidence, dist, residual), checks)


def best_response(evidence: GameEvidence, W: Float64) -> Distance:
    """dist with the neuron that attains it: the best response of the discriminator to weights W."""
    S, s = evidence.latents.output_moments(W)
    real, kind = evidence.real, evidence.discriminator.kind
    if kind == "linear":
        return linear_distance(real.m, s)
    if kind == "quadratic":
        return quadratic_distance(real.M, S)
    return polynomial_distance(real.M, S, real.m, s, evidence.mass_gap, evidence.discriminator.activation)


def _dist(evidence: GameEvidence, S: Float64, s: Float64) -> tuple[float, tuple[Check, ...]]:
    real, kind = evidence.real, evidence.discriminator.kind
    if kind == "linear":
        return float(np.linalg.norm(real.m - s)), ()
    if kind == "quadratic":
        eigenvalues = np.linalg.eigvalsh(real.M - S)
        return max(float(eigenvalues[-1]), -float(eigenvalues[0])), ()
    return _polynomial_dist(evidence, S, s)


def _polynomial_dist(evidence: GameEvidence, S: Float64, s: Float64) -> tuple[float, tuple[Check, ...]]:
    """The S-lemma's upper bound at the proposed multipliers; the proposed neuron must reach it from below."""
    real, (a, b, c) = evidence.real, evidence.discriminator.activation
    proposed = polynomial_distance(real.M, S, real.m, s, evidence.mass_gap, (a, b, c))
    D, g, kappa = a * (real.M - S), b * (real.m - s), c * evidence.mass_gap
    w, V = np.linalg.eigh(D)
    upper = max(
        ball_upper_bound(sign * w, g @ V, sign * kappa, float(proposed.evidence[name]))
        for sign, name in ((1.0, "multiplier_plus"), (-1.0, "multiplier_minus"))
    )
    u = proposed.u / max(1.0, float(np.linalg.norm(proposed.u)))
    lower = abs(float(u @ D @ u + g @ u) + kappa)
    size = abs(a) * (real.frobenius + float(np.linalg.norm(S))) + float(np.linalg.norm(g)) + abs(kappa)
    agree = upper - lower <= 1e-9 * size + 1e-8 * upper
    text = f"neuron reaches {lower:.12g}, S-lemma proves {upper:.12g}"
    return upper, (Check("dist is bracketed by neuron and S-lemma", bool(agree), text),)


def ball_upper_bound(w: Float64, g: Float64, kappa: float, multiplier: float) -> float:
    """β = κ + λ + ¼Σg_i²/(λ − w_i) ≥ max_{‖u‖≤1} uᵀAu + gᵀu + κ, w the eigenvalues of A, g in its eigenbasis.

    The S-lemma matrix [[λI − A, −g/2], [−gᵀ/2, β − λ − κ]] is PSD at this β for every λ > max(w, 0). Gaps
    are lowered by the eigensolver's error, and a few λ just above the proposed one are tried, since at the
    proposed one a gap may be 0/0 (the hard case). Any λ gives a valid bound: a wrong one only a weak bound.
    """
    size = float(np.abs(w).max()) + float(np.linalg.norm(g)) + abs(kappa)
    if size == 0.0:
        return 0.0
    error = 8.0 * len(w) * EPS * float(np.abs(w).max())
    least = max(multiplier, float(w.max()) + error, 0.0)
    lambdas = least + size * np.concatenate([[0.0], np.logspace(-16, -6, 21)])
    gaps = lambdas[:, None] - w[None, :] - error
    terms = np.full_like(gaps, np.inf)
    np.divide(0.25 * g[None, :] ** 2 + np.zeros_like(gaps), gaps, out=terms, where=gaps > 0)
    terms[(gaps >= 0) & (g[None, :] == 0)] = 0.0
    return float(np.min(kappa + lambdas + terms.sum(axis=1)))


def _violation(evidence: GameEvidence, dist: float, residual: float) -> float:
    """max(0, dist − β_d)/max(β_d, 1e-8‖M‖₂ or 1e-8‖m‖₂), and with skip ‖m − s‖/√(N_r‖M‖_F).

    √(N_r‖M‖_F) ≥ ‖m‖ is how long the first moment of such data can be: relative to ‖m‖ itself the residual of
    centred data would be rounding over rounding.
    """
    real = evidence.real
    relative = residual / real.mean_scale if residual > 0.0 and real.mean_scale > 0.0 else residual
    if evidence.beta is None or dist <= evidence.beta:
        return relative
    if evidence.discriminator.kind == "linear":
        floor = 1e-8 * real.m_norm
    else:  # ‖M‖_F bounds ‖M‖₂, whose eigenvalues are needed only where β_d is tiny
        floor = 0.0 if evidence.beta >= 1e-8 * real.frobenius else 1e-8 * float(real.eigenvalues[0])
    yardstick = max(evidence.beta, floor)
    return max(relative, (dist - evidence.beta) / yardstick) if yardstick > 0.0 else math.inf
