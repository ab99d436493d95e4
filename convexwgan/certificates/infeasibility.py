"""Proofs from the data alone that no generator satisfies dist ≤ β_d."""

from __future__ import annotations

import math

import numpy as np

from convexwgan.arrays import Float64
from convexwgan.certificates.adversary import Adversary, clip_to_ball
from convexwgan.certificates.bounds import dual_terms
from convexwgan.certificates.certificate import Check, Infeasibility
from convexwgan.certificates.latents import EPS
from convexwgan.certificates.moments import GameEvidence
from convexwgan.certificates.spectral import rank_check, rho_check

Proof = tuple[Infeasibility | None, tuple[Check, ...]]
NONE: Proof = (None, ())


def find_infeasibility(evidence: GameEvidence, adversary: Adversary | None = None) -> Proof:
    """A proof of infeasibility with the checks that it rests on, (None, ()) when there is none.

    Weyl: σ²_{r+1} > β_d; with a skip γ_r > β_d, γ_min < −β_d, or z̄ = 0 with m ≠ 0. Linear: z̄ = 0 with
    ‖m‖ > β_d. Polynomial: |c(N_r − N_f)| > β_d, or a discriminator whose gain grows without bound.
    A failing check means that a rank or zero decision is ambiguous, and the proof with it.

    Reference:
        MATH 3.1, 3.2, 3.5, 1.4.
    """
    if evidence.discriminator.skip and evidence.latents.rho == 0.0:
        proof = _unreachable_mean(evidence)
        if proof[0] is not None:
            return proof
    if evidence.beta is None:
        return NONE
    if evidence.discriminator.kind == "linear":
        return _zero_mean(evidence, evidence.beta)
    if evidence.discriminator.kind == "quadratic":
        return _weyl(evidence, evidence.beta)
    return _polynomial(evidence, evidence.beta, adversary)


def _unreachable_mean(evidence: GameEvidence) -> Proof:
    """Skip with z̄ = 0: every output has s = 0, but s = m ≠ 0 is required."""
    real = evidence.real
    text = f"z̄ = 0 ({evidence.latents.mean_text}) makes "
    text += f"every output mean 0, but the skip requires m, ‖m‖ = {real.m_norm:.6g}"
    if real.m_norm <= real.zero_tolerance:
        return NONE
    clear = Check(
        "m ≠ 0 is unambiguous", real.m_norm > 10 * real.zero_tolerance, f"tolerance {real.zero_tolerance:.1e}"
    )
    proof = Infeasibility("zero_mean", text, real.m_norm, real.zero_tolerance)
    return proof, (clear, rho_check(evidence))


def _zero_mean(evidence: GameEvidence, beta: float) -> Proof:
    """Linear discriminator with z̄ = 0: dist = ‖m‖ whatever the generator does."""
    real, latents = evidence.real, evidence.latents
    margin, error = real.m_norm - beta, evidence.roundoff * real.mean_scale
    if latents.rho > 0.0 or margin <= error:
        return NONE
    text = f"z̄ = 0 ({latents.mean_text}) makes dist = ‖m‖ = "
    text += f"{real.m_norm:.6g} > β_d = {beta:.6g} for every generator"
    return Infeasibility("zero_mean", text, margin, error), (rho_check(evidence),)


def _weyl(evidence: GameEvidence, beta: float) -> Proof:
    """A rank-k S leaves λ_{k+1}(M − S) ≥ γ_{k+1}; and M − S ⪯ C where the skip fixes the mean."""
    rank = evidence.free_rank
    if rank >= evidence.dim and not evidence.uses_skip_mean:
        return NONE
    gamma, error = evidence.centred_eigenvalues, evidence.centred_error
    name = "γ" if evidence.uses_skip_mean else "σ²"
    checks = (rank_check(evidence),) + ((rho_check(evidence),) if evidence.discriminator.skip else ())
    if rank < len(gamma) and gamma[rank] - beta > error:
        text = f"{evidence.latents.rank_text} leaves rank {rank} for the spectrum, but {name}_{rank + 1} = "
        text += f"{gamma[rank]:.6g} > β_d = {beta:.6g}: by Weyl dist ≥ {name}_{rank + 1}"
        return Infeasibility("weyl", text, float(gamma[rank]) - beta, error), checks
    if -gamma[-1] - beta > error and evidence.uses_skip_mean:
        text = f"C = M − mmᵀ/ρ has the eigenvalue {gamma[-1]:.6g} < −β_d = {-beta:.6g}"
        text += ", and s = m forces M − S ⪯ C"
        return Infeasibility("indefinite", text, -float(gamma[-1]) - beta, error), checks[1:]
    return NONE


