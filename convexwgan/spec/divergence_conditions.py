"""What a user's (f₀, f₁) must satisfy for p_g = p_d at the saddle, each condition by name (MATH §6)."""

from __future__ import annotations

import math

import numpy as np

from convexwgan.arrays import Float64
from convexwgan.errors import InputError
from convexwgan.spec.divergence_rows import Scalar

TOLERANCE = 1e-6
_SUBJECT = "of Divergence.custom"


def derivative(f: Scalar, domain: tuple[float, float]) -> Scalar:
    """f' by central differences of step 1e-5, smaller near the ends of the domain.

    >>> float(derivative(np.log, (0.0, math.inf))(np.array(2.0)).round(6))
    0.5
    """

    def slope(D: Float64) -> Float64:
        room = np.minimum(D - domain[0], domain[1] - D)
        h = np.minimum(1e-5 * np.maximum(1.0, np.abs(D)), room / 2)
        return np.asarray((_numbers(f, D + h) - _numbers(f, D - h)) / (2 * h))

    return lambda D: slope(np.asarray(D, dtype=np.float64))


def check_conditions(
    f0: Scalar, f1: Scalar, df0: Scalar, df1: Scalar, optimum: float, domain: tuple[float, float]
) -> None:
    """Refuse a pair whose game need not have its saddle at p_g = p_d.

    Raises:
        InputError: f₀ or f₁ not a function of arrays, D* outside the domain, not finite, f₁(D*) ≠ 0,
            f₀'(D*) + f₁'(D*) ≠ 0, f₁'(D*) = 0, or not concave; the first that fails.
    """
    if not domain[0] < optimum < domain[1]:
        raise InputError(f"optimum {_SUBJECT}", optimum, f"lie inside the domain {domain}", "move D* or the domain")
    for label, f in (("f0", f0), ("f1", f1), ("f0'", df0), ("f1'", df1)):
        if not callable(f):
            raise InputError(f"{label} {_SUBJECT}", f, "be a function of an array", "as f0=lambda D: np.log(D)")
        _check_shape(label, f, np.array([optimum, optimum]))
    with np.errstate(all="ignore"):
        _check_at_optimum(f0, f1, df0, df1, optimum)
        for label, f in (("f0", f0), ("f1", f1)):
            _check_concave(label, f, _grid(optimum, domain))


def _check_shape(label: str, f: Scalar, point: Float64) -> None:
    """Refuse a function that fails on an array, or whose answer has another shape."""
    must = "map an array to an array of its shape"
    try:
        with np.errstate(all="ignore"):
            shape = np.shape(np.asarray(f(point), dtype=np.float64))
    except Exception as error:  # whatever the user's function raises is its own message
        raise InputError(f"{label} {_SUBJECT}", f, must, f"it raises {type(error).__name__}: {error}") from error
    if shape not in ((), point.shape):
        raise InputError(f"{label} {_SUBJECT}", f, must, f"of shape {point.shape} it makes {shape}")


def _check_at_optimum(f0: Scalar, f1: Scalar, df0: Scalar, df1: Scalar, optimum: float) -> None:
    point = np.array([optimum])
    value0, value1, slope0, slope1 = (float(_numbers(f, point)[0]) for f in (f0, f1, df0, df1))
    for label, number in (("f0(D*)", value0), ("f1(D*)", value1), ("f0'(D*)", slope0), ("f1'(D*)", slope1)):
        if not math.isfinite(number):
            raise InputError(f"{label} {_SUBJECT}", number, "be finite", f"D* = {optimum:g} must be inside the domain")
    if abs(value1) > TOLERANCE:
        remedy = f"at D* = {optimum:g} the constraint f₁(D) ≥ 0 has to be tight"
        raise InputError(f"f1(D*) {_SUBJECT}", value1, "be 0", remedy)
    if abs(slope0 + slope1) > TOLERANCE * max(1.0, abs(slope0)):
        remedy = f"at D* = {optimum:g} the slopes {slope0:g} and {slope1:g} must cancel, or p_g = p_d is no saddle"
        raise InputError(f"f0'(D*) + f1'(D*) {_SUBJECT}", slope0 + slope1, "be 0", remedy)
    if abs(slope1) <= TOLERANCE:
        raise InputError(f"f1'(D*) {_SUBJECT}", slope1, "not be 0", "else no D is strictly feasible, or none is priced")


def _grid(optimum: float, domain: tuple[float, float]) -> Float64:
    """Points inside the domain at many scales around D* and towards finite ends."""
    steps = np.geomspace(1e-4, 1e3, 60)
    parts = [optimum + steps, optimum - steps]
    for end, sign in zip(domain, (1.0, -1.0), strict=True):
        if math.isfinite(end):
            parts.append(end + sign * abs(optimum - end) * np.geomspace(1e-6, 1.0, 60))
    points = np.concatenate(parts)
    return np.unique(points[(points > domain[0]) & (points < domain[1])])


def _check_concave(label: str, f: Scalar, grid: Float64) -> None:
    """f((x+y)/2) ≥ (f(x)+f(y))/2 for neighbours and for pairs far apart."""
    values = _numbers(f, grid)
    if not np.all(np.isfinite(values)):
        bad = float(grid[~np.isfinite(values)][0])
        raise InputError(
            f"{label} {_SUBJECT} at D = {bad:g}", float("nan"), "be finite", "say where: domain=(low, high)"
        )
    for apart in (1, 3, 10, 40):
        x, y = grid[:-apart], grid[apart:]
        ends = (values[:-apart], values[apart:])
        middle, chord = _numbers(f, (x + y) / 2), (ends[0] + ends[1]) / 2
        size = np.maximum(np.abs(ends[0]), np.abs(ends[1])) + np.abs(middle) + 1
        worst = int(np.argmax((chord - middle) / size)) if len(x) else 0
        if len(x) and chord[worst] - middle[worst] > 1e-12 * size[worst]:
            where = f"between D = {x[worst]:.4g} and {y[worst]:.4g} it lies below its chord"
            excess = float(middle[worst] - chord[worst])
            raise InputError(f"concavity of {label} {_SUBJECT}", excess, "be ≥ 0 on the domain", where)


def _numbers(f: Scalar, D: Float64) -> Float64:
    return np.broadcast_to(np.asarray(f(D), dtype=np.float64), np.shape(D))
