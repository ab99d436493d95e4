"""Weyl's inequality as a lower bound: no rank-r output can be closer to M than the spectrum of M allows.

A generator with ‖M − S‖₂ = t has λ_i(S) ≥ (σ_i² − t)₊ and, of rank r, t ≥ σ²_{r+1}; by von Neumann's
trace inequality ‖W‖_F² ≥ Σ λ_i(S)/λ_i(A). This needs no discriminator, and is the only bound where rank limits
a norm bound or where the `weights` cost leaves a duality gap.
"""

from __future__ import annotations

import math

import numpy as np

from convexwgan.arrays import Float64
from convexwgan.certificates.bounds import LowerBound
from convexwgan.certificates.certificate import Check
from convexwgan.certificates.features import ReluLatents
from convexwgan.certificates.latents import EPS
from convexwgan.certificates.moments import GameEvidence


def spectral_bound(evidence: GameEvidence) -> LowerBound | None:
    """The spectral bound of a quadratic discriminator with output or weights cost; None for other games.

    weight decay: (β_g/2) Σ_{i≤r} (γ_i − β_d)₊/λ_i
    norm bound:   min over t ≥ max(0, γ_{r+1}, −γ_min) of t + (β_g/2) Σ_{i≤r} (γ_i − t)₊/λ_i

    γ are the eigenvalues of M (λ_i = 1 for the output cost). With a skip and ρ > 0: of C = M − mmᵀ/ρ, with
    r − 1 in place of r and (β_g/2)‖m‖²/ρ added.

    Reference:
        MATH 3.2, 3.3, 3.5, 3.6; Weyl's and von Neumann's inequalities.
    """
    if evidence.discriminator.kind != "quadratic" or not evidence.regularizer.is_quadratic:
        return None
    if evidence.generator.kind == "relu" and evidence.regularizer.kind == "weights":
        return _network_bound(evidence)
    gamma, rank, constant = _spectrum(evidence)
    error = evidence.spectrum_error if evidence.regularizer.kind == "weights" else evidence.centred_error
    if not math.isfinite(error):
        return None
    floor = max(0.0, float(gamma[rank]) - error if rank < len(gamma) else 0.0, -float(gamma[-1]) - error)
    inverse = 0.5 * evidence.strength * _inverse_eigenvalues(evidence, min(rank, len(gamma)))
    gamma = gamma - error
    if evidence.beta is not None:
        value = constant + float(inverse @ np.maximum(gamma[: len(inverse)] - evidence.beta, 0.0))
        rounding = evidence.roundoff * value + _constant_error(evidence, constant)
        return LowerBound(value - rounding, rounding)
    value = constant + _piecewise_linear_minimum(gamma, inverse, floor)
    rounding = evidence.roundoff * (value + floor) + _constant_error(evidence, constant)
    checks = () if rank >= len(gamma) or floor == 0.0 else (rank_check(evidence),)
    return LowerBound(value - rounding, rounding, checks=checks)


def _network_bound(evidence: GameEvidence) -> LowerBound | None:
    """Weights of a ReLU network: β_g‖G‖_*/ℓ, ℓ = max_{‖u‖≤1}‖(Nu)₊‖₂, by the polar factor of G as multiplier.

    weight decay: (β_g/ℓ) Σ_i ((γ_i − β_d)₊/w)^½
    norm bound:   min over t ≥ 0 of t + (β_g/ℓ) Σ_i ((γ_i − t)₊/w)^½

    which is concave in t between the γ_i, so that the minimum is at one of them or at 0. Reference: MATH 3.8.
    """
    latents = evidence.latents
    assert isinstance(latents, ReluLatents)
    length = latents.longest_feature
    if not math.isfinite(evidence.spectrum_error) or length.upper == 0.0:
        return None
    gamma = np.maximum(evidence.real.eigenvalues - evidence.spectrum_error, 0.0)
    price = evidence.strength / (length.upper * math.sqrt(latents.weight))
    levels = np.append(gamma, 0.0) if evidence.beta is None else np.array([evidence.beta])
    values = price * np.sqrt(np.maximum(gamma[None, :] - levels[:, None], 0.0)).sum(axis=1)
    value = float(values[0]) if evidence.beta is not None else float((values + levels).min())
    rounding = evidence.roundoff * value
    detail = f"no feature is longer than {length.upper:.6g}"
    return LowerBound(
        value - rounding, rounding, checks=(Check("features bounded above", True, detail), *length.checks)
    )


def _spectrum(evidence: GameEvidence) -> tuple[Float64, int, float]:
    """γ, the rank left for it, and the constant; a weights cost knows no bound that uses the skip."""
    if evidence.regularizer.kind == "weights":
        return evidence.real.eigenvalues, evidence.latents.rank, 0.0
    return evidence.centred_eigenvalues, evidence.free_rank, evidence.mean_cost


def _constant_error(evidence: GameEvidence, constant: float) -> float:
    """What the rounding of m, which may cancel, moves in (β_g/2)‖m‖²/ρ."""
    if constant == 0.0:
        return 0.0
    real = evidence.real
    return evidence.roundoff * evidence.strength * real.mean_scale * real.m_norm / evidence.latents.rho_upper


def _inverse_eigenvalues(evidence: GameEvidence, count: int) -> Float64:
    """1/λ_i, i ≤ count, each rounded down; 1 for the output cost."""
    if evidence.regularizer.kind == "output":
        return np.ones(count)
    return 1.0 / (evidence.latents.eigenvalues[:count] * (1.0 + 4.0 * EPS))


def _piecewise_linear_minimum(gamma: Float64, inverse: Float64, floor: float) -> float:
    """min over t ≥ floor of t + Σ_i inverse_i (γ_i − t)₊, which is convex with breakpoints γ_i."""
    head = gamma[: len(inverse)]
    at_floor = floor + float(inverse @ np.maximum(head - floor, 0.0))
    inside = head[head > floor]
    # Differences first: with 1/λ_i of very different size, sums of inverse_i γ_i would cancel.
    at_gamma = inside + inverse @ np.maximum(head[:, None] - inside[None, :], 0.0)
    return min(at_floor, float(np.min(at_gamma, initial=np.inf)))


def rank_check(evidence: GameEvidence) -> Check:
    """Whether the rank that the argument rests on is a decision and not a judgement."""
    latents = evidence.latents
    ambiguous = latents.is_rank_ambiguous
    detail = latents.rank_text + (", a singular value lies within a factor 10 of the tolerance" if ambiguous else "")
    return Check("the rank of the noise is unambiguous", not ambiguous, detail)


def rho_check(evidence: GameEvidence) -> Check:
    """Whether ρ = z̄ᵀA⁺z̄ is a number and not a judgement; the decisions that it rests on, with their tolerances."""
    latents = evidence.latents
    detail = f"ρ = {latents.rho:.6g}, {latents.mean_text}"
    if latents.is_truncated:
        detail += f", {latents.rank_text}"
    return Check("the mean of the noise is unambiguous", not latents.is_rho_ambiguous, detail)
