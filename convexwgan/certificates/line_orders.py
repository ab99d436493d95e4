"""Bounds from multipliers of the integrated quantile constraints: tight for every number of outputs.

The game does not see the order of w, so that w may be sorted. With Q_w(t) = ∫_0^t q_w and U_w(t) = Q_w(1) − Q_w(t),
dist ≥ |Q_w − Q_x|, |U_w − U_x| at every t, and for multipliers μ (Q) and ν (U) of any sign at the shares t

    R_g(w) ≥ R_g(w) + ⟨g, w⟩ − Σμ_tQ_x(t) − Σν_tU_x(t) − β_d(‖μ‖₁ + ‖ν‖₁),     ⟨g, w⟩ = Σμ_tQ_w(t) + Σν_tU_w(t)

On sorted w, −⟨g, w⟩ ≤ ⟨h, w⟩ for the isotonic regression h of −g: R_g(w) − ⟨h, w⟩ ≥ −‖h‖²/(2β_gw_f) is left for the
output cost, and ≥ 0 for β_g‖w‖_p where ‖h‖_q ≤ β_g; a custom cost that no order of w changes leaves −R_g*(h). A norm
bound asks for ‖μ‖₁ + ‖ν‖₁ ≤ 1 in place of the β_d term.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from convexwgan.arrays import Float64
from convexwgan.certificates.bounds import scale_grid
from convexwgan.certificates.certificate import Infeasibility
from convexwgan.certificates.costs import conjugate_cost, dual_exponent, vector_norm
from convexwgan.certificates.line_games import LineEvidence
from convexwgan.geometry.majorization import bottom_sums


@dataclass(frozen=True, eq=False)
class _Read:
    """gain = −Σμ Q_x − Σν U_x − β_d(‖μ‖₁ + ‖ν‖₁), its rounding, and h, the isotonic regression of −g."""

    gain: float
    rounding: float
    h: Float64
    variation: float


def multiplier_shape(evidence: LineEvidence) -> tuple[int, int]:
    """(T, 2): one row for each share, μ and ν as columns."""
    return len(_shares(evidence)), 2


def sorted_bound(evidence: LineEvidence, M: Float64) -> float:
    """The bound that multipliers (μ, ν), shape (T, 2), prove; at least 0, for a custom cost −inf.

    They are scaled to what a norm or a norm bound allows first.
    """
    read = _read(evidence, M)
    regularizer = evidence.regularizer
    scale = 1.0 if evidence.beta is not None else 1.0 / max(1.0, read.variation)
    if regularizer.kind == "output":
        stiffness = regularizer.strength * evidence.latents.weight
        cost = scale**2 * float(read.h @ read.h) / (2.0 * stiffness)
        return max(0.0, scale * (read.gain - read.rounding) - cost * (1.0 + evidence.roundoff))
    if regularizer.kind == "custom":
        return _conjugate_bound(evidence, read, scale)
    size = vector_norm(read.h, dual_exponent(regularizer.p)) * (1.0 + evidence.roundoff)
    scale = min(scale, regularizer.strength / size) if size > 0.0 else scale
    return max(0.0, scale * (read.gain - read.rounding))


def _conjugate_bound(evidence: LineEvidence, read: _Read, most: float) -> float:
    """max over factors c ≤ most of c·gain − R_g*(ch), with the user's conjugate."""
    if evidence.regularizer.conjugate is None:
        return -math.inf
    bounds = []
    for c in scale_grid(0.0, most):
        price = conjugate_cost(evidence.regularizer, c * read.h[:, None])
        rounding = c * read.rounding + evidence.roundoff * abs(price) if math.isfinite(price) else 0.0
        bounds.append(c * read.gain - price - rounding)
    return max(bounds)


def sorted_infeasibility(evidence: LineEvidence, M: Float64) -> Infeasibility | None:
    """A proof that no w is within β_d: gain > ⟨h, w⟩ for all of them, since dist ≤ β_d bounds every |w_i|."""
    if evidence.beta is None:
        return None
    read = _read(evidence, M)
    largest = (evidence.size + evidence.beta) / evidence.latents.weight
    margin = read.gain - float(np.abs(read.h).sum()) * largest
    if not margin > read.rounding:
        return None
    least = evidence.beta + margin / read.variation
    text = (
        f"{evidence.n_fake} outputs have dist ≥ {least:.6g} > β_d = {evidence.beta:.6g} (multipliers of the quantiles)"
    )
    return Infeasibility("ray", text, margin, read.rounding)


def _shares(evidence: LineEvidence) -> Float64:
    """t = k/n_r and k/n_f in (0, 1]: between them Q_w − Q_x is linear."""
    n, m = len(evidence.x), evidence.n_fake
    common = math.lcm(n, m)
    return np.union1d(np.arange(1, n + 1) * (common // n), np.arange(1, m + 1) * (common // m)) / common


def _read(evidence: LineEvidence, M: Float64) -> _Read:
    from scipy.optimize import isotonic_regression

    t, n, m = _shares(evidence), len(evidence.x), evidence.n_fake
    mu, nu = M[:, 0], M[:, 1]
    Q = evidence.real_weight * np.interp(t, np.arange(n + 1) / n, bottom_sums(evidence.x))
    variation = float(np.abs(M).sum())
    gain = -float(mu @ Q + nu @ (Q[-1] - Q)) - (evidence.beta or 0.0) * variation
    terms = variation * (2.0 * evidence.size + (evidence.beta or 0.0))
    # Q_w(t) is the sum over j of the part of (j/m, (j+1)/m) below t, times w_fm w_j.
    g = np.full(m, evidence.latents.weight * float(nu.sum()))
    full = np.minimum((t * m * (1.0 + 1e-15)).astype(np.int64), m)
    part = np.clip(t * m - full, 0.0, 1.0)
    below = np.zeros(m + 1)
    np.add.at(below, full, mu - nu)
    g += evidence.latents.weight * (below[::-1].cumsum()[::-1][1:])
    inside = full < m
    np.add.at(g, full[inside], evidence.latents.weight * ((mu - nu) * part)[inside])
    h = np.asarray(isotonic_regression(-g).x, dtype=np.float64)
    return _Read(gain, 8.0 * evidence.roundoff * terms, h, variation)
