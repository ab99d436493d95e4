"""The least spread numbers within a distance of given ones: one isotonic regression for every symmetric convex cost.

    |T_k(w) − T_k(x)| ≤ β and |B_k(w) − B_k(x)| ≤ β for k = 1, …, n                                            (*)

In sorted order and with prefix sums P_k = B_k(w), (*) is a tube around the convex polygon B_k(x). The largest convex
function under the ceiling of the tube is feasible, and majorises nothing but itself: its slopes are the isotonic
regression of (x_1 + β, x_2, …, x_{n−1}, x_n − β). See docs/relu_discriminators.md for the proof.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from convexwgan.arrays import Float64
from convexwgan.errors import InputError


@dataclass(frozen=True, eq=False)
class LeastSpread:
    """w sorted (n,), as blocks of equal numbers: ``levels`` ω_1 < … < ω_p and ``sizes``.

    ``shift``: Σw − Σx, in [−β, β]; not 0 only where w has one sign, and then all that helps towards 0.
    """

    w: Float64
    levels: Float64
    sizes: npt.NDArray[np.int64]
    shift: float


def least_spread(x: Float64, beta: float) -> LeastSpread:
    """The w that has the least R(w) under (*), for every convex R that permutations and changes of sign leave alone.

    min R(w)  s.t.  |T_k(w) − T_k(x)| ≤ β, |B_k(w) − B_k(x)| ≤ β,  k = 1, …, n

    Every p-norm and Σw_i² has this one minimiser. O(n log n).

    Args:
        x: numbers, shape (n,), in any order.
        beta: β ≥ 0.

    Raises:
        InputError: x is empty or not finite, or β is negative.

    Reference:
        MATH 1.6 (ours); Best and Chakravarti, Active set algorithms for isotonic regression, Math. Prog. 47 (1990).

    >>> least_spread(np.array([-1.0, 1.0]), 0.1).w.tolist()
    [-0.9, 0.9]
    >>> least_spread(np.array([-1.0, 0.0, 1.0]), 1.0).w.tolist()
    [0.0, 0.0, 0.0]
    >>> least_spread(np.array([1.0, 3.0]), 1.5).w.tolist()
    [1.0, 1.5]
    """
    x = np.sort(np.asarray(x, dtype=np.float64))
    if x.ndim != 1 or x.size == 0 or not np.isfinite(x).all() or not beta >= 0.0:
        raise InputError("x and beta", (x, beta), "be finite numbers and β >= 0", "give one sample at least")
    w = _regressed(x, beta, 0.0)
    shift = 0.0
    if w[-1] < 0.0:
        shift = _upward(x, beta)
    elif w[0] > 0.0:
        shift = -_upward(-x[::-1], beta)
    return least_spread_at(x, beta, shift)


def least_spread_at(x: Float64, beta: float, shift: float) -> LeastSpread:
    """The same for a given shift Σw − Σx in [−β, β]: then R need not be left alone by changes of sign.

    >>> least_spread_at(np.array([-1.0, 1.0]), 0.5, 0.5).w.tolist()
    [-0.5, 1.0]
    """
    w = _regressed(np.sort(np.asarray(x, dtype=np.float64)), beta, shift)
    levels, sizes = np.unique(w, return_counts=True)
    return LeastSpread(w, levels, sizes, shift)


def _upward(x: Float64, beta: float) -> float:
    """The shift of Σw that lifts the largest level to 0, at most β: every ceiling 0, P_k + β is then ≥ P_n + shift."""
    ceiling = np.concatenate([[0.0], np.cumsum(x[:-1]) + beta])
    return float(min(beta, ceiling.min() - x.sum()))


def _regressed(x: Float64, beta: float, shift: float) -> Float64:
    """Slopes of the largest convex function under the ceiling, from (0, 0) to (n, Σx + shift)."""
    from scipy.optimize import isotonic_regression

    steps = x.copy()
    steps[0] += beta + min(shift, 0.0)
    steps[-1] += max(shift, 0.0) - beta
    w = np.asarray(isotonic_regression(steps).x, dtype=np.float64)
    if shift != 0.0:  # the level that was meant to be 0 is so exactly
        size = float(np.abs(x).max()) + beta
        w[np.abs(w) <= 1e-14 * len(x) * size] = 0.0
    return w
