"""Sums of ReLUs beyond rank 3: neurons by local search, and upper bounds that are proven.

search   on the great circle through u and the gradient of f the maximum is found exactly; repeat
bounds   match rows: (xᵀu)₊ − (gᵀu)₊ ≤ ((x − g)ᵀu)₊, so that max(h_X − h_G) is at most the farthest vertex of
         the zonotope of the differences; a row that is matched with nothing is matched with 0
"""

from __future__ import annotations

import numpy as np

from convexwgan.arrays import Float64
from convexwgan.geometry.circles import Index, circle_maxima
from convexwgan.geometry.majorization import line_maxima
from convexwgan.geometry.spheres import Neuron, evaluate
from convexwgan.geometry.zonotopes import farthest_vertex

_STEPS = 60
_GAIN = 1e-13
_MATCHED = 1500


def local_maximum(rows: Float64, weights: Float64, bias: bool, rng: np.random.Generator, starts: int) -> Neuron:
    """A neuron at which f(u) = Σ c_i(a_iᵀu + b)₊ is as large as several ascents find it.

    Each ascent goes to the best point of the great circle through u and the gradient of f, and of one through u and
    a random direction, so that it does not stop at a kink. With bias the kink b = −a_iᵀu of the best row i is chosen
    first, and the circle is searched for the rows a_k − a_i.

    Args:
        rows: a, shape (n, r). weights: c, shape (n,). bias: whether b is a variable.
        rng: where the ascents start. starts: how many there are.
    """
    U = np.concatenate([_promising(rows, weights), rng.standard_normal((starts, rows.shape[1]))])
    U /= np.linalg.norm(U, axis=1)[:, None]
    value, b = _best_bias(rows, weights, U, bias)
    for _ in range(_STEPS):
        before = value
        for direction in (_gradients(rows, weights, U, b), rng.standard_normal(U.shape)):
            moved = _along_circles(rows, weights, U, direction, b)
            at_moved, b_moved = _best_bias(rows, weights, moved, bias)
            better = at_moved > value
            U[better], value[better], b[better] = moved[better], at_moved[better], b_moved[better]
        if (value - before).max() <= _GAIN * max(1.0, float(value.max())):
            break
    best = int(value.argmax())
    return Neuron(U[best], float(b[best])) if value[best] > 0.0 else Neuron(np.zeros(rows.shape[1]), 0.0)


def _promising(rows: Float64, weights: Float64) -> Float64:
    """Both ways of the gap of the means, and of the principal directions of the signed second moment."""
    gap = weights @ rows
    V = np.linalg.eigh((rows.T * weights) @ rows)[1].T
    chosen = np.concatenate([gap[None], V[:2], V[-2:]])
    chosen = np.concatenate([chosen, -chosen])
    return np.asarray(chosen[np.linalg.norm(chosen, axis=1) > 0.0])


def _best_bias(rows: Float64, weights: Float64, U: Float64, bias: bool) -> tuple[Float64, Float64]:
    """f at U with its best bias, and that bias."""
    if not bias:
        return evaluate(rows, weights, U), np.zeros(len(U))
    values, b = line_maxima(U @ rows.T, weights)
    return values[0], b[0]


def _gradients(rows: Float64, weights: Float64, U: Float64, b: Float64) -> Float64:
    return np.asarray((weights[:, None] * (rows @ U.T + b > 0.0)).T @ rows)


def _along_circles(rows: Float64, weights: Float64, U: Float64, direction: Float64, b: Float64) -> Float64:
    """The best point of the circle through u and a direction, for the rows shifted so that b = 0 at u."""
    tangent = direction - np.einsum("bd,bd->b", direction, U)[:, None] * U
    size = np.linalg.norm(tangent, axis=1)
    tangent /= np.where(size > 0.0, size, 1.0)[:, None]
    planar = np.stack([U @ rows.T + b[:, None], tangent @ rows.T], axis=2)
    u = circle_maxima(planar, weights)[1][0]
    moved = u[:, :1] * U + u[:, 1:] * tangent
    return np.asarray(moved / np.linalg.norm(moved, axis=1)[:, None])


def upper_bounds(X: Float64, G: Float64, w: Float64, v: Float64, bias: bool) -> tuple[float, float]:
    """Proven upper bounds on max(h_X − h_G) and max(h_G − h_X), h_X = Σw_i(x_iᵀu + b)₊.

    Without bias the first is also at most max h_X, the second max h_G, since both are nonnegative.

    Args:
        X, G: rows, shapes (n_r, r) and (n_f, r). w, v: their weights. bias: whether b is a variable.
    """
    matched = farthest_vertex(_differences(X, G, w, v)).upper
    if bias:
        return matched, matched
    alone = [farthest_vertex(weight[:, None] * rows).upper for rows, weight in ((X, w), (G, v))]
    return min(matched, alone[0]), min(matched, alone[1])


def _differences(X: Float64, G: Float64, w: Float64, v: Float64) -> Float64:
    """Rows m_k(x_i − g_j) of a coupling m of the two measures; mass that is left over is matched with 0."""
    if w.sum() < v.sum():
        X, w = np.concatenate([X, np.zeros((1, X.shape[1]))]), np.append(w, v.sum() - w.sum())
    else:
        G, v = np.concatenate([G, np.zeros((1, G.shape[1]))]), np.append(v, w.sum() - v.sum())
    pairs, mass = _coupling(X, G, w, v)
    return np.asarray(mass[:, None] * (X[pairs[0]] - G[pairs[1]]))


def _coupling(X: Float64, G: Float64, w: Float64, v: Float64) -> tuple[tuple[Index, Index], Float64]:
    """A coupling with short differences: an assignment of equal weights where that is cheap, then along a line."""
    from scipy.optimize import linear_sum_assignment

    n = min(len(X), len(G))
    equal = len(set(w[:n]) | set(v[:n])) == 1 and w[n:].sum() + v[n:].sum() <= 1e-12 * w.sum()
    if equal and n <= _MATCHED:
        first, second = linear_sum_assignment(np.linalg.norm(X[:n, None] - G[None, :n], axis=2))
        return (np.asarray(first), np.asarray(second)), w[first]
    axis = np.linalg.eigh(X.T @ (w[:, None] * X) + G.T @ (v[:, None] * G))[1][:, -1]
    return _monotone(X @ axis, G @ axis, w, v)


def _monotone(x: Float64, g: Float64, w: Float64, v: Float64) -> tuple[tuple[Index, Index], Float64]:
    """The coupling that keeps the order on a line."""
    first, second = np.argsort(x, kind="stable"), np.argsort(g, kind="stable")
    ends_x, ends_g = np.cumsum(w[first]), np.cumsum(v[second])
    ends = np.union1d(ends_x, ends_g)
    middle = ends - 0.5 * np.diff(ends, prepend=0.0)
    i = np.minimum(np.searchsorted(ends_x, middle), len(x) - 1)
    j = np.minimum(np.searchsorted(ends_g, middle), len(g) - 1)
    return (first[i], second[j]), np.diff(ends, prepend=0.0)
