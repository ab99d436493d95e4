"""Proven upper bounds on sums of ReLUs, by branch and bound over cones and boxes: nothing has to be enumerated.

On a simplicial cone with generators p_i a sum F(u) = Σ w(aᵀu)₊ is at most the linear function with the values

    q_i = Σ_{w>0} w(aᵀp_i)₊ + Σ_{w<0} w·t_a·aᵀp_i,     0 ≤ t_a ≤ 1,

since (·)₊ is convex, and at least t·(·). The maximum of a linear function over a cone and the sphere is on one of its
faces. Every partition of the sphere gives a valid bound: one that follows the breakpoints a tight one.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import combinations, product

import numpy as np

from convexwgan.arrays import Float64

EPS = float(np.finfo(np.float64).eps)
EXACT_DIMENSION = 3
_BLOCK = 1 << 22
_MAX_PIECES = 400_000
_FEASIBLE = 1e-9


def sphere_upper(
    rows: Float64, weights: Float64, known: float, slack: float, *, root: Float64 | None = None, sign: float = 1.0
) -> float:
    """An upper bound on max Σ_i w_i(a_iᵀu)₊ [± ‖Bu‖] over ‖u‖ ≤ 1, within ``slack`` where the work allows.

    Args:
        rows: a_i (n, d). weights: w_i (n,). known: a value that F attains. slack: when a bound is good enough.
        root, sign: B (p, d) and its sign, for a norm beside the sum.

    Returns:
        The bound, at least 0 (u = 0), close for d ≤ 3 (4 where F is smooth); valid whatever ``known`` and ``slack``
        are, but for rounding.

    >>> bool(abs(sphere_upper(np.array([[3.0, 0.0], [0.0, 4.0]]), np.ones(2), 5.0, 1e-9) - 5.0) < 1e-8)
    True
    """
    d = rows.shape[1]
    B = np.zeros((0, d)) if root is None else root
    if d == 1:
        norm = sign * float(np.linalg.norm(B))
        return max(0.0, *(float(weights @ np.maximum(side * rows[:, 0], 0.0)) + norm for side in (1.0, -1.0)))
    rows, weights, linear, error = _merged(rows, weights)
    if len(rows) == 0 and not B.any():
        return float(np.linalg.norm(linear)) + error
    cones = _arcs(rows) if d == 2 else _orthants(d)

    good_enough = max(known, 0.0) + slack

    def majorant(part: Float64, option: int) -> Float64:
        return _majorant(part, rows, weights, linear, option) + _norm_majorant(part, B, sign)

    def bound(pieces: Float64) -> Float64:
        best = _on_cones(_in_blocks(lambda part: majorant(part, 0), pieces, len(rows) + 1), pieces)
        weak = np.flatnonzero(best > good_enough)
        if len(weak):  # where the first majorant is too weak
            part = pieces[weak]
            zero, one = (np.concatenate([majorant(p, t) for p in _split(part, len(rows) + 1)]) for t in (2, 3))
            for q in (zero, one, _between(zero, one)):
                best[weak] = np.minimum(best[weak], _on_cones(q, part))
        return best

    return max(_closed(bound, _halved_cones, cones, max(known, 0.0), slack), 0.0) + error


def _merged(rows: Float64, weights: Float64) -> tuple[Float64, Float64, Float64, float]:
    """One unit row for each line, a linear rest ℓ, and the error: F(u) = Σ w(aᵀu)₊ + ℓᵀu, as (−t)₊ = (t)₊ − t.

    Equal terms of opposite sign would otherwise keep every cone that they cross open.
    """
    lengths = np.linalg.norm(rows, axis=1)
    used = (lengths > 0.0) & (weights != 0.0)
    unit, w = rows[used] / lengths[used][:, None], weights[used] * lengths[used]
    d = rows.shape[1]
    if len(w) == 0:
        return unit, w, np.zeros(d), 0.0
    leading = unit[np.arange(len(unit)), np.argmax(np.abs(unit) > 0.1, axis=1)]
    flipped = leading < 0.0
    turned = np.where(flipped[:, None], -unit, unit)
    linear: Float64 = np.asarray((w * flipped) @ unit, dtype=np.float64)  # w(−t)₊ = w(t)₊ − wt, and −t = unitᵀu
    _, first, group = np.unique(np.round(turned, 11), axis=0, return_index=True, return_inverse=True)
    total = np.bincount(group.ravel(), weights=w, minlength=len(first))
    error = float(np.abs(w) @ np.linalg.norm(turned - turned[first][group.ravel()], axis=1))
    small = np.abs(total) <= 4.0 * EPS * float(np.abs(w).sum())
    kept: Float64 = np.asarray(total[~small], dtype=np.float64)
    return turned[first][~small], kept, linear, error + float(np.abs(total[small]).sum())


def _split(pieces: Float64, width: int) -> list[Float64]:
    step = max(_BLOCK // (width * pieces.shape[1]), 1)
    return [pieces[i : i + step] for i in range(0, len(pieces), step)]


def _in_blocks(function: Callable[[Float64], Float64], pieces: Float64, width: int) -> Float64:
    return np.concatenate([function(part) for part in _split(pieces, width)])


def _arcs(rows: Float64) -> Float64:
    """The circle cut at every line a_iᵀu = 0 and at the axes: arcs as pairs of unit vectors (m, 2, 2)."""
    angles = np.arctan2(rows[:, 1], rows[:, 0]) + 0.5 * np.pi
    ends = np.unique(np.concatenate([angles, angles + np.pi, 0.25 * np.pi * np.arange(8)]) % (2 * np.pi))
    P = np.column_stack([np.cos(ends), np.sin(ends)])
    return np.stack([P, np.roll(P, -1, axis=0)], axis=1)


def _orthants(d: int) -> Float64:
    return np.array(list(product((1.0, -1.0), repeat=d)))[:, :, None] * np.eye(d)


def _majorant(cones: Float64, rows: Float64, weights: Float64, linear: Float64, option: int) -> Float64:
    """q (m, d): a linear majorant's values on the generators of cones (m, d, d).

    ``option`` chooses t_a for rows with w < 0 that cross the cone: by its middle (0), 0 (2) or 1 (3).
    """
    values = cones @ rows.T
    q = np.maximum(values, 0.0) @ np.maximum(weights, 0.0) + cones @ linear
    concave = np.flatnonzero(weights < 0.0)
    values = values[:, :, concave]
    t = (values.sum(axis=1) > 0.0).astype(np.float64)
    if option:
        top, bottom = values.max(axis=1), values.min(axis=1)
        crossing = (top > 0.0) & (bottom < 0.0)
        t = np.where(crossing, option - 2.0, t)
    return np.asarray(q + np.einsum("mdk,mk->md", values, t * weights[concave]))


def _norm_majorant(cones: Float64, B: Float64, sign: float) -> Float64:
    """Values (m, d) on the generators of a linear function above ±‖Bu‖: ‖Bu‖ is convex, and ≥ yᵀBu for ‖y‖ ≤ 1."""
    images = cones @ B.T
    lengths = np.linalg.norm(images, axis=2)
    if sign > 0.0:
        return np.asarray(lengths)
    middle = images.sum(axis=1)
    size = np.linalg.norm(middle, axis=1)
    y = middle / np.where(size > 0.0, size, 1.0)[:, None]
    return np.asarray(-np.einsum("mdp,mp->md", images, y))


def _between(zero: Float64, one: Float64) -> Float64:
    """The majorant (1 − τ)q₀ + τq₁, 0 ≤ τ ≤ 1, of the smallest values: the same t_a on all rows that cross."""
    step = one - zero
    size = np.einsum("ij,ij->i", step, step)
    tau = -np.einsum("ij,ij->i", zero, step) / np.where(size > 0.0, size, 1.0)
    return np.asarray(zero + np.clip(tau, 0.0, 1.0)[:, None] * step)


def _on_cones(q: Float64, cones: Float64) -> Float64:
    """max of the linear function with values q on unit generators, over cone ∩ sphere: the best of all faces."""
    d = cones.shape[1]
    best, gram = q.max(axis=1), cones @ np.swapaxes(cones, 1, 2)
    # u = Σα_ip_i of length 1 has Σα_i ≤ 1/√min G_ij, as ‖Σβ_ip_i‖² ≥ min G_ij for weights β: a bound for slivers.
    least = gram.min(axis=(1, 2))
    simple = np.maximum(best, 0.0) / np.sqrt(np.maximum(least, 1e-300)) * (1.0 + 8 * EPS)
    for size in range(2, d + 1):
        for face in combinations(range(d), size):
            index = list(face)
            G = gram[:, index][:, :, index]
            sliver = np.linalg.det(G) < 1e-20
            alpha = np.linalg.solve(np.where(sliver[:, None, None], np.eye(size), G), q[:, index, None])[..., 0]
            value = np.sqrt(np.maximum(np.einsum("ij,ij->i", alpha, q[:, index]), 0.0))
            inside = (alpha >= -_FEASIBLE * np.abs(alpha).max(axis=1, keepdims=True)).all(axis=1)
            best = np.where(sliver, np.maximum(best, simple), np.where(inside, np.maximum(best, value), best))
    return np.asarray(np.where(least > 0.0, np.minimum(best, simple), best))


def _halved_cones(cones: Float64) -> Float64:
    """Each cone cut at the middle of its widest pair of generators."""
    gram = cones @ np.swapaxes(cones, 1, 2)
    d = cones.shape[1]
    pairs = np.array(list(combinations(range(d), 2)))
    widest = pairs[np.argmin(gram[:, pairs[:, 0], pairs[:, 1]], axis=1)]
    each = np.arange(len(cones))
    middle = cones[each, widest[:, 0]] + cones[each, widest[:, 1]]
    middle /= np.linalg.norm(middle, axis=1)[:, None]
    halves = []
    for side in (0, 1):
        half = cones.copy()
        half[each, widest[:, side]] = middle
        halves.append(half)
    return np.concatenate(halves)


def _closed(
    bound: Callable[[Float64], Float64],
    halved: Callable[[Float64], Float64],
    pieces: Float64,
    known: float,
    slack: float,
) -> float:
    """The largest bound of any piece, after cutting those that exceed known + slack as long as work is left."""
    proven, spent = known, 0
    while len(pieces):
        bounds = bound(pieces)
        spent += len(pieces)
        open_ = bounds > known + slack
        proven = max(proven, float(bounds[~open_].max(initial=-math.inf)))
        if spent > _MAX_PIECES:
            return max(proven, float(bounds.max()))
        finer = halved(pieces[open_])
        if len(finer) and float(_size(finer)) < 1e-14:
            return max(proven, float(bounds.max()))
        pieces = finer
    return proven


def _size(pieces: Float64) -> float:
    return float(np.abs(pieces - pieces.mean(axis=1, keepdims=True)).max())


def affine_upper(rows: Float64, weights: Float64, known: float, slack: float) -> float:
    """An upper bound on max Σ_i w_i(a_iᵀu + b)₊ over ‖u‖ ≤ 1 and all b, d ≤ 3, for Σw_i = 0.

    In b the sum is piecewise linear, 0 at −∞ and (Σw_ia_i)ᵀu at +∞, with concave kinks at b = −a_jᵀu, w_j < 0 only.
    """
    best = float(np.linalg.norm(weights @ rows))
    for j in np.flatnonzero(weights < 0.0):
        best = max(best, sphere_upper(rows - rows[j], weights, known, slack))
    return best


def quadratic_upper(neurons: Float64, v: Float64, curvature: float, known: float, slack: float) -> float:
    """An upper bound on max_g Σ_k v_k(gᵀu_k + b_k)₊ − (κ/2)‖g‖² over g ∈ ℝ^d, by boxes.

    On a box (t)₊ is below its chord and above s·t, s ∈ {0, 1}: a separable concave quadratic, maximised by clipping.
    The maximiser is Σt_kv_ku_k/κ with 0 ≤ t ≤ 1, so that no coordinate exceeds Σ|v_k|‖u_k‖/κ.

    >>> round(quadratic_upper(np.array([[1.0, 0.0]]), np.array([2.0]), 1.0, 2.0, 1e-9), 6)
    2.0
    """
    d = neurons.shape[1] - 1
    U, b = neurons[:, :d], neurons[:, d]
    reach = float(np.abs(v) @ np.linalg.norm(U, axis=1)) / curvature
    if reach == 0.0:
        return max(float(v @ np.maximum(b, 0.0)), 0.0)
    boxes = np.array([[np.full(d, -reach), np.full(d, reach)]])

    def bound(pieces: Float64) -> Float64:
        return _in_blocks(lambda part: _on_boxes(part, U, b, v, curvature), pieces, len(v))

    return _closed(bound, _halved_boxes, boxes, known, slack)


def _on_boxes(boxes: Float64, U: Float64, b: Float64, v: Float64, curvature: float) -> Float64:
    low, high = boxes[:, 0], boxes[:, 1]
    centre = 0.5 * (low + high) @ U.T + b
    radius = 0.5 * (high - low) @ np.abs(U).T
    top, bottom = centre + radius, centre - radius
    crossing = (top > 0.0) & (bottom < 0.0)
    chord = np.where(crossing, top / np.where(crossing, top - bottom, 1.0), (centre > 0.0).astype(np.float64))
    slope = np.where(v > 0.0, chord, (centre > 0.0).astype(np.float64))
    offset = np.where((v > 0.0) & crossing, -slope * bottom, 0.0)
    q = (slope * v) @ U
    r = (slope * b + offset) @ v
    g = np.clip(q / curvature, low, high)
    return np.asarray(np.einsum("ij,ij->i", q - 0.5 * curvature * g, g) + r)


def _halved_boxes(boxes: Float64) -> Float64:
    each, widest = np.arange(len(boxes)), np.argmax(boxes[:, 1] - boxes[:, 0], axis=1)
    middle = 0.5 * (boxes[each, 0, widest] + boxes[each, 1, widest])
    left, right = boxes.copy(), boxes.copy()
    left[each, 1, widest] = middle
    right[each, 0, widest] = middle
    return np.concatenate([left, right])
