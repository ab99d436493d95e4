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


def ray_maxima(neurons: Float64, v: Float64) -> Float64:
    """Angles in [−π/2, 3π/2) that contain every local maximum of a(θ) = Σ_k v_k cos(θ − φ_k)₊.

    >>> (ray_maxima(np.array([0.25 * np.pi]), np.ones(1)) / np.pi).tolist()
    [0.25]
    """
    kinks = np.concatenate([neurons - 0.5 * np.pi, neurons + 0.5 * np.pi])
    start = np.sort(np.mod(kinks - FIRST, TURN)) + FIRST
    width = np.diff(start, append=start[0] + TURN)
    active = np.cos((start + 0.5 * width)[:, None] - neurons[None, :]) > 0.0
    gradients = active @ (v[:, None] * rays(neurons))
    peaks = np.arctan2(gradients[:, 1], gradients[:, 0])
    peaks = peaks[np.mod(peaks - start, TURN) <= width]
    concave = kinks[np.concatenate([v, v]) < 0.0]
    return np.asarray(np.mod(np.concatenate([peaks, concave]) - FIRST, TURN) + FIRST)


def sector_table(neurons: Float64, v: Float64, depth: int) -> tuple[Float64, Float64, Float64]:
    """max(0, max a(θ)) on every sector down to a depth: entry c of the table (2^{depth+1},) belongs to sector c.

    Returns:
        The table, the angles of ``ray_maxima``, and a(θ) there.

    >>> table, _, _ = sector_table(np.zeros(1), np.ones(1), 2)
    >>> table[1:].round(6).tolist()
    [1.0, 1.0, 0.0, 1.0, 1.0, 0.0, 0.0]
    """
    cells = 1 << depth
    borders = ray_sums(FIRST + TURN / cells * np.arange(cells), neurons, v)
    peaks = ray_maxima(neurons, v)
    values = ray_sums(peaks, neurons, v)
    table = np.zeros(2 * cells)
    table[cells:] = np.maximum(np.maximum(borders, np.roll(borders, -1)), 0.0)
    place = np.minimum(((peaks - FIRST) * (cells / TURN)).astype(np.int64), cells - 1)
    np.maximum.at(table, cells + place, values)
    while cells > 1:
        table[cells // 2 : cells] = np.maximum(table[cells : 2 * cells : 2], table[cells + 1 : 2 * cells : 2])
        cells //= 2
    return table, peaks, values
