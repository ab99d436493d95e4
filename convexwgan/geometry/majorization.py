"""Sums of the largest and smallest, and integrated quantiles: biased ReLUs on the line, without any search.

For numbers x with T_k(x) the sum of the k largest, f_x(b) = Σ(x_i + b)₊ = max_k (T_k + kb): the convex functions f_x
and −T_k are conjugate, so that sup_b |f_x − f_w| = max_k |T_k(x) − T_k(w)| (MATH 7.1).
"""

from __future__ import annotations

import numpy as np

from convexwgan.arrays import Float64
from convexwgan.errors import InputError


def top_sums(x: Float64) -> Float64:
    """T_k(x), the sum of the k largest entries, for k = 0, …, n: shape (n + 1,).

    >>> top_sums(np.array([1.0, 3.0, 2.0])).tolist()
    [0.0, 3.0, 5.0, 6.0]
    """
    return np.concatenate([[0.0], np.cumsum(np.sort(x)[::-1])])


def bottom_sums(x: Float64) -> Float64:
    """B_k(x), the sum of the k smallest entries, for k = 0, …, n: shape (n + 1,).

    >>> bottom_sums(np.array([1.0, 3.0, 2.0])).tolist()
    [0.0, 1.0, 3.0, 6.0]
    """
    return np.concatenate([[0.0], np.cumsum(np.sort(x))])


def integrated_quantiles(x: Float64, t: Float64, weights: Float64 | None = None) -> Float64:
    """L_x(t) = ∫_{1−t}^1 of the quantile function: what the upper share t of the mass of x sums to.

    Concave and piecewise linear with kinks where a sample ends; L_x(k/n) = T_k(x)/n for equal weights.

    Args:
        x: samples, shape (n,).
        t: shares in [0, 1], any shape.
        weights: nonnegative, shape (n,), of sum 1; equal ones by default.

    Raises:
        InputError: x is empty.

    >>> integrated_quantiles(np.array([0.0, 4.0]), np.array([0.25, 0.5, 1.0])).tolist()
    [1.0, 2.0, 2.0]
    """
    if x.size == 0:
        raise InputError("x", x, "have at least one sample", "give the samples whose quantiles are integrated")
    weights = np.full(x.size, 1.0 / x.size) if weights is None else weights
    order = np.argsort(-x, kind="stable")
    kinks = np.concatenate([[0.0], np.cumsum(weights[order])])
    sums = np.concatenate([[0.0], np.cumsum(weights[order] * x[order])])
    return np.asarray(np.interp(t, kinks, sums))


def line_maxima(values: Float64, weights: Float64) -> tuple[Float64, Float64]:
    """max f and max −f over b of f(b) = Σ c_i(t_i + b)₊, Σc_i = 0, for B sets of numbers t at once.

    f is piecewise linear with kinks b = −t_i, vanishes for b → −∞ and is constant beyond the last kink, so that
    its maximum is at a kink. Walking up b, f grows by (Σ of the active c) × (gap to the next kink): no large
    number is ever subtracted from another.

    Args:
        values: t, shape (B, n).
        weights: c, shape (n,), of sum 0.

    Returns:
        maxima (2, B) of f and −f, at least 0, and the biases b (2, B) at which they are attained.

    >>> maxima, b = line_maxima(np.array([[0.0, 1.0]]), np.array([1.0, -1.0]))
    >>> maxima.tolist(), b.tolist()
    ([[0.0], [1.0]], [[-1.0], [-0.0]])
    """
    order = np.argsort(-values, axis=1, kind="stable")
    t = np.take_along_axis(values, order, axis=1)
    slopes = np.cumsum(weights[order], axis=1)[:, :-1]
    f = np.concatenate([np.zeros((len(t), 1)), np.cumsum(slopes * (t[:, :-1] - t[:, 1:]), axis=1)], axis=1)
    best = np.stack([f.argmax(axis=1), f.argmin(axis=1)])
    index = np.arange(len(t))
    return np.stack([f[index, best[0]], -f[index, best[1]]]), -np.stack([t[index, best[0]], t[index, best[1]]])
