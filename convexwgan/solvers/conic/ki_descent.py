"""Limited-memory quasi-Newton descent with some variables kept nonnegative."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from convexwgan.arrays import Float64

Objective = Callable[[Float64], tuple[float, Float64]]

_MEMORY = 10
_ARMIJO = 1e-4
_HALVINGS = 30
_STALL = 1e-9


def descend(fun: Objective, x: Float64, nonnegative: slice, max_iter: int, deadline: float | None = None) -> Float64:
    """A point of lower value: L-BFGS on the free variables, projected backtracking (two-metric projection).

    A variable is bound while it is 0 and its slope positive; curvature is read from the free ones only. SciPy's
    L-BFGS-B does the same with exact Cauchy points; at 750,000 variables it took 27 of 31 seconds for itself.

    Args:
        fun: x ↦ (value, gradient), convex and smooth.
        x: start, with x[nonnegative] ≥ 0.
        nonnegative: the variables that stay ≥ 0.
        max_iter: steps; it stops earlier when two steps in a row gain less than 1e-9 of the value.
        deadline: of ``time.monotonic()``.

    Reference: Bertsekas 1982 (two-metric projection); Nocedal and Wright, Numerical Optimization, Algorithm 7.4.

    >>> target = np.array([-1.0, 2.0])
    >>> descend(lambda x: (float((x - target) @ (x - target)), 2 * (x - target)), np.ones(2), slice(0, 2), 20).tolist()
    [0.0, 2.0]
    """
    value, gradient = fun(x)
    steps: deque[tuple[Float64, Float64]] = deque(maxlen=_MEMORY)
    stalled = 0
    for _ in range(max_iter):
        if stalled == 2 or (deadline is not None and time.monotonic() > deadline):
            break
        is_free = np.ones(len(x), dtype=np.bool_)
        is_free[nonnegative] = (x[nonnegative] > 0) | (gradient[nonnegative] < 0)
        direction = -_inverse_hessian(gradient * is_free, steps, is_free)
        found = _backtrack(fun, x, value, gradient, direction, nonnegative)
        if found is None and steps:
            steps.clear()  # the memory misled: start again from the gradient
            continue
        if found is None:
            break
        step, new_value, new_gradient = found
        change = new_gradient - gradient
        if step @ change > 1e-12 * np.linalg.norm(step) * np.linalg.norm(change):
            steps.append((step, change))
        stalled = stalled + 1 if value - new_value <= _STALL * abs(value) else 0
        x, value, gradient = _projected(x + step, nonnegative), new_value, new_gradient
    return x


def _inverse_hessian(
    gradient: Float64, steps: deque[tuple[Float64, Float64]], is_free: npt.NDArray[np.bool_]
) -> Float64:
    """The two-loop recursion on the free variables; a unit step down the gradient where nothing is remembered."""
    q, used = gradient.copy(), []
    for s, y in reversed(steps):
        curvature = float(s @ (y * is_free))
        if curvature > 1e-12 * np.linalg.norm(s) * np.linalg.norm(y):
            weight = float(s @ q) / curvature
            q -= weight * (y * is_free)
            used.append((s, y, curvature, weight))
    if not used:
        return q / max(float(np.linalg.norm(q)), 1.0)
    s, y, curvature, _ = used[0]
    q *= curvature / float(np.sum((y * is_free) ** 2))
    for s, y, curvature, weight in reversed(used):
        q += (weight - float(y @ q) / curvature) * (s * is_free)
    return q


def _backtrack(
    fun: Objective, x: Float64, value: float, gradient: Float64, direction: Float64, nonnegative: slice
) -> tuple[Float64, float, Float64] | None:
    """The first of the steps 1, ½, ¼, … along the projected path that gains enough; None where none does."""
    length = 1.0
    for _ in range(_HALVINGS):
        step = _projected(x + length * direction, nonnegative) - x
        slope = float(gradient @ step)
        if slope < 0:
            new_value, new_gradient = fun(x + step)
            if new_value <= value + _ARMIJO * slope:
                return step, new_value, new_gradient
        length /= 2
    return None


def _projected(x: Float64, nonnegative: slice) -> Float64:
    x = x.copy()
    np.maximum(x[nonnegative], 0.0, out=x[nonnegative])
    return x
