"""Evidence that a list of cells with their rays is complete: the rays of each cell, counted by separate code.

``geometry.exhaustive`` shows that no cell is missing. What pricing uses are the rays of the cells, so here each
pair (cell, ray) is checked, and the number of cells at each ray is compared with the number that exist there.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np

from convexwgan.arrays import Float64
from convexwgan.certificates.certificate import Check
from convexwgan.certificates.latents import BLOCK_NUMBERS, EPS
from convexwgan.geometry.arrangements import Arrangement
from convexwgan.geometry.bitsets import Bools, Integers, pack_bits
from convexwgan.geometry.exhaustive import check_exhaustive

_NORMAL = 1e-6
_LARGEST_RANK = 4


def check_cells(Z: Float64, arrangement: Arrangement) -> tuple[Check, ...]:
    """Whether the listed cells cover ℝ^d and the rays listed for each cell generate it; ranks up to 4.

    1. Every row of Z is a multiple of its hyperplane's normal; what is outside the row space is rounding.
    2. The cells are distinct, not empty, and as many as Zaslavsky's count (``check_exhaustive``).
    3. The rays lie on the lines that are intersections of hyperplanes: all of these, both ways, found here anew.
    4. Each listed (cell, ray) has the ray in the closed cell; and at each ray there are as many listed cells as
       the arrangement of the hyperplanes through it has.

    Args:
        Z: shape (n, d), the rows whose arrangement this is claimed to be.
        arrangement: the claim.

    Returns:
        one Check each; all hold for a complete list.

    >>> from convexwgan.geometry.arrangements import enumerate_cells
    >>> Z = np.eye(3)
    >>> all(check.holds for check in check_cells(Z, enumerate_cells(Z)))
    True
    """
    belongs = _belongs(Z, arrangement)
    if not belongs.holds or arrangement.rank > _LARGEST_RANK or arrangement.count == 0:
        return (belongs, Check("rank ≤ 4", arrangement.rank <= _LARGEST_RANK, f"rank {arrangement.rank}"))
    cells = tuple(Check(f"cells: {name}", holds, detail) for name, holds, detail in check_exhaustive(arrangement))
    return belongs, *cells, *_check_rays(arrangement)


def lines_of(Y: Float64, tie: float) -> Bools:
    """The lines that are intersections of the hyperplanes y_iᵀu = 0: which hyperplanes contain each, (K, h).

    Each line is the null space of r − 1 independent rows, found by QR (``geometry.flats`` uses minors).

    Args:
        Y: shape (h, r), unit rows, no two parallel, of rank r.
        tie: y_iᵀv = 0 means |y_iᵀv| ≤ tie + 64·eps/(volume of the r − 1 rows).
    """
    h, r = Y.shape
    if r == 1:
        return np.zeros((1, h), dtype=np.bool_)
    subsets = np.array(list(combinations(range(h), r - 1)), dtype=np.int64)
    step, parts = max(BLOCK_NUMBERS // (h + r * r), 1), []
    for start in range(0, len(subsets), step):
        chosen = subsets[start : start + step]
        Q, R = np.linalg.qr(np.swapaxes(Y[chosen], 1, 2), mode="complete")
        volume = np.abs(np.prod(np.diagonal(R, axis1=1, axis2=2), axis=1))
        is_line = volume > tie + 64 * EPS
        v, chosen, volume = Q[is_line, :, -1], chosen[is_line], volume[is_line]
        is_on = np.abs(v @ Y.T) <= (tie + 64 * EPS / volume)[:, None]
        is_on[np.arange(len(v))[:, None], chosen] = True
        parts.append(is_on)
    found: Bools = np.concatenate(parts)
    is_tied = found.sum(axis=1) > r - 1  # only these are met by several subsets
    return np.concatenate([found[~is_tied], np.unique(found[is_tied], axis=0)])


def regions_around(Y: Float64, is_on: Bools, tie: float) -> Integers:
    """The number of cells around each line: cells of the arrangement of the hyperplanes through it, of rank r − 1.

    2^{r−1} for r − 1 hyperplanes; else 2m in rank 2 and 2 + 2Σ_G(m_G − 1) over the lines G in rank 3.
    """
    r, m = Y.shape[1], is_on.sum(axis=1)
    if r <= 3:
        return np.asarray(np.where(m == r - 1, 2 ** (r - 1), 2 * m), dtype=np.int64)
    counts = np.full(len(is_on), 8)
    for k in np.flatnonzero(m > 3):
        rows = Y[is_on[k]]
        local = rows @ np.linalg.svd(rows, full_matrices=False)[2][:3].T
        local /= np.linalg.norm(local, axis=1, keepdims=True)
        counts[k] = 2 + 2 * int((lines_of(local, tie).sum(axis=1) - 1).sum())
    return counts


def _belongs(Z: Float64, arrangement: Arrangement) -> Check:
    """z_i = ‖z_i‖ · orientation_i · (basis normal), and zero rows are zero, to 1e-6 of their length."""
    planes = arrangement.hyperplanes
    if Z.shape != (len(planes.hyperplane_of), len(planes.basis)) or planes.orientation.shape != (len(Z),):
        return Check("the arrangement is that of Z", False, f"Z has shape {Z.shape}")
    normals = (planes.normals @ planes.basis.T)[planes.hyperplane_of] * planes.orientation[:, None]
    lengths = np.linalg.norm(Z, axis=1)
    gap = np.linalg.norm(Z - lengths[:, None] * normals, axis=1)
    is_zero = planes.orientation == 0
    allowed = np.where(is_zero, 1e-12 * lengths.max(initial=0.0), _NORMAL * lengths)
    frame = planes.basis.T @ planes.basis - np.eye(planes.rank)
    holds = bool((gap <= allowed).all()) and float(np.abs(frame).max(initial=0.0)) <= 1e-12
    return Check("the arrangement is that of Z", holds, f"{len(planes.normals)} hyperplanes, rank {planes.rank}")


def _check_rays(arrangement: Arrangement) -> tuple[Check, ...]:
    planes = arrangement.hyperplanes
    Y = planes.normals @ planes.whitening
    Y /= np.linalg.norm(Y, axis=1, keepdims=True)
    v = np.linalg.solve(planes.whitening, arrangement.reduced_rays.T).T
    v /= np.linalg.norm(v, axis=1, keepdims=True)
    values = v @ Y.T
    is_on = np.zeros(values.shape, dtype=np.bool_)
    is_on[arrangement.ray_hyperplanes.owners, arrangement.ray_hyperplanes.indices] = True
    lines = lines_of(Y, planes.tie)
    vanishing = float(np.abs(values[is_on]).max(initial=0.0))
    same_lines = vanishing <= 1e-7 and _are_both_ways(lines, is_on, values)
    rays = Check("the rays are all the lines, both ways", same_lines, f"{len(v)} rays, {len(lines)} lines")
    if not same_lines:
        return (rays,)
    return rays, _incidences_hold(arrangement, values > 0.0, is_on), _counts_agree(arrangement, Y, lines, is_on)


def _are_both_ways(lines: Bools, is_on: Bools, values: Float64) -> bool:
    """Each line occurs among the rays exactly twice, with opposite signs on the hyperplanes that miss it."""
    if len(is_on) != 2 * len(lines):
        return False
    words, packed = pack_bits(lines), pack_bits(is_on)
    signs = pack_bits((values > 0.0) & ~is_on)
    order = np.lexsort((*signs.T, *packed.T))
    first, second = order[0::2], order[1::2]
    listed = packed[first][np.lexsort(packed[first].T)]
    twice = np.array_equal(packed[first], packed[second])
    opposite = np.array_equal(signs[first] | signs[second] | packed[first], pack_bits(np.ones_like(lines)))
    distinct = not bool((signs[first] & signs[second]).any())
    return twice and opposite and distinct and np.array_equal(listed, words[np.lexsort(words.T)])


def _incidences_hold(arrangement: Arrangement, positive: Bools, is_on: Bools) -> Check:
    """Off the hyperplanes through it, a ray has the signs of each cell that it is listed for; none twice."""
    cells, rays = arrangement.cell_rays.owners, arrangement.cell_rays.indices
    signs, off, bad = pack_bits(positive), pack_bits(~is_on), 0
    step = max(BLOCK_NUMBERS // signs.shape[1], 1)
    for start in range(0, len(cells), step):
        block = slice(start, start + step)
        differ = (arrangement.words[cells[block]] ^ signs[rays[block]]) & off[rays[block]]
        bad += int(differ.any(axis=1).sum())
    repeated = len(cells) - len(np.unique(cells * np.int64(len(signs)) + rays))
    return Check("every listed ray is in its cell", bad == repeated == 0, f"{len(cells)} incidences")


def _counts_agree(arrangement: Arrangement, Y: Float64, lines: Bools, is_on: Bools) -> Check:
    """As many listed cells at each ray as exist there."""
    expected = dict(
        zip(
            (row.tobytes() for row in pack_bits(lines)),
            regions_around(Y, lines, arrangement.hyperplanes.tie).tolist(),
            strict=True,
        )
    )
    listed = np.bincount(arrangement.cell_rays.indices, minlength=len(is_on))
    exist = np.array([expected[row.tobytes()] for row in pack_bits(is_on)])
    missing = int(np.abs(exist - listed).sum())
    return Check("no cell lacks a ray", missing == 0, f"{int(listed.sum())} listed, {int(exist.sum())} exist")
