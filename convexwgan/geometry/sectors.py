"""Dyadic sectors of the plane, and the maximum of a sum of ReLUs on each of them.

Sector 1 is the whole plane; sector c is halved into 2c and 2c + 1, counterclockwise from angle −π/2. On the ray of
angle θ a sum of ReLUs of unit neurons is a(θ) = Σ_k v_k cos(θ − φ_k)₊: a sinusoid between two breakpoints φ_k ± π/2,
so that its maximum on a sector is at a peak, at a breakpoint with v_k < 0, or on the border.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from convexwgan.arrays import Float64
from convexwgan.geometry.circles import TURN

FIRST = -0.5 * np.pi
"""Where sector 1 begins: its halves are the two half planes x ≥ 0 and x ≤ 0."""
Sectors = npt.NDArray[np.int64]


def rays(angles: Float64) -> Float64:
    """Unit vectors (k, 2) of angles (k,)."""
    return np.column_stack([np.cos(angles), np.sin(angles)])


def sector_arcs(sectors: Sectors) -> tuple[Float64, Float64]:
    """First angle and width of each sector.

    >>> first, width = sector_arcs(np.array([1, 3]))
    >>> (first / np.pi).tolist(), (width / np.pi).tolist()
    ([-0.5, 0.5], [2.0, 1.0])
    """
    level = np.frexp(sectors.astype(np.float64))[1] - 1
    count = np.ldexp(1.0, level)
    width = TURN / count
    return FIRST + (sectors - count) * width, width


def ray_sums(angles: Float64, neurons: Float64, v: Float64) -> Float64:
    """a(θ) = Σ_k v_k cos(θ − φ_k)₊ at each angle, for neurons given by their angles φ."""
    return np.asarray(np.maximum(np.cos(angles[:, None] - neurons[None, :]), 0.0) @ v)


def _pieces(neurons: Float64, v: Float64) -> tuple[Float64, Float64, Float64]:
    """Where a(θ) = gᵀθ changes its g: first angles, ascending in [−π/2, 3π/2), widths, and g."""
    kinks = np.concatenate([neurons - 0.5 * np.pi, neurons + 0.5 * np.pi])
    start = np.sort(np.mod(kinks - FIRST, TURN)) + FIRST
    width = np.diff(start, append=start[0] + TURN)
    active = np.cos((start + 0.5 * width)[:, None] - neurons[None, :]) > 0.0
    return start, width, np.asarray(active @ (v[:, None] * rays(neurons)))


def sector_table(neurons: Float64, v: Float64, depth: int) -> tuple[Float64, Float64, Float64]:
    """max(0, max a(θ)) on every sector down to a depth: entry c of the table (2^{depth+1},) belongs to sector c.

    Args:
        neurons, v: angles φ (k,), k ≥ 1, and weights (k,).
        depth: the last sectors have width 2π/2^depth.

    Returns:
        The table, the angles of all local maxima of a(θ) in [−π/2, 3π/2), and a(θ) there.

    >>> table, peaks, values = sector_table(np.array([0.25 * np.pi]), np.ones(1), 2)
    >>> table[1:].round(6).tolist()
    [1.0, 1.0, 0.707107, 0.707107, 1.0, 0.707107, 0.0]
    >>> (peaks / np.pi).tolist(), values.tolist()
    ([0.25], [1.0])
    """
    start, width, gradients = _pieces(neurons, v)
    toward = np.arctan2(gradients[:, 1], gradients[:, 0])
    inside = np.mod(toward - start, TURN) <= width
    concave = np.concatenate([neurons - 0.5 * np.pi, neurons + 0.5 * np.pi])[np.concatenate([v, v]) < 0.0]
    peaks = np.mod(np.concatenate([toward[inside], concave]) - FIRST, TURN) + FIRST
    values = ray_sums(peaks, neurons, v)
    cells = 1 << depth
    angles = FIRST + TURN / cells * np.arange(cells)
    piece = gradients[np.searchsorted(start, angles, side="right") - 1]  # before the first: the last one
    borders = piece[:, 0] * np.cos(angles) + piece[:, 1] * np.sin(angles)
    table = np.zeros(2 * cells)
    table[cells:] = np.maximum(np.maximum(borders, np.roll(borders, -1)), 0.0)
    place = np.minimum(((peaks - FIRST) * (cells / TURN)).astype(np.int64), cells - 1)
    np.maximum.at(table, cells + place, values)
    while cells > 1:
        table[cells // 2 : cells] = np.maximum(table[cells : 2 * cells : 2], table[cells + 1 : 2 * cells : 2])
        cells //= 2
    return table, peaks, values
