"""One feature, ReLU neurons with bias: sorted outputs whose integrated quantiles stay within β_d (MATH 1.6)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from convexwgan.arrays import Float64
from convexwgan.geometry.majorization import bottom_sums
from convexwgan.solvers.conic.mean import custom_cost
from convexwgan.solvers.conic.model import ConicModel, Values, dual, load_cvxpy, positive_or_one, primal
from convexwgan.spec.regularizer import Regularizer

Integers = npt.NDArray[np.int64]


def line_program(
    x: Float64, n_fake: int, *, beta: float | None, regularizer: Regularizer, weight: float, natural: bool = False
) -> ConicModel:
    """Sorted outputs with integrated quantiles near those of the data, at the least regularisation.

    Problem, weight decay and (beta None) norm bound, with P_k the sum of the k smallest outputs:
        min R_g(w)      s.t.  |Q_w(t) − Q_x(t)| ≤ β,  |Q_w(1) − Q_w(t) − Q_x(1) + Q_x(t)| ≤ β,  w_1 ≤ … ≤ w_n
        min R_g(w) + β  s.t.  the same, β a variable
    where Q_w(k/n_f) = P_k times the weight of a sample and Q_w is linear between. P_k are variables,
    P_k = P_{k−1} + w_k, so that every row of the program has a few entries.

    Both Q are convex polygons: Q_w ≤ Q_x + c is to be asked at the kinks of Q_x only, and outputs that no kink parts
    may be averaged, which raises Q_w between the kinks. So they are one variable, and Q_w ≥ Q_x + c is to be asked
    at their ends only: data with ties make a small program, whatever n_r and n_f are.

    Args:
        x: data, shape (n_r,).
        n_fake: n_f; n_r for sums.
        beta: β_d, or None for the norm bound.
        regularizer: (β_g w/2)‖G‖_F², a p-norm of G, or a custom function that no order of G changes.
        weight: of one generated sample, 1 for sums and 1/n_f for means.
        natural: keep the user's units (always so for custom functions), and one variable for each output.

    Returns:
        ConicModel: values "w" (n_f,) sorted, "beta" (); multipliers "below", "above" (T,), of the two families at
        ``quantile_shares`` t, signed.

    Raises:
        InputError: a custom f that fails, or returns something other than a scalar convex expression.

    Reference: Theorem 2.2; MATH 1.6.

    >>> import numpy as np
    >>> from convexwgan.solvers.conic import run
    >>> model = line_program(np.array([-1.0, 1.0]), 2, beta=0.1, regularizer=Regularizer.output(2.0), weight=1.0)
    >>> print(round(run(model).objective, 5))
    1.62
    """
    cp = load_cvxpy()
    runs = _runs(np.sort(x), n_fake, merged=not natural)
    natural = natural or regularizer.kind == "custom"
    mass = weight * n_fake
    largest = max(float(np.abs(x).max()), 0.0 if beta is None else beta / mass)
    unit = 1.0 if natural else positive_or_one(largest)
    w, P = cp.Variable(len(runs.sizes), name="w"), cp.Variable(len(runs.sizes), name="P")
    radius = cp.Variable(nonneg=True, name="beta") if beta is None else beta / unit
    target = mass * np.interp(runs.shares, np.arange(len(x) + 1) / len(x), bottom_sums(x / unit)) / len(x)
    below = weight * (runs.interpolation @ P) - target
    above = weight * P[len(runs.sizes) - 1] - target[-1] - below
    rows = _rows(runs)
    tubes = [sign * (below, above)[family][places] <= radius for family, sign, places in rows]
    steps = [P[0] == runs.sizes[0] * w[0]]
    if len(runs.sizes) > 1:
        steps += [P[1:] == P[:-1] + cp.multiply(runs.sizes[1:], w[1:]), w[1:] >= w[:-1]]
    cost, size = _cost(w, runs.sizes, regularizer, weight, unit)
    value_unit = 1.0 if natural else positive_or_one(max(size, 0.0 if beta is not None else unit * mass))
    penalty = (unit / value_unit) * radius if beta is None else 0.0
    problem = cp.Problem(cp.Minimize((1.0 / value_unit) * cost + penalty), [*tubes, *steps])

    def unpack() -> Values:
        found = primal(radius, unit) if beta is None else np.asarray(beta)
        return {"w": np.repeat(np.sort(primal(w, unit)), runs.sizes), "beta": found}

    def multipliers() -> Values:
        prices = np.zeros((2, len(quantile_shares(len(x), n_fake))))
        for tube, (family, sign, places) in zip(tubes, rows, strict=True):
            np.add.at(prices[family], runs.places[places], sign * dual(tube, value_unit / unit))
        return {"below": prices[0], "above": prices[1, :-1]}

    named = {entry.name(): entry for entry in (w, P, radius) if not isinstance(entry, float)}
    return ConicModel("line", problem, named, unpack, multipliers, value_unit)


def quantile_shares(n_real: int, n_fake: int) -> Float64:
    """The shares t in (0, 1] at which two integrated quantile functions have to be compared."""
    real, fake = np.arange(1, n_real + 1), np.arange(1, n_fake + 1)
    common = math.lcm(n_real, n_fake)
    return np.union1d(real * (common // n_real), fake * (common // n_fake)) / common


@dataclass(frozen=True, eq=False)
class _Runs:
    """Runs of outputs that no kink of Q_x parts, and the shares t at which their sums are compared with the data's.

    ``sizes`` (R,) of the runs; ``shares`` (S,) ascending, the last is 1; ``is_kink``, ``is_end`` (S,): of Q_x, of a
    run; ``places`` (S,) in ``quantile_shares``; ``interpolation`` (S, R) sparse: of P at the ends of the runs.
    """

    sizes: Integers
    shares: Float64
    is_kink: npt.NDArray[np.bool_]
    is_end: npt.NDArray[np.bool_]
    places: Integers
    interpolation: Any


def _runs(x: Float64, n_fake: int, *, merged: bool) -> _Runs:
    """In integers: t = i/lcm(n_r, n_f), so that no kink is taken for its neighbour."""
    n = len(x)
    common = math.lcm(n, n_fake)
    step, kinks = common // n_fake, (common // n) * np.append(np.flatnonzero(np.diff(x) > 0.0) + 1, n)
    if merged:
        ends = np.union1d(kinks // step, -(-kinks // step)) * step
        ends = ends[ends > 0]
    else:
        ends = np.arange(1, n_fake + 1) * step
    t = np.union1d(kinks, ends)
    every = np.union1d(np.arange(1, n + 1) * (common // n), np.arange(1, n_fake + 1) * step)
    return _Runs(
        sizes=np.diff(ends, prepend=0) // step,
        shares=t / common,
        is_kink=np.isin(t, kinks),
        is_end=np.isin(t, ends),
        places=np.searchsorted(every, t),
        interpolation=_interpolation(t, ends),
    )


def _interpolation(t: Integers, ends: Integers) -> Any:
    """Sparse A (S, R) with A P = the polygon through (0, 0) and (end, P), at t."""
    from scipy.sparse import csr_array

    right = np.searchsorted(ends, t)
    left = np.where(right > 0, ends[right - 1], 0)
    part = (t - left) / (ends[right] - left)
    rows, has_left = np.arange(len(t)), (right > 0) & (part < 1.0)
    entries = np.concatenate([part, (1.0 - part)[has_left]])
    columns = np.concatenate([right, right[has_left] - 1])
    return csr_array((entries, (np.concatenate([rows, rows[has_left]]), columns)), shape=(len(t), len(ends)))


def _rows(runs: _Runs) -> list[tuple[int, float, Integers]]:
    """(family, sign, places): Q_w − Q_x and −(U_w − U_x) from above at kinks, from below at ends; t = 1 once."""
    kinks, ends = np.flatnonzero(runs.is_kink), np.flatnonzero(runs.is_end)
    families = [(0, 1.0, kinks), (0, -1.0, ends), (1, 1.0, ends[:-1]), (1, -1.0, kinks[:-1])]
    return [entry for entry in families if len(entry[2])]


def _cost(w: Any, sizes: Integers, regularizer: Regularizer, weight: float, unit: float) -> tuple[Any, float]:
    """R_g in the user's units of w = unit·w', w' repeated ``sizes`` times, and its size where |w'| = 1."""
    cp = load_cvxpy()
    n = int(sizes.sum())
    if regularizer.kind == "custom":
        G = w if len(sizes) == n else np.repeat(np.eye(len(sizes)), sizes, axis=0) @ w
        return custom_cost(regularizer, cp.reshape(G, (n, 1), order="C")), 1.0
    if regularizer.kind == "output":
        factor = 0.5 * regularizer.strength * weight * unit**2
        return factor * cp.sum_squares(cp.multiply(np.sqrt(sizes), w)), factor * n
    size, p = regularizer.strength * unit, regularizer.p
    copies = np.ones(len(sizes)) if math.isinf(p) else sizes ** (1.0 / p)
    return size * cp.norm(cp.multiply(copies, w), p), size * n ** (0.0 if math.isinf(p) else 1.0 / p)
