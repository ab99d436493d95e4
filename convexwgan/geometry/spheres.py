"""Sums of ReLUs f(u) = Σ c_i(a_iᵀu)₊ maximised exactly over the unit ball in rank ≤ 3, with and without bias.

The planes a_iᵀu = 0 cut space into cells on each of which f(u) = gᵀu; its maximum there is at g/‖g‖ or on the
boundary. In rank 2 the cells are arcs of a circle. In rank 3 the boundary lies on n circles, one in each plane, and
every cell touches an arc of one of them, so that the arcs' neighbours are all cells: O(n² log n).

With a bias that is free, Σc_i = 0: for fixed u the maximum over b is at a kink b = −a_iᵀu, so that the maximum is
the largest over i of the maximum without bias for the rows a_k − a_i.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from convexwgan.arrays import Float64
from convexwgan.geometry.circles import Arcs, arcs, circle_maxima, maxima_on
from convexwgan.geometry.majorization import line_maxima

_CHUNK = 1 << 20
_PARALLEL = 1e-11


class Neuron(NamedTuple):
    """A unit vector u (r,), or 0, and a bias b."""

    u: Float64
    b: float


def evaluate(rows: Float64, weights: Float64, U: Float64, b: Float64 | float = 0.0) -> Float64:
    """f(u) = Σ c_i(a_iᵀu + b)₊ at each row of U (B, r), b (B,) or one number: shape (B,)."""
    return np.asarray(weights @ np.maximum(rows @ U.T + b, 0.0))


def work(n: int, rank: int, bias: bool) -> int:
    """How many arcs the exact search looks at: n^(rank − 1), and n times more with a bias beyond one dimension."""
    return int(n ** max(0, rank - 1 + (bias and rank > 1)))


def maxima(rows: Float64, weights: Float64, bias: bool) -> tuple[Neuron, Neuron]:
    """The neurons that maximise f and −f over ‖u‖ ≤ 1 (and b), exactly.

    Args:
        rows: a, shape (n, r) of rank r ≤ 3.
        weights: c, shape (n,), any sign; with bias of sum 0.
        bias: whether b is a variable; without, b = 0.

    Reference:
        MATH 1.5, 1.6.

    >>> over, _ = maxima(np.array([[3.0, 0.0], [0.0, 4.0]]), np.array([1.0, 1.0]), False)
    >>> over.u.tolist()
    [0.6, 0.8]
    """
    if not bias:
        found = [_without_bias(rows, weights)]
    elif rows.shape[1] <= 1:
        return _on_the_line(rows, weights)
    elif rows.shape[1] == 2:
        found = list(_shifted_planar(rows, weights))
    else:
        found = [_shifted(rows, i, _without_bias(rows - rows[i], weights)) for i in range(len(rows))]
    best = [max((pair[side] for pair in found), key=lambda item: item[0]) for side in (0, 1)]
    zero = Neuron(np.zeros(rows.shape[1]), 0.0)
    over, under = (neuron if value > 0.0 else zero for value, neuron in best)
    return over, under


_Pair = tuple[tuple[float, Neuron], tuple[float, Neuron]]


def _without_bias(rows: Float64, weights: Float64) -> _Pair:
    r = rows.shape[1]
    if r == 0:
        return (0.0, Neuron(np.zeros(0), 0.0)), (0.0, Neuron(np.zeros(0), 0.0))
    if r == 1:
        U = np.array([[1.0], [-1.0]])
        f = evaluate(rows, weights, U)
        values, directions = np.array([f.max(), -f.min()]), U[[f.argmax(), f.argmin()]]
    elif r == 2:
        found, u = circle_maxima(rows[None], weights)
        values, directions = found[:, 0], u[:, 0]
    else:
        values, directions = _on_the_sphere(rows, weights)
    over, under = ((float(v), Neuron(u, 0.0)) for v, u in zip(values, directions, strict=True))
    return over, under


def _on_the_line(rows: Float64, weights: Float64) -> tuple[Neuron, Neuron]:
    """One dimension with bias: u = ±1 and the kinks of b."""
    if rows.shape[1] == 0:
        return Neuron(np.zeros(0), 0.0), Neuron(np.zeros(0), 0.0)
    signs = np.array([[1.0], [-1.0]])
    values, b = line_maxima(signs * rows[:, 0], weights)
    found = [
        Neuron(signs[side_best], float(b[side, side_best])) for side, side_best in enumerate(values.argmax(axis=1))
    ]
    zero = Neuron(np.zeros(1), 0.0)
    over, under = (n if values[k].max() > 0.0 else zero for k, n in enumerate(found))
    return over, under


def _shifted(rows: Float64, i: int, pair: _Pair) -> _Pair:
    """The neuron of the rows a_k − a_i as one of the rows a_k: b = −a_iᵀu."""
    over, under = ((value, Neuron(u, -float(rows[i] @ u))) for value, (u, _) in pair)
    return over, under


def _shifted_planar(rows: Float64, weights: Float64) -> Iterator[_Pair]:
    """max over u of f(u, −a_iᵀu) for every i, many i at once."""
    step = max(1, _CHUNK // (4 * len(rows)))
    for start in range(0, len(rows), step):
        pivots = rows[start : start + step]
        values, u = circle_maxima(rows[None, :, :] - pivots[:, None, :], weights)
        best = values.argmax(axis=1)
        over, under = ((float(values[k, i]), Neuron(u[k, i], -float(pivots[i] @ u[k, i]))) for k, i in enumerate(best))
        yield over, under


# ---- rank 3 ---------------------------------------------------------------------------------------------------


def _on_the_sphere(rows: Float64, weights: Float64) -> tuple[Float64, Float64]:
    """max f and max −f over the unit sphere of ℝ³: first on the n circles a_iᵀu = 0, then inside the cells."""
    normals = _distinct_lines(rows)
    values, directions = np.zeros(2), np.zeros((2, 3))
    step = max(1, _CHUNK // (6 * len(rows)))
    parts = [normals[start : start + step] for start in range(0, len(normals), step)]
    for part in parts:
        chunk = _Circles(rows, weights, part)
        found, u = maxima_on(chunk.arcs, np.einsum("bjd,bdk->bjk", chunk.arcs.sums, chunk.frames))
        best = found.argmax(axis=1)
        for side, i in enumerate(best):
            if found[side, i] > values[side]:
                values[side], directions[side] = found[side, i], chunk.frames[i] @ u[side, i]
    for part in parts:
        chunk = _Circles(rows, weights, part)
        for side, sign in enumerate((1.0, -1.0)):
            peaks = chunk.peaks(sign, values[side])
            for some in np.array_split(peaks, max(1, len(peaks) * len(rows) // _CHUNK)):
                f = sign * evaluate(rows, weights, some) if len(some) else np.zeros(0)
                if len(f) and f.max() > values[side]:
                    values[side], directions[side] = float(f.max()), some[int(f.argmax())]
    return values, directions


class _Circles:
    """The circles in some planes nᵀu = 0, cut by all the others; the cells on both sides of every arc."""

    def __init__(self, rows: Float64, weights: Float64, normals: Float64) -> None:
        self.rows, self.normals = rows, normals
        self.frames = _frames(normals)
        planar = np.einsum("nd,bdk->bnk", rows, self.frames)
        sizes = np.linalg.norm(rows, axis=1)
        self.parallel = np.linalg.norm(planar, axis=2) <= _PARALLEL * sizes[None, :]
        planar[self.parallel] = 0.0
        weighted = weights[:, None] * rows
        self.arcs: Arcs = arcs(planar, np.where(self.parallel[..., None], 0.0, weighted[None]))
        along = np.einsum("nd,bd->bn", rows, normals)
        self.beside = [np.where(self.parallel & (side * along > 0.0), 1.0, 0.0) @ weighted for side in (1.0, -1.0)]

    def peaks(self, sign: float, least: float) -> Float64:
        """±g/‖g‖ of the cells beside the arcs that may hold it, where ‖g‖ exceeds ``least``: (k, 3)."""
        found = []
        for side, extra in zip((1.0, -1.0), self.beside, strict=True):
            g = sign * (self.arcs.sums + extra[:, None, :])
            sizes = np.linalg.norm(g, axis=2)
            slack = -1e-9 * sizes
            keep = (sizes > least) & (side * np.einsum("bjd,bd->bj", g, self.normals) >= slack)
            keep &= self._is_beyond_ends(g, slack)
            found.append(g[keep] / sizes[keep][:, None])
        peaks = np.concatenate(found)
        _, once = np.unique(peaks.round(12), axis=0, return_index=True)  # a cell has many arcs
        return np.asarray(peaks[once])

    def _is_beyond_ends(self, g: Float64, slack: Float64) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
        """Whether g is on the arc's side of the planes through its two ends."""
        row, enters = self.arcs.row, self.arcs.enters
        sizes = np.linalg.norm(self.rows, axis=1)
        unit = self.rows / np.where(sizes > 0.0, sizes, 1.0)[:, None]
        inside = np.ones(row.shape, dtype=np.bool_)
        for ends, is_active in ((row, enters), (np.roll(row, -1, axis=1), ~np.roll(enters, -1, axis=1))):
            height = np.einsum("bjd,bjd->bj", g, unit[ends]) * np.where(is_active, 1.0, -1.0)
            inside &= (height >= slack) | np.take_along_axis(self.parallel, ends, axis=1)
        return inside


def _distinct_lines(rows: Float64) -> Float64:
    """The rows that are not 0 as unit normals, one of each pair of equal or opposite ones."""
    sizes = np.linalg.norm(rows, axis=1)
    units = rows[sizes > 0.0] / sizes[sizes > 0.0, None]
    leading = np.take_along_axis(units, np.abs(units).argmax(axis=1)[:, None], axis=1)
    units = units * np.where(leading < 0.0, -1.0, 1.0)
    _, index = np.unique(units.round(12), axis=0, return_index=True)
    return np.asarray(units[np.sort(index)])


def _frames(normals: Float64) -> Float64:
    """Orthonormal bases (B, 3, 2) of the planes orthogonal to unit normals (B, 3)."""
    axis = np.eye(3)[np.abs(normals).argmin(axis=1)]
    first = np.cross(normals, axis)
    first /= np.linalg.norm(first, axis=1)[:, None]
    return np.stack([first, np.cross(normals, first)], axis=2)