def _polynomial(evidence: GameEvidence, beta: float, adversary: Adversary | None) -> Proof:
    constant = abs(evidence.discriminator.activation[2] * evidence.mass_gap)
    if constant - beta > 8.0 * evidence.roundoff * constant:
        text = f"the neuron u = 0 gives dist ≥ |c(N_r − N_f)| = {constant:.6g} > β_d = {beta:.6g}"
        return Infeasibility("mass_gap", text, constant - beta, 8.0 * evidence.roundoff * constant), ()
    proofs = [_ray(evidence, candidate, beta) for candidate in _ray_candidates(evidence, adversary)]
    proof = max((p for p in proofs if p is not None), key=lambda p: p.margin, default=None)
    return NONE if proof is None else (proof, (rho_check(evidence),))


def _ray_candidates(evidence: GameEvidence, adversary: Adversary | None) -> list[Adversary]:
    """The supplied discriminator, and where z̄ = 0 the two neurons along m."""
    candidates = [] if adversary is None or len(adversary.v) == 0 else [adversary]
    if evidence.latents.rho == 0.0 and evidence.real.m_norm > 0.0:
        u = evidence.real.m[None, :] / evidence.real.m_norm
        candidates += [Adversary(sign * u, np.array([v])) for sign in (1.0, -1.0) for v in (1.0, -1.0)]
    return candidates


def _ray(evidence: GameEvidence, adversary: Adversary, beta: float) -> Infeasibility | None:
    """L − (ρ/4) yᵀ(−R)⁺y > 0 with R ⪯ 0: scaled up, this discriminator's bound is unbounded.

    R is made negative definite by pairs of neurons ±q_i along its eigenvectors, which cost β_d each and leave
    y alone; their best common weight is searched over a few magnitudes.
    """
    a, b, _ = evidence.discriminator.activation
    u, v = clip_to_ball(adversary.u), adversary.v
    variation = float(np.abs(v).sum())
    if variation == 0.0:
        return None
    gain, terms, r, E = dual_terms(evidence, u, v / variation)
    rho = evidence.latents.rho_upper if evidence.latents.rho > 0.0 else 0.0  # a decision that ``rho_check`` states
    y2 = 0.25 * rho * (E.T @ (b * (v @ u) / variation)) ** 2
    if a == 0.0:
        best = gain if not y2.any() else -math.inf
    else:
        best, terms = _shifted_gain(evidence, gain, terms, r, E, y2)
    tolerance = 4.0 * (evidence.roundoff + 4.0 * evidence.dim * EPS) * terms
    if not best > tolerance:
        return None
    text = f"a discriminator with Σ|v_j| = 1 and R ⪯ 0 gains {best:.3g} > 0 against every generator: "
    text += f"dist > β_d = {beta:.6g}"
    return Infeasibility("ray", text, best, tolerance)


def _shifted_gain(
    evidence: GameEvidence, gain: float, terms: float, r: Float64, E: Float64, y2: Float64
) -> tuple[float, float]:
    """The largest gain over the shifts tried, and its absolute terms."""
    a, _, c = evidence.discriminator.activation
    energy = np.einsum("ij,ij->j", E, evidence.real.M @ E)
    price = ((evidence.beta or 0.0) + c * evidence.mass_gap * math.copysign(1.0, -a)) / abs(a) + energy
    best, best_terms = -math.inf, terms
    for delta in abs(a) * np.logspace(-14, 0, 57):
        shift = np.maximum(r, 0.0) + delta
        penalty = float(np.sum(y2 / (shift - r)))
        value = gain - float(shift @ price) - penalty
        if value > best:
            best, best_terms = value, terms + float(shift @ np.abs(price)) + penalty
    return best, best_terms
