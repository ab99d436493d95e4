"""Lower bounds on the line: what a discriminator with biases proves about every generator.

For D(t) = Σv_j(u_jt + b_j)₊ with |u_j| ≤ 1 and every output w within dist ≤ β_d

    R_g(w) ≥ R_g(w) + w_rΣD(x_i) − w_fΣD(w_i) − β_dΣ|v_j|
           ≥ w_rΣD(x_i) − β_dΣ|v_j| + n_f min_t (φ(t) − w_fD(t))              R_g(w) = Σφ(w_i)

and φ − w_fD is minimised exactly, piece by piece. A norm bound asks for Σ|v_j| ≤ 1 in place of the β_d term. For
R_g = β_g‖w‖_p the same is done for φ = |t|^p/p and λD, any λ > 0, and the bound on Σ|w_i|^p carried over; for p = ∞
no w with |w_i| ≤ r is feasible while the right-hand side with φ = 0 on [−r, r] is positive.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from convexwgan.arrays import Float64
from convexwgan.certificates.line_games import LineEvidence

_LEAST = -math.inf
Curve = Callable[[Float64], Float64]


@dataclass(frozen=True, eq=False)
class Neurons:
    """D(t) = Σ v_j(u_jt + b_j)₊: u, b, v of shape (k,)."""

    u: Float64
    b: Float64
    v: Float64


@dataclass(frozen=True, eq=False)
class _Pieces:
    """D on its linear pieces: D(t) = slope·t + offset for left ≤ t ≤ right."""

    left: Float64
    right: Float64
    slope: Float64
    offset: Float64

    @classmethod
    def of(cls, D: Neurons) -> _Pieces:
        """Prefix sums over the kinks −b/u, of neurons that look right (u > 0) and left (u < 0)."""
        flat = D.u == 0.0
        u, b, v = D.u[~flat], D.b[~flat], D.v[~flat]
        kinks = -b / u
        order = np.argsort(kinks, kind="stable")
        kinks, u, b, v = kinks[order], u[order], b[order], v[order]
        sums = []
        for values in (v * u, v * b):
            right = np.concatenate([[0.0], np.cumsum(np.where(u > 0.0, values, 0.0))])
            left = np.concatenate([np.cumsum(np.where(u < 0.0, values, 0.0)[::-1])[::-1], [0.0]])
            sums.append(right + left)
        constant = float(D.v[flat] @ np.maximum(D.b[flat], 0.0))
        ends = np.concatenate([[-np.inf], kinks, [np.inf]])
        return cls(ends[:-1], ends[1:], sums[0], sums[1] + constant)


def line_bound(evidence: LineEvidence, D: Neurons, paid: float) -> tuple[float, Neurons]:
    """A proven lower bound, at least 0, and the discriminator that proves it.

    Args:
        evidence: the game.
        D: any discriminator; neurons with |u| > 1 are scaled down, and all of them under a norm bound.
        paid: R_g of some generator, where the factor λ is looked for.
    """
    length = np.maximum(np.abs(D.u), 1.0)
    D = Neurons(D.u / length, D.b / length, D.v)
    if evidence.beta is None:
        D = Neurons(D.u, D.b, D.v / max(1.0, float(np.abs(D.v).sum())))
    if evidence.regularizer.kind == "output":
        strength = evidence.regularizer.strength
        bound = _separable(evidence, D, lambda t: 0.5 * strength * t**2, lambda s: s / strength, 1.0)
    elif evidence.beta is None:
        bound = 0.0
    else:
        bound = _norm_bound(evidence, D, paid)
    if bound > 0.0:
        return bound, D
    return 0.0, Neurons(np.zeros(0), np.zeros(0), np.zeros(0))


def _gain(evidence: LineEvidence, D: Neurons) -> tuple[float, float]:
    """w_rΣD(x_i) − β_dΣ|v_j|, and its rounding error: eps·√n times the sum of the absolute terms, D(w) included."""
    pieces = _Pieces.of(D)
    place = np.searchsorted(pieces.right, evidence.x)
    values = pieces.slope[place] * evidence.x + pieces.offset[place]
    price = (evidence.beta or 0.0) * float(np.abs(D.v).sum())
    reach = float(np.abs(evidence.x).max()) + float(np.abs(D.b).max(initial=0.0))
    terms = 4.0 * evidence.real_weight * len(evidence.x) * float(np.abs(D.v).sum()) * reach + price
    return evidence.real_weight * float(values.sum()) - price, evidence.roundoff * terms


def _separable(evidence: LineEvidence, D: Neurons, phi: Curve, inverse: Curve, scale: float) -> float:
    """scale·gain + n_fw_f min_t (φ(t) − scale·D(t)), φ already divided by w_f; rounded down."""
    gain, rounding = _gain(evidence, D)
    pieces = _Pieces.of(D)
    slopes = scale * pieces.slope
    t = np.clip(inverse(slopes), pieces.left, pieces.right)
    if not np.isfinite(t).all():
        return _LEAST
    mass = evidence.latents.weight * evidence.n_fake
    least = float((phi(t) - slopes * t - scale * pieces.offset).min())
    return scale * (gain - rounding) + mass * least - evidence.roundoff * mass * abs(least)


def _norm_bound(evidence: LineEvidence, D: Neurons, paid: float) -> float:
    """β_g‖w‖_p ≥ β_g(p·A)^{1/p}, A ≤ Σ|w_i|^p/p the separable bound at its best factor; samples of size one."""
    strength, p = evidence.regularizer.strength, evidence.regularizer.p
    unit = max(float(np.abs(evidence.x).max()), evidence.beta or 0.0)
    if unit == 0.0 or not paid > 0.0 or len(D.v) == 0:
        return 0.0
    scaled = LineEvidence(evidence.wgan, evidence.x / unit, evidence.real_weight, evidence.latents)
    scaled.beta = None if evidence.beta is None else evidence.beta / unit
    small = Neurons(D.u, D.b / unit, D.v)
    if math.isinf(p):
        return strength * unit * _largest_refuted(scaled, small)
    weight = evidence.latents.weight

    def power_sum(factor: float) -> float:
        if p == 1.0:
            return _separable(scaled, small, lambda t: np.abs(t) / weight, _towards_zero(weight), factor)
        return _separable(
            scaled,
            small,
            lambda t: np.abs(t) ** p / (p * weight),
            lambda s: np.sign(s) * (weight * np.abs(s)) ** (1.0 / (p - 1.0)),
            factor,
        )

    size = paid / (strength * unit)
    guess = size ** (p - 1.0) / strength if math.isfinite(size) else 1.0 / strength
    best = max(power_sum(guess * factor) for factor in _FACTORS)
    return strength * unit * (p * best) ** (1.0 / p) if best > 0.0 else 0.0


_FACTORS = 1.0 + np.concatenate([[0.0], np.logspace(-12, 0, 13) * 0.5, -np.logspace(-12, 0, 13) * 0.5])


def _towards_zero(weight: float) -> Curve:
    """argmin of |t|/w_f − st over the line: 0, or an end."""

    def inverse(s: Float64) -> Float64:
        return np.asarray(np.where(np.abs(s) * weight <= 1.0, 0.0, np.copysign(np.inf, s)))

    return inverse


def _largest_refuted(evidence: LineEvidence, D: Neurons) -> float:
    """The largest r at which w_rΣD(x) − β_dΣ|v| > n_fw_f max_{|t| ≤ r} D(t), by bisection: no |w_i| ≤ r is feasible."""
    gain, rounding = _gain(evidence, D)
    pieces = _Pieces.of(D)
    mass = evidence.latents.weight * evidence.n_fake

    def is_refuted(r: float) -> bool:
        inside = (pieces.left <= r) & (pieces.right >= -r)
        ends = np.stack([np.clip(pieces.left, -r, r), np.clip(pieces.right, -r, r)])
        highest = float((pieces.slope * ends + pieces.offset)[:, inside].max())
        return gain - rounding > mass * highest + evidence.roundoff * mass * abs(highest)

    low, high = 0.0, float(np.abs(evidence.x).max())
    if not is_refuted(low):
        return 0.0
    if is_refuted(high):  # then it is the data that D refutes, and D is no proof of anything
        return 0.0
    for _ in range(200):
        middle = 0.5 * (low + high)
        if not low < middle < high:
            break
        low, high = (middle, high) if is_refuted(middle) else (low, middle)
    return low
