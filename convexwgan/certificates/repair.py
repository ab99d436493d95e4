"""Repair of a generator: the smallest step that we know how to prove from its output to dist ≤ β_d."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from convexwgan.arrays import Float64
from convexwgan.certificates.attained import Attained, attain
from convexwgan.certificates.latents import EPS
from convexwgan.certificates.moments import GameEvidence

TRIES = 4


@dataclass(frozen=True, eq=False)
class _Target:
    """Output moments to be realised: S = ssᵀ/ρ + T, or S = T of any mean where s is None."""

    T: Float64
    s: Float64 | None


def repair(evidence: GameEvidence, claimed: Attained, dtype: np.dtype[np.floating] | None = None) -> Attained:
    """The claimed generator, moved until it is feasible in the dtype that it will be stored in.

    Output moments are blended with a target that is feasible with room to spare, as little as the triangle
    inequality allows; then the nearest weights with the blended moments are taken (orthogonal Procrustes).

    Args:
        evidence: the game.
        claimed: a generator with dist > β_d or, with a skip, s ≠ m.
        dtype: of the stored weights; the safety margin grows until the rounded weights are feasible.

    Returns:
        The repaired generator, or the claimed one where no step decreased its violation.
    """
    if not math.isfinite(claimed.dist):
        return claimed
    best = claimed
    dtype = np.dtype(np.float64) if dtype is None else dtype
    margin = _first_margin(evidence, float(np.finfo(dtype).eps))
    current = claimed
    for _ in range(TRIES):
        W = _step(evidence, current, margin)
        if W is None:
            break
        with np.errstate(over="ignore"):
            W = W.astype(dtype).astype(np.float64)
        repaired = attain(evidence, W)
        if repaired.violation < best.violation:
            best = repaired
        if is_feasible(evidence, best, dtype):
            break
        margin = 4.0 * margin + 2.0 * max(0.0, repaired.dist - (evidence.beta or math.inf))
        current = best
    return best


def is_feasible(evidence: GameEvidence, attained: Attained, dtype: np.dtype[np.floating] | None = None) -> bool:
    """Feasible but for rounding: dist − β_d ≤ a few eps·‖M‖ and ‖m − s‖ ≤ a few eps·√(N_r‖M‖)."""
    excess = attained.dist - evidence.beta if evidence.beta is not None else 0.0
    eps = EPS if dtype is None else float(np.finfo(dtype).eps)
    residual_rounding = 16.0 * max(evidence.roundoff, eps) * evidence.real.mean_scale
    return excess <= evidence.distance_rounding and attained.residual <= residual_rounding


def _first_margin(evidence: GameEvidence, eps: float) -> float:
    """What rounding the weights to this eps may add to dist: 2·eps times the size of the moments."""
    return max(evidence.distance_rounding, 2.0 * eps * evidence.distance_rounding / (4.0 * evidence.roundoff))


def _step(evidence: GameEvidence, current: Attained, margin: float) -> Float64 | None:
    kind, beta = evidence.discriminator.kind, evidence.beta
    if kind == "linear":
        return None if beta is None else _linear_step(evidence, current, max(0.0, beta - margin))
    if kind == "quadratic":
        target = _quadratic_target(evidence, current, margin)
    else:
        target = None if beta is None else _polynomial_target(evidence, current, beta - margin)
    return None if target is None else _realise(evidence, current, target)


def _linear_step(evidence: GameEvidence, current: Attained, radius: float) -> Float64 | None:
    """s' = m + (s − m)·β_d/‖s − m‖ and W' = W + direction (s' − s)ᵀ, where directionᵀz̄ = 1."""
    frame, latents = evidence.latents.frame, evidence.latents
    sees_weights = evidence.regularizer.of == "weights"
    if latents.rho == 0.0 or (frame.e is None and not sees_weights):
        return None
    shrunk = evidence.real.m + (current.s - evidence.real.m) * min(1.0, radius / current.dist)
    if sees_weights or frame.e is None:  # the cheapest direction: z̄/‖z̄‖²
        direction = latents.z_bar / latents.z_norm**2
    else:  # A⁺z̄/ρ
        direction = frame.weights(frame.e[:, None])[:, 0] / math.sqrt(frame.rho)
    return current.W + np.outer(direction, shrunk - current.s)


def _quadratic_target(evidence: GameEvidence, current: Attained, margin: float) -> _Target | None:
    """Blend T with the truncation of (C − τ)₊, which has dist ≤ τ < β_d; s = m where the skip wants it."""
    latents, m = evidence.latents, evidence.real.m
    skip = evidence.uses_skip_mean
    s = current.s
    T = current.S - np.outer(s, s) / latents.rho if skip else current.S
    if evidence.beta is None:
        return _Target(T, m) if skip else None
    C = evidence.real.M - np.outer(m, m) / latents.rho if skip else evidence.real.M
    rank = min(evidence.free_rank, len(latents.frame.roots) - (1 if skip else 0))
    gamma = evidence.centred_eigenvalues
    nearest = max(0.0, float(gamma[rank]) if rank < len(gamma) else 0.0, -float(gamma[-1]) if skip else 0.0)
    ends = np.linalg.eigvalsh(C - T)
    dist, radius = max(float(ends[-1]), -float(ends[0])), evidence.beta - margin
    if dist <= radius:
        return _Target(T, m if skip else None)
    tau = max(nearest, min(radius, evidence.beta - 2.0 * margin - (dist - evidence.beta)), 0.0)
    share = min(1.0, (dist - radius) / (dist - tau)) if dist > tau else 1.0
    return _Target((1.0 - share) * T + share * _thresholded(C, tau, rank), m if skip else None)


def _thresholded(C: Float64, tau: float, rank: int) -> Float64:
    """(C − τ)₊ truncated to the given rank."""
    values, V = np.linalg.eigh(C)
    kept = np.maximum(values - tau, 0.0)
    kept[: max(0, len(kept) - rank)] = 0.0
    truncated: Float64 = (V * kept) @ V.T
    return truncated


def _polynomial_target(evidence: GameEvidence, current: Attained, radius: float) -> _Target | None:
    """Blend (S, s) with (M, m): dist is convex in (S, s), and |c(N_r − N_f)| at the data's own moments."""
    real, rho = evidence.real, evidence.latents.rho
    floor = abs(evidence.discriminator.activation[2] * evidence.mass_gap)
    if current.dist <= floor or radius <= floor:
        return None
    share = min(1.0, max(0.0, (current.dist - radius) / (current.dist - floor)))
    S = (1.0 - share) * current.S + share * real.M
    if rho == 0.0:
        return _Target(S, None)
    s = (1.0 - share) * current.s + share * real.m
    if evidence.discriminator.activation[0] == 0.0:  # dist does not see S: the spectrum stays as it is
        return _Target(current.S - np.outer(current.s, current.s) / rho, s)
    return _Target(S - np.outer(s, s) / rho, s)


def _realise(evidence: GameEvidence, current: Attained, target: _Target) -> Float64:
    """The weights nearest to the current ones, in the frame Y = A^½W, whose output has the target moments."""
    frame = evidence.latents.frame
    Y = frame.coordinates(current.W)
    if target.s is None or frame.e is None:
        return frame.weights(_nearest_factor(Y, target.T, len(Y), None))
    rest = _nearest_factor(Y, target.T, len(Y) - 1, frame.e)
    return frame.weights(rest + np.outer(frame.e, target.s) / math.sqrt(frame.rho))


def _nearest_factor(Y: Float64, T: Float64, rank: int, avoid: Float64 | None) -> Float64:
    """min ‖Y' − Y‖_F s.t. Y'ᵀY' = T₊ = EμEᵀ of the given rank, Y' ⟂ avoid: the polar factor of YE√μ."""
    mu, E = np.linalg.eigh(0.5 * (T + T.T))
    keep = (mu > len(mu) * EPS * max(float(mu[-1]), 0.0)) & (np.arange(len(mu)) >= len(mu) - rank)
    root = E[:, keep] * np.sqrt(mu[keep])
    noise = 64.0 * EPS * float(np.linalg.norm(Y)) * float(np.linalg.norm(root))
    if avoid is not None:
        Y = Y - np.outer(avoid, avoid @ Y)
    P, sizes, Qt = np.linalg.svd(Y @ root, full_matrices=False)
    P = _completed(P, sizes > noise, avoid)
    nearest: Float64 = (P @ Qt) @ root.T
    return nearest


def _completed(P: Float64, good: np.ndarray[tuple[int, ...], np.dtype[np.bool_]], avoid: Float64 | None) -> Float64:
    """P with undetermined columns replaced by any orthonormal ones, orthogonal to ``avoid``."""
    if avoid is not None:  # directions that are small in Y carry the rounding of its projection
        P, T = np.linalg.qr(P - np.outer(avoid, avoid @ P))
        P = P * np.where(np.diagonal(T) < 0.0, -1.0, 1.0)
    if good.all():
        return P
    basis = P[:, good] if avoid is None else np.column_stack([avoid, P[:, good]])
    extra = np.random.default_rng(0).standard_normal((len(P), int((~good).sum())))
    for _ in range(2):
        extra = np.linalg.qr(extra - basis @ (basis.T @ extra))[0]
    P = P.copy()
    P[:, ~good] = extra
    return P
