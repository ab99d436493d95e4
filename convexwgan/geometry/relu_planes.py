"""Sums of ReLUs with bias, F(u, b) = Σ_i w_i(a_iᵀu + b)₊, and quadratics minus such sums: exact in the plane.

For a fixed direction u the sum is piecewise linear in b with a concave kink at b = −a_jᵀu only where w_j < 0, so that
every maximum over b is at such a kink or at infinity: the maximum over (u, b) is the largest of the maxima over u of
the centred sums Σ_i w_i((a_i − a_j)ᵀu)₊ (MATH 1.6, 4).
"""

from __future__ import annotations

import numpy as np

from convexwgan.arrays import Float64
from convexwgan.geometry.arc_cells import arc_cells
from convexwgan.geometry.circles import arcs, local_maxima_on
from convexwgan.geometry.relu_sums import TIE, Maxima, relu_sum, sphere_maxima

_PER_KINK = 4
_CHUNK = 1 << 20
_STARTS = 300
_STEPS = 100


def lifted(rows: Float64) -> Float64:
    """[a_i 1], shape (n, d + 1)."""
    return np.column_stack([rows, np.ones(len(rows))])


def affine_maxima(rows: Float64, weights: Float64, rng: int | np.random.Generator = 0) -> Maxima:
    """Local maxima of F(u, b) = Σ_i w_i(a_iᵀu + b)₊ over ‖u‖ = 1 and |b| ≤ max‖a_i‖, for Σw_i = 0.

    Args:
        rows: a_i, shape (n, d). weights: w_i, shape (n,), of sum 0: otherwise F grows without bound in b.
        rng: draws the starts of the local search for d > 3.

    Returns:
        Maxima whose points are (u, b), shape (k, d + 1); exact for d ≤ 3.

    >>> found = affine_maxima(np.array([[1.0], [-1.0]]), np.array([1.0, -1.0]))
    >>> float(found.values[0]), found.points[0].tolist()
    (2.0, [1.0, 1.0])
    """
    d, reach = rows.shape[1], float(np.linalg.norm(rows, axis=1).max())
    shift = weights @ rows  # b → ∞: F(u, b) = shiftᵀu
    length = float(np.linalg.norm(shift))
    u = shift / length if length > 0.0 else np.eye(d)[0]
    pivots, is_exact = np.unique(rows[weights < 0.0], axis=0), d <= 3
    at_kinks = _planar_kinks(rows, weights, pivots) if d == 2 else _kinks(rows, weights, pivots, rng)
    U = _with_neighbours(rows, np.concatenate([np.append(u, reach)[None], at_kinks]))
    v = relu_sum(lifted(rows), weights, U)
    _, index = np.unique(np.round(U, 10), axis=0, return_index=True)
    order = index[np.argsort(-v[index], kind="stable")]
    return Maxima(U[order], v[order], is_exact)


def _kinks(rows: Float64, weights: Float64, pivots: Float64, rng: int | np.random.Generator) -> Float64:
    """The best local maxima on the kink of each pivot a_j, b = −a_jᵀu: (u, b)."""
    points = [np.zeros((0, rows.shape[1] + 1))]
    for pivot in pivots:
        u = sphere_maxima(rows - pivot, weights, rng).points[:_PER_KINK]
        points.append(np.column_stack([u, -u @ pivot]))
    return np.concatenate(points)


