"""The optimal discriminator on the line, read off the levels of the generated samples.

Stationarity of min_t φ(t) − D(t), φ the cost of one sample, asks for D' = φ'(ω_q) =: ψ_q around level ω_q: neurons
v = ψ_{q+1} − ψ_q between neighbouring levels, at the bias where both levels attain the same minimum,

    b_q = (ψ_{q+1}ω_{q+1} − φ_{q+1} − ψ_qω_q + φ_q)/(ψ_{q+1} − ψ_q)          ((ω_q + ω_{q+1})/2 for φ = (β_g/2)t²)

They look left, (b − t)₊, or right, (t − b)₊; where the mean is kept, in the proportion that leaves no linear part.
"""

from __future__ import annotations

import math

import numpy as np

from convexwgan.arrays import Float64
from convexwgan.geometry.least_spread import LeastSpread
from convexwgan.spec.regularizer import Regularizer
from convexwgan.spec.user_functions import user_number
from convexwgan.theory.candidate import Neurons
from convexwgan.theory.data import GameData

_JUST_BELOW = 1e-7
_STEP = 6e-6
_DIFFERENCE = 1e-9


def line_neurons(spread: LeastSpread, x: Float64, data: GameData, regularizer: Regularizer | None = None) -> Neurons:
    """D as neurons u = ±1 (k, 1), biases b (k,) and weights v (k,), zero weights left out.

    ``regularizer``: a cost of outputs, the problem's own by default.
    """
    regularizer = data.wgan.regularizer if regularizer is None else regularizer
    levels, sizes = spread.levels, np.asarray(spread.sizes * (data.n_fake / data.n_real), dtype=np.float64)
    psi, phi = _marginal(regularizer, levels, sizes, data.fake_weight)
    steps = np.diff(psi)
    heights = np.diff(psi * levels - phi)
    between = np.divide(heights, steps, out=0.5 * (levels[1:] + levels[:-1]), where=steps > 0.0)
    if math.isinf(regularizer.p):  # no w with |w_i| ≤ r is feasible, r just below the largest level
        between = levels[:-1] * (1.0 - _JUST_BELOW) if psi[0] < 0.0 else levels[1:] * (1.0 - _JUST_BELOW)
    between = np.clip(between, levels[:-1], levels[1:])
    right = _share_looking_right(spread, psi)
    far = float(min(x.min(), 0.0) - np.ptp(x) - np.abs(levels).max())
    slope = psi[0] + (1.0 - right) * steps.sum()  # what is left for a neuron that is active everywhere
    slope = 0.0 if abs(slope) <= 1e-14 * float(np.abs(psi).max(initial=0.0)) else slope
    u = np.concatenate([-np.ones(len(steps)), np.ones(len(steps)), [1.0]])
    b = np.concatenate([between, -between, [-far]])
    v = np.concatenate([(1.0 - right) * steps, right * steps, [slope]])
    keep = v != 0.0
    return Neurons(u=u[keep][:, None], v=v[keep], b=b[keep])


def custom_multipliers(spread: LeastSpread, data: GameData) -> Float64:
    """(n_f, 2): prices μ of Q_w and ν of U_w at t = k/n_f whose −g is the gradient of the custom cost at w.

    −g_j = ∂R_g/∂w_j = ψ_q on level q: neighbouring levels are parted by −ν = share·(ψ_{q+1} − ψ_q)/w_f, which lifts
    the outputs above, and μ = (1 − share)·(ψ_{q+1} − ψ_q)/w_f, which lowers those below; t = 1 has what is left.
    """
    copies = data.n_fake // data.n_real
    psi = _custom_gradient(data.wgan.regularizer, spread, copies)
    steps, right = np.diff(psi), _share_looking_right(spread, psi)
    ends = np.cumsum(spread.sizes) * copies - 1
    prices = np.zeros((data.n_fake, 2))
    prices[ends[:-1], 0] = (1.0 - right) * steps
    prices[ends[:-1], 1] = -right * steps
    slope = float(psi[0] + (1.0 - right) * steps.sum())
    prices[-1, 0] = 0.0 if abs(slope) <= _DIFFERENCE * float(np.abs(psi).max(initial=0.0)) else -slope
    return np.asarray(prices / data.fake_weight)


def _custom_gradient(regularizer: Regularizer, spread: LeastSpread, copies: int) -> Float64:
    """∂R_g/∂w_j on each level by central differences of ``value``, the whole level moved, made nondecreasing.

    At a kink of R_g that is the middle of its two slopes.
    """
    from scipy.optimize import isotonic_regression

    assert regularizer.value is not None
    sizes = np.asarray(spread.sizes * copies, dtype=np.int64)
    place, psi = np.cumsum(sizes) - sizes, np.zeros(len(sizes))
    w = np.repeat(spread.w, copies)[:, None]
    step = _STEP * (float(np.abs(w).max(initial=0.0)) or 1.0)
    for q, (first, size) in enumerate(zip(place, sizes, strict=True)):
        ends = []
        for sign in (1.0, -1.0):
            moved = w.copy()
            moved[first : first + size] += sign * step
            ends.append(user_number("value", regularizer.value, moved))
        psi[q] = (ends[0] - ends[1]) / (2.0 * step * size)
    return np.asarray(isotonic_regression(psi, weights=sizes.astype(np.float64)).x, dtype=np.float64)


def _share_looking_right(spread: LeastSpread, psi: Float64) -> float:
    """1 and 0 where Σw was moved down or up, else the share at which the neurons' slopes leave no linear part."""
    if spread.shift != 0.0:
        return 1.0 if spread.shift < 0.0 else 0.0
    spanned = float(psi[-1] - psi[0])
    return float(np.clip(psi[-1] / spanned, 0.0, 1.0)) if spanned > 0.0 else 0.0


def _marginal(regularizer: Regularizer, levels: Float64, sizes: Float64, fake_weight: float) -> tuple[Float64, Float64]:
    """ψ = ∂R_g/∂w at each level and φ with φ' = ψ, both divided by the weight of a generated sample."""
    strength = regularizer.strength
    if regularizer.kind == "output":
        return strength * levels, 0.5 * strength * levels**2
    largest = float(np.abs(levels).max())
    if largest == 0.0:
        return np.zeros_like(levels), np.zeros_like(levels)
    relative, p = np.abs(levels) / largest, regularizer.p
    if math.isinf(p):  # one extreme level pays for all
        top = int(np.argmax(relative))
        psi = np.where(np.arange(len(levels)) == top, np.sign(levels) / sizes[top], 0.0)
        return strength / fake_weight * psi, np.zeros_like(psi)
    unit = strength / fake_weight * float(sizes @ relative**p) ** (1.0 / p - 1.0)
    return unit * np.sign(levels) * relative ** (p - 1.0), unit * largest * relative**p / p
