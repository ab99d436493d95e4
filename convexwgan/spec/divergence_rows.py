"""The seven rows: f₀, f₁, two derivatives and the best response of each named divergence (MATH §6).

Every function is concave on its domain and −∞ outside, takes arrays of any array-API library (NumPy, PyTorch with
gradients) and returns the same kind. Best responses are for NumPy.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from convexwgan.arrays import Array, Float64, namespace

Scalar = Callable[[Array], Array]
BestResponse = Callable[[Float64, Float64], Float64]
INF = math.inf


@dataclass(frozen=True)
class Row:
    """One line of the table: (f, f', f'') of f₀ and of f₁, D*, the open domain of D, and argmax_D a f₀ + b f₁."""

    f0: tuple[Scalar, Scalar, Scalar]
    f1: tuple[Scalar, Scalar, Scalar]
    optimum: float
    domain: tuple[float, float]
    best: BestResponse
    text: tuple[str, str]
    formula: str


def safe_log(x: Array) -> Array:
    """log x, and −∞ for x ≤ 0: no warning in NumPy, no NaN gradient in PyTorch.

    >>> safe_log(np.array([1.0, 0.0, -1.0]))
    array([  0., -inf, -inf])
    """
    xp = namespace(x)
    inside = x > 0
    return xp.where(inside, xp.log(xp.where(inside, x, xp.ones_like(x))), xp.full_like(x, -INF))


def _inverse(x: Array, power: int = 1) -> Array:
    """x^{-power} for x > 0, and ∞ for x ≤ 0."""
    xp = namespace(x)
    inside = x > 0
    return xp.where(inside, xp.where(inside, x, xp.ones_like(x)) ** (-power), xp.full_like(x, INF))


def _constant(value: float) -> Scalar:
    return lambda D: namespace(D).full_like(D, value)


def _linear(slope: float, shift: float = 0.0) -> tuple[Scalar, Scalar, Scalar]:
    return (lambda D: slope * D + shift), _constant(slope), _constant(0.0)


def _quadratic(a: float, b: float, c: float = 0.0) -> tuple[Scalar, Scalar, Scalar]:
    """a D² + b D + c."""
    return (lambda D: a * D**2 + b * D + c), (lambda D: 2 * a * D + b), _constant(2 * a)


_LOG: tuple[Scalar, Scalar, Scalar] = (safe_log, _inverse, lambda D: -_inverse(D, 2))


def _ratio(numerator: Float64, denominator: Float64) -> Float64:
    """numerator/denominator ≥ 0, ∞ where only the denominator is 0, nan where both are."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(numerator / denominator, dtype=np.float64)


def jensen_shannon() -> Row:
    """f₀ = log D, f₁ = log(1−D) + log 2; D = a/(a+b)."""
    f1: tuple[Scalar, Scalar, Scalar] = (
        lambda D: safe_log(1 - D) + math.log(2),
        lambda D: -_inverse(1 - D),
        lambda D: -_inverse(1 - D, 2),
    )
    text = "log D", "log(1−D) + log 2"
    formula = "2·JS(p_d, p_g) − log 2"
    return Row(_LOG, f1, 0.5, (0.0, 1.0), lambda a, b: _ratio(a, a + b), text, formula)


def kullback_leibler() -> Row:
    """f₀ = log D, f₁ = 1 − D; D = a/b."""
    return Row(_LOG, _linear(-1.0, 1.0), 1.0, (0.0, INF), _ratio, ("log D", "1−D"), "KL(p_d ‖ p_g)")


def reverse_kl() -> Row:
    """f₀ = −D, f₁ = log D; D = b/a."""
    text = "−D", "log D"
    return Row(_linear(-1.0), _LOG, 1.0, (0.0, INF), lambda a, b: _ratio(b, a), text, "KL(p_g ‖ p_d) − 1")


def pearson() -> Row:
    """f₀ = D, f₁ = −D²/4 − D; D = 2(a−b)/b."""
    text = "D", "−D²/4 − D"
    return Row(
        _linear(1.0),
        _quadratic(-0.25, -1.0),
        0.0,
        (-INF, INF),
        lambda a, b: _ratio(2 * (a - b), b),
        text,
        "χ²(p_d, p_g)",
    )


def hellinger() -> Row:
    """f₀ = 1 − D, f₁ = 1 − 1/D; D = √(b/a)."""
    f1: tuple[Scalar, Scalar, Scalar] = (
        lambda D: 1 - _inverse(D),
        lambda D: _inverse(D, 2),
        lambda D: -2 * _inverse(D, 3),
    )
    text = "1−D", "1 − 1/D"
    return Row(_linear(-1.0, 1.0), f1, 1.0, (0.0, INF), lambda a, b: np.sqrt(_ratio(b, a)), text, "Σ(√p_d − √p_g)²")


def least_squares() -> Row:
    """f₀ = −(1−D)², f₁ = ¼ − D²; D = a/(a+b)."""
    text = "−(1−D)²", "¼ − D²"
    formula = "¼Σ(p_g − p_d)²/(p_d + p_g) − ¼"
    return Row(
        _quadratic(-1.0, 2.0, -1.0),
        _quadratic(-1.0, 0.0, 0.25),
        0.5,
        (-INF, INF),
        lambda a, b: _ratio(a, a + b),
        text,
        formula,
    )


def wasserstein(epsilon: float) -> Row:
    """f₀ = D − εD², f₁ = −D; D = (a−b)/(2εa)."""
    text = (f"D − {epsilon:g}D²" if epsilon else "D"), "−D"
    formula = "Σ(p_d − p_g)²/(4εp_d)" if epsilon else "0 where p_g = p_d, else ∞"
    return Row(
        _quadratic(-epsilon, 1.0),
        _linear(-1.0),
        0.0,
        (-INF, INF),
        lambda a, b: _ratio(a - b, 2 * epsilon * a),
        text,
        formula,
    )


ROWS: dict[str, Callable[..., Row]] = {
    "jensen-shannon": jensen_shannon,
    "kullback-leibler": kullback_leibler,
    "reverse-kl": reverse_kl,
    "pearson": pearson,
    "hellinger": hellinger,
    "least-squares": least_squares,
    "wasserstein": wasserstein,
}


def bisect_response(df0: Scalar, df1: Scalar, domain: tuple[float, float], optimum: float) -> BestResponse:
    """argmax_D a f₀(D) + b f₁(D) of concave f₀, f₁ by bisection on the decreasing slope a f₀' + b f₁'.

    >>> f0, f1 = (lambda D: 1 / D), (lambda D: -np.ones_like(D))  # KL by its derivatives
    >>> bisect_response(f0, f1, (0.0, math.inf), 1.0)(np.array([3.0]), np.array([2.0])).round(9)
    array([1.5])
    """

    def best(a: Float64, b: Float64) -> Float64:
        lower = np.broadcast_to(_far(domain[0], optimum, -1.0), a.shape).astype(np.float64)
        upper = np.broadcast_to(_far(domain[1], optimum, 1.0), a.shape).astype(np.float64)
        for _ in range(200):
            middle = np.where(_bisect_by_size(lower, upper), _geometric(lower, upper), (lower + upper) / 2)
            rising = a * _numbers(df0, middle) + b * _numbers(df1, middle) > 0
            lower, upper = np.where(rising, middle, lower), np.where(rising, upper, middle)
        return np.where((a == 0) & (b == 0), np.nan, (lower + upper) / 2)

    return best


def _far(end: float, optimum: float, sign: float) -> float:
    """The end of the domain, pulled inside; 1e12 stands for infinity."""
    reach = 1e12 if math.isinf(end) else abs(end - optimum) * (1 - 1e-15)
    return optimum + sign * reach


def _bisect_by_size(lower: Float64, upper: Float64) -> Any:
    return (lower > 0) & (upper > 4 * lower)


def _geometric(lower: Float64, upper: Float64) -> Float64:
    return np.asarray(np.sqrt(np.abs(lower)) * np.sqrt(np.abs(upper)))


def _numbers(function: Scalar, D: Float64) -> Float64:
    return np.asarray(function(D), dtype=np.float64)
