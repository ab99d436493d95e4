"""Sums of ReLUs F(u) = Σ_i w_i(a_iᵀu)₊ with weights of both signs, and their local maxima on the unit sphere.

On every cell of the central arrangement of the rows a_i the sum is linear, F(u) = cᵀu, so that its maximum over the
cell and the sphere is at c/‖c‖, or on a face. Rows with w_i > 0 make convex kinks, where no maximum sits. The distance
of two zonotopes and the pricing of a measure are both such maxima (MATH 1.5, 4).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from convexwgan.arrays import Float64
from convexwgan.geometry.arc_cells import arc_cells
from convexwgan.geometry.circles import local_maxima_on

TIE = 1e-11
EXACT_DIMENSION = 3
_BLOCK = 1 << 23
_STARTS = 200
_STEPS = 200


class Maxima(NamedTuple):
    """Points u (k, d) on the unit sphere with F(u), shape (k,), largest first; whether none higher exists."""

    points: Float64
    values: Float64
    is_exact: bool


def relu_sum(rows: Float64, weights: Float64, points: Float64) -> Float64:
    """F(u) = Σ_i w_i(a_iᵀu)₊ at each point: rows (n, d), weights (n,), points (k, d); shape (k,).

    >>> relu_sum(
    ...     np.array([[1.0, 0.0], [-2.0, 0.0]]), np.array([1.0, -1.0]), np.array([[1.0, 0.0], [-1.0, 0.0]])
    ... ).tolist()
    [1.0, -2.0]
    """
    step = max(_BLOCK // max(len(rows), 1), 1)
    parts = [np.maximum(points[i : i + step] @ rows.T, 0.0) @ weights for i in range(0, len(points), step)]
    return np.concatenate(parts) if parts else np.zeros(0)


def sphere_maxima(rows: Float64, weights: Float64, rng: int | np.random.Generator = 0) -> Maxima:
    """Local maxima of F(u) = Σ_i w_i(a_iᵀu)₊ over ‖u‖ = 1, the global one among them for d ≤ 3.

    max Σ_i w_i(a_iᵀu)₊  s.t.  ‖u‖₂ = 1

    Args:
        rows: a_i, shape (n, d), any rank; rows of 0 add nothing.
        weights: w_i of either sign, shape (n,).
        rng: draws the starts of the local search for d > 3.

    Returns:
        Maxima, never empty; ``is_exact`` for d ≤ 3, O(n log n) work in the plane and O(n² log n) in space.

    >>> found = sphere_maxima(np.array([[3.0, 0.0], [0.0, 4.0]]), np.ones(2))
    >>> found.points[0].round(12).tolist(), float(found.values[0].round(12))
    ([0.6, 0.8], 5.0)
    """
    d = rows.shape[1]
    counts = (weights != 0.0) & rows.any(axis=1)
    rows, weights = rows[counts], weights[counts]
    if len(rows) == 0:
        return Maxima(np.eye(d)[:1], np.zeros(1), True)
    if d == 1:
        points = np.array([[1.0], [-1.0]])
    elif d == 2:
        points = _plane_candidates(rows, weights)
    elif d == 3:
        points = _space_candidates(rows, weights)
    else:
        points = _searched(rows, weights, np.random.default_rng(rng))
    values = relu_sum(rows, weights, points)
    order = np.argsort(-values, kind="stable")
    return Maxima(points[order], values[order], d <= EXACT_DIMENSION)


def _plane_candidates(rows: Float64, weights: Float64) -> Float64:
    """Local maxima on the circle: c/‖c‖ on arcs that contain it, and kinks with rising left and falling right side."""
    angles = np.arctan2(rows[:, 1], rows[:, 0])
    start, stop = (angles - 0.5 * np.pi) % (2 * np.pi), (angles + 0.5 * np.pi) % (2 * np.pi)
    weighted = weights[:, None] * rows
    ends = np.concatenate([start, stop])
    order = np.argsort(ends, kind="stable")
    ends, jumps = ends[order], np.concatenate([weighted, -weighted])[order]
    first = weighted[np.asarray(stop < start)].sum(axis=0)
    c = first + np.cumsum(jumps, axis=0)  # on the arc that begins at ends[i]
    width = np.diff(ends, append=ends[0] + 2 * np.pi)
    best = np.arctan2(c[:, 1], c[:, 0])
    ahead = (best - ends) % (2 * np.pi)
    inside = (ahead <= width) & c.any(axis=1)
    before, after = np.roll(c, 1, axis=0), c
    tangent = np.column_stack([-np.sin(ends), np.cos(ends)])
    rising = np.einsum("ij,ij->i", before, tangent) >= 0.0
    falling = np.einsum("ij,ij->i", after, tangent) <= 0.0
    chosen = np.concatenate([best[inside], ends[rising & falling]])
    if len(chosen) == 0:  # F is constant: any point will do
        chosen = ends[:1]
    return np.column_stack([np.cos(chosen), np.sin(chosen)])


def _space_candidates(rows: Float64, weights: Float64) -> Float64:
    """c/‖c‖ of every cell that contains it, and the local maxima on the planes of rows with w_i < 0, in ℝ³."""
    lengths = np.linalg.norm(rows, axis=1)
    unit, w = rows / lengths[:, None], weights * lengths
    found, size = [unit[:1]], float(np.abs(w).sum())
    for cells in arc_cells(unit, w[:, None] * unit):
        sides = [cells.sums(side) for side in (1.0, -1.0)]
        for side, c in zip((1.0, -1.0), sides, strict=True):
            found.append(_unit_once(c[cells.contains(c, side)], 1e-12 * size))
        flat = np.einsum("bjd,bdk->bjk", cells.arcs.sums, cells.frames)
        circle, u, _ = local_maxima_on(cells.arcs, flat)
        concave = (cells.parallel @ w < 0.0)[circle]
        found.append(_unit_once(np.einsum("mdk,mk->md", cells.frames[circle[concave]], u[concave]), 0.0))
    return _unit_once(np.concatenate(found), 0.0)


def _unit_once(vectors: Float64, least: float) -> Float64:
    """The vectors longer than ``least``, at length 1, each once."""
    size = np.linalg.norm(vectors, axis=1)
    unit = vectors[size > least] / size[size > least][:, None]
    _, index = np.unique(unit.round(10), axis=0, return_index=True)
    return np.asarray(unit[index])


def _searched(rows: Float64, weights: Float64, rng: np.random.Generator) -> Float64:
    """Ascent with halving steps along the tangential gradient, from random directions and from the rows."""
    d = rows.shape[1]
    starts = np.concatenate([rng.standard_normal((_STARTS, d)), rows[:_STARTS], -rows[:_STARTS]])
    P = starts / np.linalg.norm(starts, axis=1)[:, None]
    values, step = relu_sum(rows, weights, P), np.ones(len(P))
    for _ in range(_STEPS):
        c = (P @ rows.T > 0.0) @ (weights[:, None] * rows)
        size = np.linalg.norm(c, axis=1)
        moved = P + step[:, None] * c / np.maximum(size, 1e-300)[:, None]
        moved /= np.maximum(np.linalg.norm(moved, axis=1), 1e-300)[:, None]
        found = relu_sum(rows, weights, moved)
        better = found > values
        P[better], values[better] = moved[better], found[better]
        step = np.where(better, np.minimum(2.0 * step, 1e3), 0.5 * step)
        if step.max() < 1e-9:
            break
    return np.asarray(P)
