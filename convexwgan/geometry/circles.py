"""Sums of ReLUs on circles: f(u) = Σ c_i(p_iᵀu)₊ in the plane, maximised exactly, many circles at once.

Going round the circle, row i is active on the open half circle centred at its own angle. Between two such events
f(u) = gᵀu with g = Σ_{active} c_ip_i, so on each arc the maximum of f is at g/‖g‖ or at an end.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from convexwgan.arrays import Float64

TURN = 2.0 * np.pi
_ANGLE = 1e-12
Index = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Arcs:
    """The arcs of B circles cut by n rows each, in order; arc j runs from ``start[:, j]`` over ``width[:, j]``.

    start, width: (B, 2n), angles. sums (B, 2n, D): Σ of the carried rows that are active on the arc.
    row: (B, 2n), the row whose line starts the arc; enters (B, 2n): whether it becomes active there.
    """

    start: Float64
    width: Float64
    sums: Float64
    row: Index
    enters: npt.NDArray[np.bool_]


def arcs(planar: Float64, carried: Float64) -> Arcs:
    """Cut B circles by the lines p_iᵀu = 0 and add up the carried rows on each arc by prefix sums.

    Args:
        planar: p, shape (B, n, 2).
        carried: c_i times any vectors, shape (B, n, D) or (1, n, D); with carried = c_ip_i the sums are the
            gradients of f.

    >>> found = arcs(np.array([[[1.0, 0.0]]]), np.array([[[1.0, 0.0]]]))
    >>> (found.start / np.pi).tolist(), found.sums[0].tolist()
    ([[0.5, 1.5]], [[0.0, 0.0], [1.0, 0.0]])
    """
    count, n, _ = planar.shape
    angle = np.arctan2(planar[..., 1], planar[..., 0])
    begin, end = np.mod(angle - 0.5 * np.pi, TURN), np.mod(angle + 0.5 * np.pi, TURN)
    times = np.concatenate([begin, end], axis=1)
    order = np.argsort(times, axis=1, kind="stable")
    start = np.take_along_axis(times, order, axis=1)
    width = np.concatenate([start[:, 1:], start[:, :1] + TURN], axis=1) - start
    carried = np.broadcast_to(carried, (count, n, carried.shape[-1]))
    first = np.where((begin > end)[..., None], carried, 0.0).sum(axis=1)  # active across angle 0
    row, enters = order % n, order < n
    steps = np.where(enters[..., None], 1.0, -1.0) * np.take_along_axis(carried, row[..., None], axis=1)
    return Arcs(start, width, first[:, None, :] + np.cumsum(steps, axis=1), row, enters)


def circle_maxima(planar: Float64, weights: Float64) -> tuple[Float64, Float64]:
    """max f and max −f on B circles, f(u) = Σ c_i(p_iᵀu)₊, ‖u‖ = 1, u ∈ ℝ².

    Args:
        planar: p, shape (B, n, 2).
        weights: c, shape (n,), any sign.

    Returns:
        values (2, B) of f and of −f, and the unit vectors (2, B, 2) that attain them.

    >>> values, u = circle_maxima(np.array([[[3.0, 0.0], [0.0, 4.0]]]), np.ones(2))
    >>> values[0].tolist(), u[0, 0].tolist()
    ([5.0], [0.6, 0.8])
    """
    found = arcs(planar, weights[None, :, None] * planar)
    return maxima_on(found, found.sums)


def maxima_on(found: Arcs, gradients: Float64) -> tuple[Float64, Float64]:
    """max f and max −f on the cut circles, given the gradient g of f on each arc (B, 2n, 2)."""
    ends = np.stack([np.cos(found.start), np.sin(found.start)], axis=-1)
    at_ends = np.einsum("bjk,bjk->bj", gradients, ends)
    sizes = np.linalg.norm(gradients, axis=-1)
    toward = np.arctan2(gradients[..., 1], gradients[..., 0])
    values, directions = [], []
    for sign in (1.0, -1.0):
        peak = toward if sign > 0.0 else toward + np.pi
        inside = np.mod(peak - found.start + _ANGLE, TURN) <= found.width + 2.0 * _ANGLE
        candidates = np.concatenate([np.where(inside, sizes, -np.inf), sign * at_ends], axis=1)
        best = candidates.argmax(axis=1)
        index, number = np.arange(len(best)), gradients.shape[1]
        angle = np.concatenate([peak, found.start], axis=1)[index, best]
        u = np.stack([np.cos(angle), np.sin(angle)], axis=-1)
        g = sign * gradients[index, best % number]
        size = np.linalg.norm(g, axis=-1)
        at_peak = (best < number) & (size > 0.0)
        u[at_peak] = g[at_peak] / size[at_peak, None]  # more exact than its angle
        values.append(candidates[index, best])
        directions.append(u)
    return np.stack(values), np.stack(directions)


def local_maxima_on(found: Arcs, gradients: Float64) -> tuple[Index, Float64, Float64]:
    """Points with all local maxima of f on the cut circles: which circle (m,), the unit vector (m, 2), f there (m,).

    g/‖g‖ on the arcs that contain it, ends included, and the kinks with a rising side before and a falling side after.

    >>> found = arcs(np.array([[[3.0, 0.0], [0.0, 4.0]]]), np.array([[[3.0, 0.0], [0.0, 4.0]]]))
    >>> _, u, f = local_maxima_on(found, found.sums)
    >>> u[f.argmax()].round(12).tolist(), float(f.max().round(12))
    ([0.6, 0.8], 5.0)
    """
    toward = np.arctan2(gradients[..., 1], gradients[..., 0])
    ahead = np.mod(toward - found.start + _ANGLE, TURN) <= found.width + 2.0 * _ANGLE
    peak, peak_arc = np.nonzero(ahead & gradients.any(axis=-1))
    g = gradients[peak, peak_arc]
    sizes = np.linalg.norm(g, axis=1)
    tangent = np.stack([-np.sin(found.start), np.cos(found.start)], axis=-1)
    before = np.concatenate([gradients[:, -1:], gradients[:, :-1]], axis=1)
    rising, falling = (np.einsum("bjk,bjk->bj", part, tangent) for part in (before, gradients))
    kink, kink_arc = np.nonzero((rising >= 0.0) & (falling <= 0.0))
    angle = found.start[kink, kink_arc]
    ends = np.column_stack([np.cos(angle), np.sin(angle)])
    at_ends = np.einsum("mk,mk->m", gradients[kink, kink_arc], ends)
    return np.concatenate([peak, kink]), np.concatenate([g / sizes[:, None], ends]), np.concatenate([sizes, at_ends])
