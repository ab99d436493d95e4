"""Proofs that no output on sampled noise is within β_d of the data under ReLU neurons: a mean or a rank is missing."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from convexwgan.certificates.certificate import Check, Infeasibility

if TYPE_CHECKING:
    from convexwgan.certificates.sampled_outputs import SampledEvidence

EPS = float(np.finfo(np.float64).eps)
Proof = tuple[Infeasibility | None, tuple[Check, ...]]
NONE: Proof = (None, ())


def sampled_infeasibility(evidence: SampledEvidence) -> Proof:
    """Two necessary conditions, in closed form; a norm bound has none.

    z̄ = 0: every output has s = 0, and dist ≥ |h_X(u) − h_X(−u) − sᵀu|/2 = |mᵀu|/2, so that ‖m‖ ≤ 2β_d (with biases
    ‖m‖ ≤ β_d). rank(Z) < d_r ≤ 2: some unit u has Gu = 0, so that dist ≥ max(h_X(u), h_X(−u)) ≥ ½w_r‖Xu‖₁ there.
    """
    if evidence.beta is None:
        return NONE
    proof = _zero_mean(evidence, evidence.beta)
    return proof if proof[0] is not None else _narrow(evidence, evidence.beta)


def _zero_mean(evidence: SampledEvidence, beta: float) -> Proof:
    reach = 1.0 if evidence.has_bias else 2.0
    norm, latents = evidence.real.m_norm, evidence.latents
    margin, error = norm / reach - beta, _rounding(evidence)
    if latents.rho > 0.0 or margin <= error:
        return NONE
    text = f"z̄ = 0 ({latents.mean_text}) makes s = 0 and dist ≥ ‖m‖/{reach:g} = {norm / reach:.6g} > β_d = {beta:.6g}"
    clear = Check("z̄ = 0 is unambiguous", not latents.is_zero_ambiguous, latents.mean_text)
    return Infeasibility("zero_mean", text, margin, error), (clear,)


def _narrow(evidence: SampledEvidence, beta: float) -> Proof:
    """½w‖Xu‖₁ is concave between the breakpoints x_iᵀu = 0: its least value on the circle is at one of them."""
    latents, X = evidence.latents, evidence.X
    if latents.rank >= evidence.dim or evidence.dim != 2:
        return NONE
    lengths = np.linalg.norm(X, axis=1)
    rows = X[lengths > 0.0] / lengths[lengths > 0.0][:, None]
    if len(rows) == 0:
        return NONE
    u = np.column_stack([-rows[:, 1], rows[:, 0]])
    least = 0.5 * float((evidence.weights @ np.abs(X @ u.T)).min())
    margin, error = least - beta, _rounding(evidence)
    if margin <= error:
        return NONE
    text = (
        f"{latents.rank_text} leaves a direction u with Gu = 0, where dist ≥ ½w‖Xu‖₁ ≥ {least:.6g} > β_d = {beta:.6g}"
    )
    clear = Check("the rank of the noise is unambiguous", not latents.is_rank_ambiguous, latents.rank_text)
    return Infeasibility("rank", text, margin, error), (clear,)


def _rounding(evidence: SampledEvidence) -> float:
    return 8.0 * EPS * math.sqrt(len(evidence.X) + evidence.dim) * evidence.size
