"""What the generator pays, R_g, its conjugate R_g*, and the yardstick of the relative gap."""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable
from typing import Any

import numpy as np

from convexwgan.arrays import Float64
from convexwgan.certificates.moments import GameEvidence
from convexwgan.errors import InputError
from convexwgan.geometry.distances import polynomial_distance


def generator_cost(evidence: GameEvidence, W: Float64, S: Float64) -> float:
    """R_g of weights W, shape (p, d), whose output has second moment S; nan where it cannot be evaluated.

    output: (β_g/2) tr S; weights: (β_g/2)‖W‖_F²; norm: β_g‖·‖_p and custom: the user's ``value``, of G or W.
    """
    regularizer = evidence.regularizer
    if regularizer.kind == "output":
        return 0.5 * regularizer.strength * float(np.trace(S))
    if regularizer.kind == "weights":
        return 0.5 * regularizer.strength * float(np.vdot(W, W))
    argument = W if regularizer.of == "weights" else evidence.latents.output(W)
    if regularizer.kind == "norm":
        return regularizer.strength * vector_norm(argument, regularizer.p)
    return math.nan if regularizer.value is None else _user_number("value", regularizer.value, argument)


def conjugate_cost(evidence: GameEvidence, H: Float64) -> float:
    """R_g*(H) = max ⟨H, ·⟩ − R_g: the indicator of ‖H‖_q ≤ β_g for a norm, the user's for a custom cost."""
    regularizer = evidence.regularizer
    if regularizer.kind == "norm":
        return 0.0 if vector_norm(H, dual_exponent(regularizer.p)) <= regularizer.strength else math.inf
    if regularizer.conjugate is None:
        return math.inf
    value = _user_number("conjugate", regularizer.conjugate, H)
    return math.inf if math.isnan(value) else value


def _user_number(role: str, function: Callable[[Float64], float], argument: Float64) -> float:
    """What a user's function returns; whatever goes wrong in it is said as one error of ours.

    Raises:
        InputError: the function raised, or returned no number.
    """
    subject = f"{role} of Regularizer.custom"
    try:
        result: Any = function(argument)
    except Exception as error:  # a user's function may raise anything; the cause travels along
        remedy = f"it raised {type(error).__name__}: {error}"
        raise InputError(subject, argument, "be a function of such an array", remedy) from error
    if isinstance(result, bool) or not isinstance(result, (numbers.Real, np.ndarray)) or np.ndim(result) != 0:
        raise InputError(
            f"result of {subject}", result, "be one real number", "return a float, math.inf where infinite"
        )
    return float(result)


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
    """An upper bound on the value as β_d → 0, or dist at G = 0 under a norm bound.

    output: (β_g/2)(tr M + ‖m‖²/ρ), the second term where a mean is matched; weights: (β_g/2)‖m‖²/‖z̄‖² or
    (β_g/2)Σσ_i²/λ_i; norm, custom: the cost of the least-norm weights with s = m. A mean that is zero but for
    rounding does not make the yardstick zero: 1e-6 of the data's energy stays.
    """
    if evidence.beta is None:
        return _distance_of_zero(evidence)
    if evidence.regularizer.kind == "output":
        return _output_scale(evidence)
    if evidence.regularizer.kind == "weights":
        return _weights_scale(evidence)
    return _mean_matching_cost(evidence)


def _distance_of_zero(evidence: GameEvidence) -> float:
    real, discriminator = evidence.real, evidence.discriminator
    if discriminator.kind == "linear":
        return real.m_norm
    if discriminator.kind == "quadratic":
        return float(evidence.real.eigenvalues[0]) + evidence.mean_cost
    zero = np.zeros_like(real.M), np.zeros_like(real.m)
    coefficients = discriminator.activation
    return polynomial_distance(real.M, zero[0], real.m, zero[1], evidence.mass_gap, coefficients).value


def _output_scale(evidence: GameEvidence) -> float:
    real, rho, half = evidence.real, evidence.latents.rho, 0.5 * evidence.strength
    mean = real.m_norm**2 / rho if rho > 0 else 0.0
    if evidence.discriminator.kind == "linear":
        return half * max(mean, 1e-6 * real.trace)
    sees_mean = evidence.discriminator.skip or evidence.discriminator.activation[1] != 0
    return half * (real.trace + (mean if sees_mean and rho < evidence.latents.mass else 0.0))


def _weights_scale(evidence: GameEvidence) -> float:
    real, latents, half = evidence.real, evidence.latents, 0.5 * evidence.strength
    if evidence.discriminator.kind == "linear":
        energy = real.trace / float(latents.eigenvalues[0]) if latents.rank else 0.0
        mean = real.m_norm**2 / latents.z_norm**2 if latents.rho > 0 else 0.0
        return half * max(mean, 1e-6 * energy)
    count = min(latents.rank, evidence.dim)
    return half * float(np.sum(real.eigenvalues[:count] / latents.eigenvalues[:count]))


def _mean_matching_cost(evidence: GameEvidence) -> float:
    latents, real = evidence.latents, evidence.real
    frame = latents.frame
    if frame.e is None:
        return 0.0
    W = frame.weights(np.outer(frame.e, real.m) / math.sqrt(frame.rho))
    cost = generator_cost(evidence, W, np.outer(real.m, real.m) / frame.rho)
    return abs(cost) if math.isfinite(cost) else 0.0
