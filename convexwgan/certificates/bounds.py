"""Lower bounds: what no generator can beat, proven by a discriminator or by the spectrum of the data.

For a discriminator (R, y, κ, Σ|v|) and every generator, whose moments satisfy S ⪰ ssᵀ/ρ,

    R_g + max_D ≥ ⟨R, M⟩ + yᵀm + κ(N_r − N_f) − β_dΣ|v_j| − (ρ/4) yᵀN⁺y,   N = (β_g/2)I − R ⪰ 0, y ∈ range N

for the output cost; a norm bound requires Σ|v_j| ≤ 1 in place of the β_d term. Every bound here is lowered by
4·eps·√(n_r + d) times the sum of the absolute values of its terms (yᵀm counts as √(N_r‖M‖_F)‖y‖, since the sums in
m may cancel), so that rounding cannot lift it above the optimum. A supplied discriminator is repaired to dual
feasibility first, and never believed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from convexwgan.arrays import Float64
from convexwgan.certificates.adversary import Adversary, clip_to_ball, no_adversary, quadratic_core
from convexwgan.certificates.certificate import Check
from convexwgan.certificates.costs import conjugate_cost, dual_exponent, vector_norm
from convexwgan.certificates.features import ReluLatents, SampledLatents
from convexwgan.certificates.latents import EPS
from convexwgan.certificates.moments import GameEvidence

Scales = tuple[float, float]
ANY_SCALE: Scales = (0.0, math.inf)


@dataclass(frozen=True, eq=False)
class LowerBound:
    """A proven lower bound, its rounding allowance (already subtracted), the discriminator attaining it."""

    value: float
    rounding: float = 0.0
    adversary: Adversary | None = None
    checks: tuple[Check, ...] = ()


def discriminator_bound(evidence: GameEvidence, adversary: Adversary | None, scales: Scales = ANY_SCALE) -> LowerBound:
    """The bound that a discriminator proves after repair, maximised over one factor on it within ``scales``.

    Args:
        evidence: the game.
        adversary: the supplied discriminator; None: the mean direction for linear discriminators, else 0.
        scales: the factors that may be tried; a window around 1 judges a discriminator as it stands.

    Returns:
        LowerBound whose adversary is dual feasible and attains the value.

    Reference:
        The dual side of Sahiner et al. (ICLR 2022), Section 3: a dual point is a discriminator.
    """
    kind, cost = evidence.discriminator.kind, evidence.regularizer.kind
    if cost in ("norm", "custom"):
        return _conjugate_bound(evidence, adversary, scales) if kind == "linear" else _trivial(evidence)
    if kind == "linear":
        return _mean_bound(evidence, adversary, scales)
    if cost == "weights":
        return _trivial(evidence)
    adversary = no_adversary(evidence.dim) if adversary is None else adversary
    if kind == "quadratic":
        return _quadratic_bound(evidence, adversary)
    return _polynomial_bound(evidence, adversary, scales)


def _trivial(evidence: GameEvidence) -> LowerBound:
    """R_g ≥ 0 and dist ≥ 0: the discriminator that is 0; nothing is known of a custom R_g."""
    if evidence.regularizer.kind == "custom":
        return LowerBound(-math.inf)
    return LowerBound(0.0)


def _mean_bound(evidence: GameEvidence, adversary: Adversary | None, scales: Scales) -> LowerBound:
    """Linear discriminator: max over τ of τ(ŷᵀm − β_d) − τ²I/(2β_g), I = ρ (output) or ‖z̄‖² (weights)."""
    y, norm = _direction(evidence, adversary)
    if norm == 0.0:
        return LowerBound(0.0, adversary=no_adversary(evidence.dim))
    gain = float(y @ evidence.real.m)
    latents = evidence.latents
    slope = gain - (evidence.beta or 0.0)
    low, high = scales[0] * norm, scales[1] * norm
    if isinstance(latents, ReluLatents) and evidence.regularizer.kind == "weights":
        # R_g = β_gΣ‖v_j‖ ≥ β_g yᵀs/(‖y‖φ*): the conjugate is the indicator of ‖y‖ ≤ β_g/φ*, φ* rounded up.
        reach = latents.weight * latents.phi_star.upper * (1.0 + evidence.roundoff)
        edge = evidence.strength / reach if reach > 0.0 else math.inf
        if edge < low:
            return LowerBound(0.0, adversary=no_adversary(evidence.dim))
        high, inertia = min(high, edge), 0.0
    else:
        inertia = _inertia(evidence)
    if evidence.beta is None:
        low, high = min(low, 1.0), min(high, 1.0)
    tau = _clipped_ratio(evidence.strength * slope, inertia, low, high, norm)
    curvature = 0.5 * tau**2 * inertia / evidence.strength
    rounding = evidence.roundoff * (tau * (evidence.real.mean_scale + (evidence.beta or 0.0)) + curvature)
    return LowerBound(tau * slope - curvature - rounding, rounding, _linear_neuron(y, tau))


def _direction(evidence: GameEvidence, adversary: Adversary | None) -> tuple[Float64, float]:
    """ŷ and ‖y‖ of the supplied linear discriminator, else the direction of m, which is the optimal one."""
    y = adversary.combined() if adversary is not None else evidence.real.m
    norm = float(np.linalg.norm(y))
    return (y / norm if norm > 0 else y), norm


def _inertia(evidence: GameEvidence) -> float:
    """I of the quadratic term: ρ for the output cost, ‖z̄‖² for the weights cost, both rounded up."""
    latents = evidence.latents
    return latents.z_norm_upper**2 if evidence.regularizer.kind == "weights" else latents.rho_upper


def _clipped_ratio(numerator: float, denominator: float, low: float, high: float, fallback: float) -> float:
    """argmax over [low, high] of τ·numerator − τ²·denominator/2; ``fallback`` where it is unbounded."""
    if numerator <= 0.0:
        return low
    best = numerator / denominator if denominator > 0.0 else math.inf
    best = min(max(best, low), high)
    return best if math.isfinite(best) else fallback


def _linear_neuron(y: Float64, tau: float) -> Adversary:
    """xᵀ(τŷ) as one neuron; none for τ = 0."""
    return Adversary(y[None, :], np.array([tau])) if tau > 0 else no_adversary(len(y))


def _quadratic_bound(evidence: GameEvidence, adversary: Adversary) -> LowerBound:
    """⟨R, M − mmᵀ/ρ⟩ − β_d‖R‖_* + (β_g/2)‖m‖²/ρ, R clipped at β_g/2; terms of m with skip only.

    The skip vector is not taken from the claim: for a given R the best one is y = (2/ρ)Nm.
    """
    Q, r, delta = quadratic_core(adversary)
    r = np.minimum(r, 0.5 * evidence.strength / (1.0 + delta))
    if evidence.beta is None:
        r = r * min(1.0, 1.0 / max(float(np.abs(r).sum()) * (1.0 + delta), EPS))
    keep = np.abs(r) > 0.0
    Q, r = (Q, r) if keep.all() else (Q[:, keep], r[keep])
    energy = np.einsum("ij,ij->j", Q, evidence.real.M @ Q)
    price = (evidence.beta or 0.0) * (1.0 + delta)
    value = float(r @ energy - price * np.abs(r).sum())
    terms = float(np.abs(r) @ (np.abs(energy) + price))
    skip = None
    if evidence.discriminator.skip:
        mean_value, mean_terms, skip = _skip_part(evidence, Q, r)
        value, terms = value + mean_value, terms + mean_terms
    rounding = (evidence.roundoff + delta) * terms
    return LowerBound(value - rounding, rounding, Adversary(Q.T, r, skip))


def _skip_part(evidence: GameEvidence, Q: Float64, r: Float64) -> tuple[float, float, Float64]:
    """yᵀm − (ρ/4)yᵀN⁺y at its maximiser y = (2/ρ)Nm, which is mᵀNm/ρ; nothing where ρ = 0."""
    if evidence.latents.rho == 0.0:
        return 0.0, 0.0, np.zeros(evidence.dim)
    m, rho = evidence.real.m, evidence.latents.rho_upper
    along = Q.T @ m
    cost, gain = evidence.mean_cost, float(r @ along**2) / rho
    size = evidence.real.mean_scale * evidence.real.m_norm / rho  # m may be off by its own rounding
    terms = evidence.strength * size + 2.0 * float(np.abs(r).max(initial=0.0)) * size
    skip = (evidence.strength * m - 2.0 * (Q @ (r * along))) / rho
    return cost - gain, terms, skip


def _polynomial_bound(evidence: GameEvidence, adversary: Adversary, scales: Scales) -> LowerBound:
    """max over c of cL − (ρ/4)Σ c²ỹ_i²/(β_g/2 − c r_i), with r_i, ỹ in the eigenbasis of R.

    L = ⟨R, M⟩ + yᵀm + κ(N_r − N_f) − β_dΣ|v_j|. Concave in c on 0 ≤ c < β_g/(2λ_max(R)); the denominators
    are lowered by the eigensolver's error, so that N ⪰ 0 and y ∈ range N hold in spite of rounding.
    """
    u, v = clip_to_ball(adversary.u), adversary.v
    gain, terms, r, E = dual_terms(evidence, u, v)
    y = E.T @ (evidence.discriminator.activation[1] * (v @ u))
    size = float(np.abs(r).max(initial=0.0))
    error = 8.0 * evidence.dim * EPS
    half, top = 0.5 * evidence.strength * (1.0 - error), float(r.max(initial=0.0)) + error * size
    squares = 0.25 * evidence.latents.rho_upper * y**2

    def bound(c: float) -> float:
        return c * gain - (c * c * float(np.sum(squares / (half - c * (r + error * size)))) if squares.any() else 0.0)

    def slope(c: float) -> float:
        gaps = half - c * (r + error * size)
        return gain - float(np.sum(squares * (c / gaps) * (1.0 + half / gaps)))

    variation = float(np.abs(v).sum())
    high = min(scales[1], (half / top if top > 0.0 else math.inf) * (1.0 - 4.0 * EPS))
    if evidence.beta is None and variation > 0.0:
        high = min(high, 1.0 / variation)
    c = _concave_maximiser(slope, min(scales[0], high), high)
    allowance = evidence.roundoff * c * (terms + float(np.sum(c * squares / (half - c * (r + error * size)))))
    return LowerBound(bound(c) - allowance, allowance, Adversary(u, c * v))


def dual_terms(evidence: GameEvidence, u: Float64, v: Float64) -> tuple[float, float, Float64, Float64]:
    """L, the sum of its absolute terms, and the eigenvalues and eigenvectors of R."""
    a, b, c = evidence.discriminator.activation
    real, beta = evidence.real, evidence.beta or 0.0
    second, first = np.einsum("ij,ij->i", u @ real.M, u), u @ real.m
    gap = c * evidence.mass_gap
    gain = float(v @ (a * second + b * first + gap) - beta * np.abs(v).sum())
    terms = float(np.abs(v) @ (abs(a) * second + abs(b) * real.mean_scale + abs(gap) + beta))
    r, E = np.linalg.eigh(a * ((u.T * v) @ u))
    return gain, terms, r, E


def _concave_maximiser(slope: Callable[[float], float], low: float, high: float) -> float:
    """argmax over [low, high] of a concave function, by bisection on its slope; 1 where it is unbounded."""
    if low >= high or slope(low) <= 0.0:
        return low
    if math.isinf(high):
        high = max(2.0 * low, 1.0)
        while slope(high) > 0.0:
            if high > 1e100:
                return 1.0  # a ray: the infeasibility test has the word
            high *= 4.0
    if slope(high) >= 0.0:
        return high
    for _ in range(100):
        middle = 0.5 * (low + high)
        if not low < middle < high:
            break
        low, high = (middle, high) if slope(middle) > 0.0 else (low, middle)
    return low


def _conjugate_bound(evidence: GameEvidence, adversary: Adversary | None, scales: Scales) -> LowerBound:
    """yᵀm − β_d‖y‖ − R_g*(H): H = z̄yᵀ for a cost of weights, any H with ZᵀH = z̄yᵀ for one of outputs."""
    checks: tuple[Check, ...] = ()
    if evidence.regularizer.kind == "custom":
        if evidence.regularizer.conjugate is None:
            return LowerBound(-math.inf)
        checks = (Check("conjugate of the regulariser", True, "assumed: user-supplied conjugate"),)
    y, norm = _direction(evidence, adversary)
    if norm == 0.0 and evidence.regularizer.kind == "norm":
        return LowerBound(0.0, adversary=no_adversary(evidence.dim))
    H = _multiplier(evidence, adversary, norm * y)
    gain = norm * float(y @ evidence.real.m - (evidence.beta or 0.0))
    terms = norm * (evidence.real.mean_scale + (evidence.beta or 0.0))
    high = min(scales[1], 1.0 / norm) if evidence.beta is None and norm > 0 else scales[1]
    low = min(scales[0], high)
    # H = z̄yᵀ inherits the rounding of z̄; ‖·‖_q ≤ √(entries)·‖·‖_F.
    is_mean = evidence.regularizer.of == "weights"
    slack = evidence.latents.mean_rounding * norm * math.sqrt(H.size) if is_mean else 0.0
    c, value = _best_scale(evidence, H, gain, low, high, slack)
    rounding = evidence.roundoff * (c * terms + abs(c * gain - value))
    repaired = _linear_neuron(y, c * norm)
    output_multiplier = c * H if evidence.regularizer.of == "output" else None
    attained = Adversary(repaired.u, repaired.v, None, output_multiplier)
    return LowerBound(value - rounding, rounding, attained, checks)


def _multiplier(evidence: GameEvidence, adversary: Adversary | None, y: Float64) -> Float64:
    """H, projected onto ZᵀH = z̄yᵀ: H ← H + Z(ZᵀZ)⁺(z̄yᵀ − ZᵀH); the default w1yᵀ satisfies it exactly."""
    latents = evidence.latents
    if evidence.regularizer.of == "weights":
        return np.outer(latents.z_bar, y)
    supplied = adversary.multiplier if adversary is not None else None
    if supplied is None or not isinstance(latents, SampledLatents):
        return np.outer(np.full(latents.width_of_output, latents.weight), y)
    H = supplied
    for _ in range(2):  # the second pass removes the rounding of the first
        residual = np.outer(latents.z_bar, y) - latents.transposed(H)
        W = latents.frame.weights(latents.frame.weights_transposed(residual))
        H = H + latents.output(latents.weight * W)
    return H


def _best_scale(
    evidence: GameEvidence, H: Float64, gain: float, low: float, high: float, slack: float
) -> tuple[float, float]:
    """(c, c·gain − R_g*(cH)) at the best factor found: the edge of the dual-norm ball, or a search.

    ``slack``: by how much the norm of H may be larger than it looks.
    """
    if evidence.regularizer.kind == "norm":
        size = vector_norm(H, dual_exponent(evidence.regularizer.p)) + slack
        edge = evidence.strength / size * (1.0 - 8.0 * EPS) if size > 0.0 else math.inf
        if edge < low:  # outside the ball at every factor that may be tried
            return low, -math.inf
        c = min(high, edge) if gain > 0.0 else low
        c = c if math.isfinite(c) else 1.0
        return c, c * gain
    tried = {c: c * gain - conjugate_cost(evidence.regularizer, c * H) for c in scale_grid(low, high)}
    c = max(tried, key=lambda scale: tried[scale])
    return c, tried[c]


def scale_grid(low: float, high: float) -> list[float]:
    """1, factors closing in on 1 from both sides, and 0, within [low, high]."""
    steps = np.concatenate([[0.0], np.logspace(-12, 0, 25)])
    grid = np.unique(np.concatenate([1.0 - steps, 1.0 + steps, [low]]).clip(low, min(high, 2.0)))
    return [float(c) for c in grid]