def _planar_kinks(rows: Float64, weights: Float64, pivots: Float64) -> Float64:
    """The same in the plane for many pivots at once: circles cut by the lines (a_i − a_j)ᵀu = 0."""
    step, points = max(1, _CHUNK // (4 * len(rows))), [np.zeros((0, 3))]
    for start in range(0, len(pivots), step):
        part = pivots[start : start + step]
        planar = rows[None] - part[:, None]
        found = arcs(planar, weights[None, :, None] * planar)
        circle, u, values = local_maxima_on(found, found.sums)
        order = np.lexsort((-values, circle))
        place = np.arange(len(order)) - np.searchsorted(circle[order], circle[order])  # within its circle
        best = order[place < _PER_KINK]
        circle, u = circle[best], u[best]
        points.append(np.column_stack([u, -np.einsum("ij,ij->i", u, part[circle])]))
    return np.concatenate(points)


def _with_neighbours(rows: Float64, points: Float64) -> Float64:
    """The points (u, b) and the middles of the intervals between breakpoints on either side of b.

    Where both distributions have the same mass beyond the hyperplane the maximum is flat in b: a neuron in the middle
    of the interval keeps its multiplier when atoms move, one on a breakpoint does not.
    """
    u, b = points[:, :-1], points[:, -1]
    breaks = np.sort(-u @ rows.T, axis=1)
    above = np.where(breaks > b[:, None] + TIE, breaks, np.inf).min(axis=1)
    below = np.where(breaks < b[:, None] - TIE, breaks, -np.inf).max(axis=1)
    middles = [np.column_stack([u, 0.5 * (b + end)])[np.isfinite(end)] for end in (above, below)]
    return np.concatenate([points, *middles])


def quadratic_maxima(
    neurons: Float64, multipliers: Float64, curvature: float, rng: int | np.random.Generator = 0
) -> Maxima:
    """Local maxima over g ∈ ℝ^d of P(g) = Σ_k λ_k(gᵀu_k + b_k)₊ − (κ/2)‖g‖², the global one among them for d ≤ 2.

    On a cell of the lines gᵀu_k + b_k = 0 the maximiser is Σλ_ku_k/κ over the active k, if it lies in the cell; else
    the maximum is on a line with λ_k < 0, or where two of them meet.

    Args:
        neurons: (u_k, b_k), shape (k, d + 1). multipliers: λ (k,). curvature: κ > 0.

    Returns:
        Maxima with points g (m, d).

    >>> quadratic_maxima(np.array([[1.0, 0.0]]), np.array([2.0]), 1.0).points[0].tolist()
    [2.0]
    """
    used = multipliers != 0.0
    neurons, lam = neurons[used], multipliers[used]
    d = neurons.shape[1] - 1
    if len(lam) == 0:
        return Maxima(np.zeros((1, d)), np.zeros(1), True)
    if d == 1:
        points = _line_points(neurons, lam, curvature)
    elif d == 2:
        points = _plane_points(neurons, lam, curvature)
    else:
        points = _searched(neurons, lam, curvature, np.random.default_rng(rng))
    values = relu_sum(neurons, lam, lifted(points)) - 0.5 * curvature * np.einsum("ij,ij->i", points, points)
    order = np.argsort(-values, kind="stable")
    return Maxima(points[order], values[order], d <= 2)


def _line_points(neurons: Float64, lam: Float64, curvature: float) -> Float64:
    """Breakpoints −b_k/u_k, and the stationary point of each interval, clipped into it."""
    u, b = neurons[:, 0], neurons[:, 1]
    cuts = np.unique(-b[u != 0.0] / u[u != 0.0])
    ends = np.concatenate([[-np.inf], cuts, [np.inf]])
    inner = (
        np.concatenate([cuts[:1] - 1.0, 0.5 * (cuts[1:] + cuts[:-1]), cuts[-1:] + 1.0]) if len(cuts) else np.zeros(1)
    )
    slope = (np.outer(inner, u) + b > 0.0) @ (lam * u)
    return np.concatenate([np.clip(slope / curvature, ends[:-1], ends[1:]), cuts, [0.0]])[:, None]


def _plane_points(neurons: Float64, lam: Float64, curvature: float) -> Float64:
    """Stationary points in their cells; on lines with λ_k < 0 those of all segments, and where such lines cross."""
    lengths = np.linalg.norm(neurons, axis=1)
    unit, lam_u = neurons / lengths[:, None], lam[:, None] * neurons[:, :2]
    stationary = [np.zeros((1, 2))]
    for cells in arc_cells(unit, lam_u / curvature):
        for side in (1.0, -1.0):
            g = cells.sums(side)
            inside = cells.contains(np.concatenate([g, np.ones((*g.shape[:2], 1))], axis=2), side)
            stationary.append(np.unique(np.round(g[inside], 12), axis=0))
    kinks = np.flatnonzero((lam < 0.0) & (np.linalg.norm(neurons[:, :2], axis=1) > TIE))
    on_lines = [_on_line(neurons, lam, curvature, int(k)) for k in kinks]
    return np.concatenate([*stationary, *on_lines])


def _on_line(neurons: Float64, lam: Float64, curvature: float, k: int) -> Float64:
    """The candidates on the line gᵀu_k + b_k = 0: a one-dimensional problem along it."""
    u, b = neurons[k, :2], neurons[k, 2]
    size = float(np.linalg.norm(u))
    foot, along = -b * u / size**2, np.array([-u[1], u[0]]) / size
    flat = np.column_stack([neurons[:, :2] @ along, neurons[:, :2] @ foot + neurons[:, 2]])
    flat[np.abs(flat[:, 0]) <= TIE, 0] = 0.0
    return np.asarray(foot + _line_points(flat, lam, curvature) * along)


def _searched(neurons: Float64, lam: Float64, curvature: float, rng: np.random.Generator) -> Float64:
    """g ← Σλ_ku_k/κ over the active k, halving the step while the value falls, from random starts and neurons."""
    d = neurons.shape[1] - 1
    reach = float(np.abs(lam) @ np.linalg.norm(neurons[:, :d], axis=1)) / curvature
    G = np.concatenate([rng.standard_normal((_STARTS, d)) * reach / np.sqrt(d), np.zeros((1, d))])

    def value(points: Float64) -> Float64:
        return np.asarray(relu_sum(neurons, lam, lifted(points)) - 0.5 * curvature * np.square(points).sum(axis=1))

    values, step = value(G), np.ones(len(G))
    for _ in range(_STEPS):
        target = (lifted(G) @ neurons.T > 0.0) @ (lam[:, None] * neurons[:, :d]) / curvature
        moved = G + step[:, None] * (target - G)
        found = value(moved)
        better = found > values
        G[better], values[better] = moved[better], found[better]
        step = np.where(better, np.minimum(1.0, 2.0 * step), 0.5 * step)
    return np.asarray(G)
