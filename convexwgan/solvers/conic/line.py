"""One feature, ReLU neurons with bias: sorted outputs whose integrated quantiles stay within β_d (MATH 1.6)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from convexwgan.arrays import Float64
from convexwgan.geometry.majorization import bottom_sums
from convexwgan.solvers.conic.model import ConicModel, Values, dual, load_cvxpy, positive_or_one, primal
from convexwgan.spec.regularizer import Regularizer


def line_program(
    x: Float64, n_fake: int, *, beta: float | None, regularizer: Regularizer, weight: float, natural: bool = False
) -> ConicModel:
    """Sorted outputs with integrated quantiles near those of the data, at the least regularisation.

    Problem, weight decay and (beta None) norm bound, with P_k the sum of the k smallest outputs:
        min R_g(w)      s.t.  |Q_w(t) − Q_x(t)| ≤ β,  |Q_w(1) − Q_w(t) − Q_x(1) + Q_x(t)| ≤ β,  w_1 ≤ … ≤ w_n
        min R_g(w) + β  s.t.  the same, β a variable
    at t = k/n_r and k/n_f, where Q_w(k/n_f) = P_k times the weight of a sample and Q_w is linear between. P_k are
    variables, P_k = P_{k−1} + w_k, so that every row of the program has a few entries.

    Args:
        x: data, shape (n_r,).
        n_fake: n_f; n_r for sums.
        beta: β_d, or None for the norm bound.
        regularizer: (β_g w/2)‖G‖_F² or a p-norm of G.
        weight: of one generated sample, 1 for sums and 1/n_f for means.
        natural: keep the user's units.

    Returns:
        ConicModel: values "w" (n_f,) sorted, "beta" (); multipliers "below", "above" (T,), of the two families at
        ``shares`` t, signed.

    Reference: Theorem 2.2; MATH 1.6.

    >>> import numpy as np
    >>> from convexwgan.solvers.conic import run
    >>> model = line_program(np.array([-1.0, 1.0]), 2, beta=0.1, regularizer=Regularizer.output(2.0), weight=1.0)
    >>> print(round(run(model).objective, 5))
    1.62
    """
    cp = load_cvxpy()
    unit = (
        1.0
        if natural
        else positive_or_one(max(float(np.abs(x).max()), 0.0 if beta is None else beta / (weight * n_fake)))
    )
    shares = quantile_shares(len(x), n_fake)
    mass = weight * n_fake
    target = mass * np.interp(shares, np.arange(len(x) + 1) / len(x), bottom_sums(x / unit)) / len(x)
    w, P = cp.Variable(n_fake, name="w"), cp.Variable(n_fake, name="P")
    radius = cp.Variable(nonneg=True, name="beta") if beta is None else beta / unit
    below = weight * (_interpolation(shares, n_fake) @ P) - target
    above = weight * P[n_fake - 1] - target[-1] - below[:-1]
    steps = [P[0] == w[0], P[1:] == P[:-1] + w[1:], w[1:] >= w[:-1]] if n_fake > 1 else [w == P]
    tubes = [below <= radius, -below <= radius]
    tubes += [above <= radius, -above <= radius] if len(shares) > 1 else []
    cost, size = _cost(w, regularizer, weight, unit)
    value_unit = 1.0 if natural else positive_or_one(max(size, 0.0 if beta is not None else unit * mass))
    penalty = (unit / value_unit) * radius if beta is None else 0.0
    problem = cp.Problem(cp.Minimize((1.0 / value_unit) * cost + penalty), [*tubes, *steps])

    def unpack() -> Values:
        found = primal(radius, unit) if beta is None else np.asarray(beta)
        return {"w": np.sort(primal(w, unit)), "beta": found}

    def multipliers() -> Values:
        prices = [dual(tube, value_unit / unit) for tube in tubes]
        above = prices[2] - prices[3] if len(prices) > 2 else np.zeros(0)
        return {"below": prices[0] - prices[1], "above": above}

    named = {entry.name(): entry for entry in (w, P, radius) if not isinstance(entry, float)}
    return ConicModel("line", problem, named, unpack, multipliers, value_unit)


def quantile_shares(n_real: int, n_fake: int) -> Float64:
    """The shares t in (0, 1] at which two integrated quantile functions have to be compared."""
    real, fake = np.arange(1, n_real + 1), np.arange(1, n_fake + 1)
    common = math.lcm(n_real, n_fake)
    return np.union1d(real * (common // n_real), fake * (common // n_fake)) / common


def _interpolation(shares: Float64, n: int) -> Any:
    """Sparse A (T, n) with A P = the polygon through (k/n, P_k), P_0 = 0, at the shares."""
    from scipy.sparse import csr_array

    place = np.minimum(np.floor(shares * n * (1.0 + 1e-15)).astype(np.int64), n)
    part = np.clip(shares * n - place, 0.0, 1.0)
    part[part < 1e-9] = 0.0
    rows = np.arange(len(shares))
    left, right = place > 0, (part > 0.0) & (place < n)
    entries = np.concatenate([(1.0 - part)[left], part[right]])
    columns = np.concatenate([place[left] - 1, place[right]])
    return csr_array((entries, (np.concatenate([rows[left], rows[right]]), columns)), shape=(len(shares), n))


def _cost(w: Any, regularizer: Regularizer, weight: float, unit: float) -> tuple[Any, float]:
    """R_g in the user's units of w = unit·w', and its size where |w'| = 1."""
    cp = load_cvxpy()
    n = int(w.shape[0])
    if regularizer.kind == "output":
        factor = 0.5 * regularizer.strength * weight * unit**2
        return factor * cp.sum_squares(w), factor * n
    size = regularizer.strength * unit
    return size * cp.norm(w, regularizer.p), size * n ** (0.0 if math.isinf(regularizer.p) else 1.0 / regularizer.p)
