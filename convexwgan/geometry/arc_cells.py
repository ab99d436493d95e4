"""The cells of planes a_iᵀp = 0 in ℝ³, found beside the arcs that the planes cut on each other: O(n² log n).

Every plane is a circle on the sphere, cut into arcs by the other planes; every cell lies beside an arc. Sums over the
rows that are active in a cell are prefix sums along the circle.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from convexwgan.arrays import Float64
from convexwgan.geometry.bitsets import Bools
from convexwgan.geometry.circles import Arcs, arcs

_CHUNK = 1 << 20
_PARALLEL = 1e-11


class ArcCells:
    """Circles in B of the planes, cut by all planes, with Σ of carried rows over the active ones in the cells beside.

    Attributes:
        normals: (B, 3). frames: orthonormal bases of the planes (B, 3, 2). arcs: Arcs, sums without the rows parallel
            to the normal.
    """

    def __init__(self, unit: Float64, carried: Float64, normals: Float64) -> None:
        """``unit``: rows of length 1, shape (n, 3). ``carried``: what they add, shape (n, D)."""
        self.unit, self.carried, self.normals, self.frames = unit, carried, normals, plane_frames(normals)
        planar = np.einsum("nd,bdk->bnk", unit, self.frames)
        self.parallel: Bools = np.linalg.norm(planar, axis=2) <= _PARALLEL
        planar[self.parallel] = 0.0
        self.arcs: Arcs = arcs(planar, np.where(self.parallel[..., None], 0.0, carried[None]))
        self._along = np.einsum("nd,bd->bn", unit, normals)

    def sums(self, side: float) -> Float64:
        """Σ over the rows active in the cells on the side ±normal of each arc: (B, 2n, D)."""
        beside = np.where(self.parallel & (side * self._along > 0.0), 1.0, 0.0) @ self.carried
        return np.asarray(self.arcs.sums + beside[:, None, :])

    def contains(self, points: Float64, side: float, slack: float = 1e-9) -> Bools:
        """Whether a point (B, 2n, 3) is on the cell's side of the arc's plane and of those through the arc's ends."""
        least = -slack * np.linalg.norm(points, axis=2)
        inside = side * np.einsum("bjd,bd->bj", points, self.normals) >= least
        row, enters = self.arcs.row, self.arcs.enters
        for ends, is_active in ((row, enters), (np.roll(row, -1, axis=1), ~np.roll(enters, -1, axis=1))):
            height = np.einsum("bjd,bjd->bj", points, self.unit[ends]) * np.where(is_active, 1.0, -1.0)
            inside &= (height >= least) | np.take_along_axis(self.parallel, ends, axis=1)
        return np.asarray(inside)


def arc_cells(unit: Float64, carried: Float64) -> Iterator[ArcCells]:
    """All distinct planes, as many at a time as memory allows.

    >>> [cells.sums(1.0).shape for cells in arc_cells(np.eye(3), np.eye(3))]
    [(3, 6, 3)]
    """
    normals = distinct_planes(unit)
    step = max(1, _CHUNK // (6 * len(unit)))
    for start in range(0, len(normals), step):
        yield ArcCells(unit, carried, normals[start : start + step])


def distinct_planes(unit: Float64) -> Float64:
    """One of each pair of equal or opposite unit rows."""
    leading = np.take_along_axis(unit, np.abs(unit).argmax(axis=1)[:, None], axis=1)
    turned = unit * np.where(leading < 0.0, -1.0, 1.0)
    _, index = np.unique(turned.round(12), axis=0, return_index=True)
    return np.asarray(turned[np.sort(index)])


def plane_frames(normals: Float64) -> Float64:
    """Orthonormal bases (B, 3, 2) of the planes orthogonal to unit normals (B, 3)."""
    axis = np.eye(3)[np.abs(normals).argmin(axis=1)]
    first = np.cross(normals, axis)
    first /= np.linalg.norm(first, axis=1)[:, None]
    return np.stack([first, np.cross(normals, first)], axis=2)
