"""Rows that are multiples of each other, found by sorting in O(n log n) whatever the dimension."""

from __future__ import annotations

import numpy as np

from convexwgan.arrays import Float64
from convexwgan.geometry.bitsets import Bools, Integers

_PROJECTIONS = 3


def parallel_classes(Y: Float64, tie: float) -> tuple[Integers, Integers]:
    """For each unit row the first row on its line, and whether it points the same way (1) or the other (−1).

    Rows and their opposites are points; a point joins the first point that is within ``tie`` of it. Candidates
    are neighbours in three random projections, which never lengthen a distance; each is then compared in full.

    Args:
        Y: unit rows, shape (n, r).
        tie: the largest distance of two unit rows that counts as parallel.

    Returns:
        first (n,) and orientation (n,).

    >>> first, orientation = parallel_classes(np.array([[0.6, 0.8], [1.0, 0.0], [-0.6, -0.8]]), 1e-11)
    >>> first.tolist(), orientation.tolist()
    ([0, 1, 0], [1, 1, -1])
    """
    n = len(Y)
    points = np.concatenate([Y, -Y])
    run = _runs(points, tie)
    order = np.lexsort((np.arange(2 * n) % n, run))  # the first row of a run leads it
    leader = np.arange(2 * n)
    sizes = np.bincount(run)
    pending = order[sizes[run[order]] > 1]
    while len(pending):
        is_first: Bools = np.r_[True, run[pending][1:] != run[pending][:-1]]
        head = pending[is_first][np.cumsum(is_first) - 1]
        joins = np.linalg.norm(points[pending] - points[head], axis=1) <= tie
        leader[pending[joins]] = head[joins]
        pending = pending[~joins]
    return leader[:n] % n, np.where(leader[:n] < n, 1, -1)


def _runs(points: Float64, tie: float) -> Integers:
    """Labels such that points within ``tie`` of each other have the same one: chains in each projection."""
    directions = np.random.default_rng(0).standard_normal((points.shape[1], _PROJECTIONS))
    keys = points @ (directions / np.linalg.norm(directions, axis=0))
    label = np.zeros(len(points), dtype=np.int64)
    for key in keys.T:
        order = np.lexsort((key, label))
        is_new = (np.diff(label[order], prepend=-1) != 0) | (np.diff(key[order], prepend=-np.inf) > tie)
        label[order] = np.cumsum(is_new) - 1
    return label
