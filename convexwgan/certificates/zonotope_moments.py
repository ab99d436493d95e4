"""What second moments prove about zonotopes of outputs on sampled noise: the semidefinite bound of MATH 4, sharpened.

With S = w_fGᵀG, s = w_fGᵀ1 and G = ZW

    S ⪰ ssᵀ/ρ,   2h_G(u) = sᵀu + w_f‖Gu‖₁ ≤ sᵀu + c(uᵀSu)^½,   h_G(u) ≥ sᵀu,   h_G(u) − h_G(−u) = sᵀu

with c = √w_f max ‖v‖₁/‖v‖₂ over the range of Z, at most √N_f and near (2N_f/π)^½ for Gaussian noise of few dimensions.
So dist ≤ β implies, for every u in the unit ball,

    (2(h_X(u) − β) − sᵀu)₊² ≤ c² uᵀSu   [μ, τ],    sᵀu ≤ h_X(u) + β   [λ],    uᵀ(m − s) ≤ 2β   [ν]

(with biases uᵀ(m − s) ≤ β, as b → ∞).
Dual, for any μ, λ, ν ≥ 0, τ ≥ 0, with (t)₊² ≥ 2τt − τ²,  N = κI − c²Σμuuᵀ ⪰ 0 and y = Σ(λ − ν − 2μτ)u:

    R_g ≥ κ tr S ≥ Σμ(4τ(h_X − β) − τ²) − Σλ(h_X + β) + Σν(uᵀm − 2β) − (ρ/4) yᵀN⁻¹y,      κ = β_g/2.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from convexwgan.arrays import Float64
from convexwgan.certificates.certificate import Check

if TYPE_CHECKING:
    from convexwgan.certificates.sampled_outputs import SampledEvidence

EPS = float(np.finfo(np.float64).eps)
_FEW_CELLS = 20_000
_STEPS = 60
_INSIDE = 1.0 - 1e-9


@dataclass(frozen=True)
class Ellipsoid:
    """ρ and c of the noise, both rounded up: S ⪰ ssᵀ/ρ and w_f‖Gu‖₁ ≤ c(uᵀSu)^½."""

    rho: float
    c: float
    text: str


def shape_of_noise(latents: Any, pays_weights: bool = False) -> Ellipsoid:
    """ρ and c from above: ρ = w‖P1‖² and c = √w max{‖v‖₁ : v ∈ range(Z), ‖v‖ ≤ 1}; for S = WᵀW ‖z̄‖² and w max‖Zy‖₁.

    ‖Qy‖₁ = 1ᵀ(Qy)₊ + 1ᵀ(−Qy)₊, Q an orthonormal basis or Z: the farthest vertex of the zonotope of the rows of ±Q.

    Args:
        latents: the generator's side. pays_weights: whether S is WᵀW.

    >>> from convexwgan.certificates.features import SampledLatents
    >>> round(shape_of_noise(SampledLatents(np.array([[3.0], [0.0], [4.0]]), 1.0)).c, 6)
    1.4
    """
    from convexwgan.certificates.relu_bounds import phi_star  # needed here only, and not small

    most, weight, slack = math.sqrt(latents.mass), float(latents.weight), 1.0 + 1e-9
    if pays_weights:
        Z = np.vstack(list(latents.blocks()))
        mean = float(np.linalg.norm(latents.z_bar)) + 1e-14 * math.sqrt(latents.mass * float(np.trace(latents.second)))
        c = weight * phi_star(np.concatenate([Z, -Z]), max_cells=_FEW_CELLS).upper
        return Ellipsoid(mean**2 * slack, c * slack, "for WᵀW")
    if not hasattr(latents, "blocks") or latents.is_rank_ambiguous:
        return Ellipsoid(latents.mass, most, "every output")
    Q = _orthonormal(latents)
    if Q.shape[1] >= len(Q):
        return Ellipsoid(latents.mass, most, "every output")
    ones = Q.sum(axis=0)
    rho = min(latents.mass, weight * float(ones @ ones) * slack + 1e-14 * latents.mass)
    bound = phi_star(np.concatenate([Q, -Q]), max_cells=_FEW_CELLS).upper
    return Ellipsoid(rho, min(most, math.sqrt(weight) * bound * slack), f"noise of rank {Q.shape[1]}")


def _orthonormal(latents: Any) -> Float64:
    """An orthonormal basis of the range of the features, columns scaled to norm 1 first."""
    Z = np.vstack(list(latents.blocks()))
    norms = np.linalg.norm(Z, axis=0)
    Q, s, _ = np.linalg.svd(Z / np.where(norms > 0.0, norms, 1.0), full_matrices=False)
    rank = max(min(int(latents.rank), int((s > 0.0).sum())), 1)
    Q = Q[:, :rank]
    return np.asarray(np.linalg.qr(Q)[0])


@dataclass(frozen=True, eq=False)
class MomentBound:
    """The value that the multipliers in ``table`` prove, and what to say of it."""

    value: float
    table: Float64
    check: Check


def second_eigenvalue_cost(evidence: SampledEvidence) -> float:
    """(1/λ₂(A) − 1/λ₁(A))ℓ in the plane, with λ₂(S) ≥ ℓ: what ‖W‖² costs beyond tr S/λ₁(A).

    ‖W‖² = tr(A⁺YYᵀ) ≥ Σ λ_i(S)/λ_i(A) for Y = A^½W, S = YᵀY (von Neumann). dist ≤ β and c² uᵀSu ≥ w_f²‖Gu‖₁² give
    c² λ₂(S) ≥ (min_u w_r‖Xu‖₁ − 2β)₊²; the minimum is where some x_iᵀu = 0, since ‖Xu‖₁ is concave between.
    """
    roots = np.asarray(evidence.latents.eigenvalues)
    lengths = np.linalg.norm(evidence.X, axis=1)
    if evidence.dim != 2 or evidence.beta is None or len(roots) < 2 or not lengths.any():
        return 0.0
    rows = evidence.X[lengths > 0.0] / lengths[lengths > 0.0][:, None]
    heights = evidence.weights @ np.abs(evidence.X @ np.stack([-rows[:, 1], rows[:, 0]]))
    least = float(heights.min()) * (1.0 - 8.0 * EPS * math.sqrt(len(rows))) - 1e-14 * evidence.size
    width = max(least - 2.0 * evidence.beta, 0.0)
    shape = shape_of_noise(evidence.latents)
    return (1.0 / float(roots[1]) - 1.0 / float(roots[0])) * (width / shape.c) ** 2 * (1.0 - 1e-12)


def moment_bound(evidence: SampledEvidence, table: Float64) -> MomentBound:
    """The semidefinite lower bound that multipliers [u | μ τ λ ν], (k, d + 4), prove at their best common factor.

    Valid for every factor θ ≥ 0 on (μ, λ, ν) that leaves N ⪰ 0 and, under a norm bound, Σ(4μτ + λ + 2ν) ≤ 1. Where
    the weights are paid for, the better of S = WᵀW and S = w_fGᵀG.
    """
    with np.errstate(over="ignore", invalid="ignore"):  # of absurd multipliers: what is ∞ − ∞ proves nothing
        found = [_bound_of(evidence, table, *each) for each in evidence.ellipsoids]
    return max(found, key=lambda bound: bound.value)


def _bound_of(evidence: SampledEvidence, table: Float64, shape: Ellipsoid, kappa: float, extra: float) -> MomentBound:
    """What the multipliers prove about one S: R_g ≥ κ tr S + extra."""
    d = evidence.dim
    u = table[:, :d] / np.maximum(np.linalg.norm(table[:, :d], axis=1), 1.0)[:, None]
    mu, tau, lam, nu = table[:, d:].T
    beta, reach = evidence.beta or 0.0, 1.0 if evidence.has_bias else 2.0
    gain = _gain(evidence, u, table[:, d:], beta, reach)
    y = (lam - nu - 2.0 * mu * tau) @ u
    values, V = np.linalg.eigh(shape.c**2 * (u.T * mu) @ u)
    top = max(float(values[-1]) * (1.0 + 8.0 * d * EPS), 0.0)
    spent = float(np.sum(4.0 * mu * tau + lam + reach * nu))
    most = min(kappa / top if top > 0.0 else math.inf, 1.0 / spent if evidence.beta is None and spent > 0 else math.inf)
    squares = (V.T @ y) ** 2

    def proven(theta: float) -> float:
        gaps = kappa - theta * np.minimum(values, top) - 1e-14 * kappa
        if not (gaps > 0.0).all():
            return -math.inf
        return theta * gain - 0.25 * shape.rho * theta * theta * float(np.sum(squares / gaps))  # θ ** 2 raises at 1e200

    theta = _best(proven, most, gain)
    value = max(proven(theta) * (1.0 - 1e-12), 0.0) + extra if theta > 0.0 else extra
    scaled = np.column_stack([u, theta * mu, tau, theta * lam, theta * nu])
    text = f"{value:.9g} with ρ = {shape.rho:.6g}, c = {shape.c:.6g}, {shape.text}"
    return MomentBound(value, scaled, Check("second moments bounded below by multipliers", True, text))


def _gain(evidence: SampledEvidence, u: Float64, multipliers: Float64, beta: float, reach: float) -> float:
    """Σμ(4τ(h_X − β) − τ²) − Σλ(h_X + β) + Σν(uᵀm − reach·β), less its rounding error."""
    mu, tau, lam, nu = multipliers.T
    h, along = evidence.weights @ np.maximum(evidence.X @ u.T, 0.0), u @ evidence.real.m
    gain = mu * (4.0 * tau * (h - beta) - tau**2) - lam * (h + beta) + nu * (along - reach * beta)
    sizes = mu * (4.0 * tau * (h + beta) + tau**2) + lam * (h + beta) + nu * (np.abs(along) + reach * beta)
    return float(gain.sum()) - 8.0 * EPS * math.sqrt(len(evidence.X) + evidence.dim) * float(sizes.sum())


def _best(proven: Any, most: float, gain: float) -> float:
    """The maximiser over 0 ≤ θ ≤ most of a concave function, by golden section; 0 where nothing is gained."""
    if gain <= 0.0:
        return 0.0
    if math.isinf(most):
        most = 1.0
        while proven(2.0 * most) > proven(most) and most < 1e200:
            most *= 2.0
        most *= 2.0
    low, high, ratio = 0.0, most * _INSIDE, 0.5 * (math.sqrt(5.0) - 1.0)
    candidates = [min(1.0, high)]
    for _ in range(_STEPS):
        left, right = high - ratio * (high - low), low + ratio * (high - low)
        low, high = (left, high) if proven(left) < proven(right) else (low, right)
    candidates.append(0.5 * (low + high))
    return max(candidates, key=proven)
