"""What the generator pays, R_g, its conjugate R_g*, and the yardstick of the relative gap."""

from __future__ import annotations

import math

import numpy as np

from convexwgan.arrays import Float64
from convexwgan.certificates.features import ReluLatents
from convexwgan.certificates.moments import GameEvidence
from convexwgan.geometry.distances import polynomial_distance
from convexwgan.spec.regularizer import Regularizer
from convexwgan.spec.user_functions import user_number


def generator_cost(evidence: GameEvidence, W: Float64, S: Float64) -> float:
    """R_g of weights W, shape (p, d), whose output has second moment S; nan where it cannot be evaluated.

    output: (β_g/2) tr S; weights: (β_g/2)‖W‖_F²; norm: β_g‖·‖_p and custom: the user's ``value``, of G or W.
    """
    regularizer = evidence.regularizer
    if regularizer.kind == "output":
        return 0.5 * regularizer.strength * float(np.trace(S))
    if regularizer.kind == "weights":
        return 0.5 * regularizer.strength * float(np.vdot(W, W))
    return cost_of(regularizer, W if regularizer.of == "weights" else evidence.latents.output(W))


def cost_of(regularizer: Regularizer, argument: Float64) -> float:
    """A norm or custom cost of G or W itself; nan for a custom one without ``value``."""
    if regularizer.kind == "norm":
        return regularizer.strength * vector_norm(argument, regularizer.p)
    return math.nan if regularizer.value is None else user_number("value", regularizer.value, argument)


def conjugate_cost(regularizer: Regularizer, H: Float64) -> float:
    """R_g*(H) = max ⟨H, ·⟩ − R_g: the indicator of ‖H‖_q ≤ β_g for a norm, the user's for a custom cost."""
    if regularizer.kind == "norm":
        return 0.0 if vector_norm(H, dual_exponent(regularizer.p)) <= regularizer.strength else math.inf
    if regularizer.conjugate is None:
        return math.inf
    value = user_number("conjugate", regularizer.conjugate, H)
    return math.inf if math.isnan(value) else value


def vector_norm(matrix: Float64, p: float) -> float:
    """‖vec(matrix)‖_p, scaled by the largest entry so that powers neither overflow nor vanish."""
    magnitudes = np.abs(matrix)
    largest = float(magnitudes.max(initial=0.0))
    if largest == 0.0 or math.isinf(p):
        return largest
    total = float(np.sum((magnitudes / largest) ** p))
    return largest * math.pow(total, 1.0 / p)


def dual_exponent(p: float) -> float:
    """q with 1/p + 1/q = 1."""
    if p == 1.0:
        return math.inf
    return 1.0 if math.isinf(p) else p / (p - 1.0)


def value_scale(evidence: GameEvidence) -> float:
    """The size of the value as β_d → 0 were the noise well conditioned, or dist at G = 0 under a norm bound.

    output: (β_g/2)tr M, for a linear discriminator (β_g/2)‖m‖²/N_f; weights: the same of the leading direction,
    (β_g/2)σ_1²/λ_1 and (β_g/2)‖m‖²/(N_fλ_1); norm, custom: the cost of matching m with such noise. Neither 1/ρ nor
    1/λ_r is in it: they may be as large as 1e30, and then 1e-6 of them would excuse any gap. A mean that is zero
    but for rounding does not make the yardstick zero: 1e-6 of the data's energy stays.
    """
    if evidence.beta is None:
        return _distance_of_zero(evidence)
    if not evidence.regularizer.is_quadratic:
        return _mean_matching_cost(evidence)
    if evidence.generator.kind == "relu" and evidence.regularizer.kind == "weights":
        return _network_scale(evidence)
    real, half = evidence.real, 0.5 * evidence.strength / _weight_gain(evidence)
    if _sees_mean_only(evidence):
        return half * max(real.m_norm**2 / evidence.latents.mass, 1e-6 * real.trace)
    if evidence.regularizer.kind == "weights":
        return half * float(real.eigenvalues[0])
    return half * real.trace + evidence.mean_cost


def _network_scale(evidence: GameEvidence) -> float:
    """β_g‖m‖/φ* or β_gσ_1/(√w max‖(Nu)₊‖): the weights of a network are linear in its output."""
    latents, real = evidence.latents, evidence.real
    assert isinstance(latents, ReluLatents)
    if _sees_mean_only(evidence):
        size, gain = max(real.m_norm, 1e-3 * math.sqrt(real.trace)), latents.weight * latents.phi_star.upper
    else:
        size = math.sqrt(max(float(real.eigenvalues[0]), 0.0) / latents.weight)
        gain = latents.longest_feature.upper
    return evidence.strength * size / gain if gain > 0.0 else 0.0


def _sees_mean_only(evidence: GameEvidence) -> bool:
    return evidence.discriminator.kind == "linear" or evidence.discriminator.activation[0] == 0.0


def _weight_gain(evidence: GameEvidence) -> float:
    """λ_1: the most energy of output that a unit of energy of weights buys; 1 where the output is paid for."""
    if evidence.regularizer.of == "output" or evidence.latents.rank == 0:
        return 1.0
    return float(evidence.latents.eigenvalues[0])


def _distance_of_zero(evidence: GameEvidence) -> float:
    real, discriminator = evidence.real, evidence.discriminator
    if discriminator.kind == "linear":
        return real.m_norm
    if discriminator.kind == "quadratic":
        return float(evidence.real.eigenvalues[0]) + evidence.mean_cost
    zero = np.zeros_like(real.M), np.zeros_like(real.m)
    coefficients = discriminator.activation
    return polynomial_distance(real.M, zero[0], real.m, zero[1], evidence.mass_gap, coefficients).value


def _mean_matching_cost(evidence: GameEvidence) -> float:
    """R_g of outputs 1mᵀ/N_f, or of weights e_1mᵀ/√(N_fλ_1) that would make them were it all the mean of the noise."""
    latents, m = evidence.latents, evidence.real.m
    if evidence.regularizer.of == "output":
        argument = np.tile(m / latents.mass, (latents.width_of_output, 1))
    else:
        argument = np.zeros((latents.width, evidence.dim))
        argument[0] = m / math.sqrt(latents.mass * _weight_gain(evidence))
    cost = cost_of(evidence.regularizer, argument)
    return abs(cost) if math.isfinite(cost) else 0.0
