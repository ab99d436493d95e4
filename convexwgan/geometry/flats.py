"""Rays of a central arrangement and the cells around them, ties resolved by recursion on localised arrangements."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations, islice

import numpy as np

from convexwgan.arrays import Float64
from convexwgan.geometry.bitsets import Bools, Integers, Words, one_bit, pack_bits, unpack_bits
from convexwgan.geometry.spectra import EPS

TIE = 1e-11
_ROUNDING = 64 * EPS
_CHUNK = 1 << 19


@dataclass(frozen=True, eq=False)
class Rays:
    """One unit vector of each line that is an intersection of hyperplanes, and the hyperplanes through it.

    ``directions`` (K, r); ``is_on`` (K, h); ``is_ambiguous``: some |y_iᵀv| lay within a factor 10 of what
    just counts as 0.
    """

    directions: Float64
    is_on: Bools
    is_ambiguous: bool


@dataclass(frozen=True, eq=False)
class Corners:
    """Pairs of a cell and a ray of it: ``patterns`` (N, words), ``rays`` (N,) and the facets met there.

    Facets are pairs (``corner``, ``hyperplane``) in two arrays of equal length.
    """

    patterns: Words
    rays: Integers
    corner: Integers
    hyperplane: Integers


def rays_of(Y: Float64, tie: float) -> Rays:
    """The one-dimensional flats of the arrangement of the rows of Y: r − 1 independent rows vanish there.

    v_k = (−1)^k det(rows without column k),  and row j is on the line where |y_jᵀv|/‖v‖ ≤ tie + 64 eps/‖v‖

    ‖v‖ is the volume that the r − 1 rows span: what conditions the direction. Directions on more than r − 1
    hyperplanes come once, recomputed from all of their hyperplanes.

    Args:
        Y: shape (h, r), unit rows, no two parallel, of rank r.
        tie: the tolerance.
    """
    h, r = Y.shape
    simple_v, simple_on = [], []
    tied: set[bytes] = set()
    is_ambiguous = False
    for chosen in _subsets(h, r - 1, _CHUNK // h):
        v, volume = _normal_to(Y[chosen])
        is_independent = volume > tie + _ROUNDING
        is_ambiguous |= _has_near(volume / (tie + _ROUNDING))
        v, volume = v[is_independent], volume[is_independent]
        distance, tolerance = np.abs(v @ Y.T), tie + _ROUNDING / volume
        is_on = distance <= tolerance[:, None]
        is_on[np.arange(len(v))[:, None], chosen[is_independent]] = True
        is_ambiguous |= _has_near(distance / tolerance[:, None])
        is_simple = is_on.sum(axis=1) == r - 1
        simple_v.append(v[is_simple])
        simple_on.append(is_on[is_simple])
        tied.update(row.tobytes() for row in np.packbits(is_on[~is_simple], axis=1))
    octets = np.array([np.frombuffer(row, dtype=np.uint8) for row in sorted(tied)], dtype=np.uint8)
    tied_on = np.unpackbits(octets.reshape(len(tied), -(-h // 8)), axis=1, count=h).astype(np.bool_)
    tied_v = np.array([np.linalg.svd(Y[on])[2][-1] for on in tied_on]).reshape(-1, r)
    return Rays(np.concatenate([*simple_v, tied_v]), np.concatenate([*simple_on, tied_on]), is_ambiguous)


def corners_of(Y: Float64, rays: Rays, tie: float) -> Corners:
    """Every pair (cell, ray of the cell), for one of each two opposite rays.

    At a ray on exactly r − 1 hyperplanes all 2^{r−1} sign choices of these are cells. At a ray on more of
    them only the cells of the localised arrangement are: a free choice of signs would invent cells.
    """
    r = Y.shape[1]
    is_simple = rays.is_on.sum(axis=1) == r - 1
    parts = [_simple_corners(Y, rays, np.flatnonzero(is_simple))]
    parts += [_tied_corners(Y, rays, int(k), tie) for k in np.flatnonzero(~is_simple)]
    offsets = np.cumsum([0, *(len(part.rays) for part in parts[:-1])])
    return Corners(
        np.concatenate([part.patterns for part in parts]),
        np.concatenate([part.rays for part in parts]),
        np.concatenate([part.corner + offset for part, offset in zip(parts, offsets, strict=True)]),
        np.concatenate([part.hyperplane for part in parts]),
    )


def plane_corners(Y: Float64, tie: float) -> tuple[Rays, Corners]:
    """The same in the plane, where a sweep over angles needs no sign of any line at any ray.

    Crossing the k-th line flips one sign: pattern_k = pattern_{k−1} xor bit(line k).
    """
    h = len(Y)
    angle = np.mod(np.arctan2(Y[:, 0], -Y[:, 1]), np.pi)  # of the line {u: y_iᵀu = 0}
    order = np.argsort(angle)
    gaps = np.diff(angle[order], append=angle[order[0]] + np.pi)
    turned = angle[order]
    middle = turned[0] + 0.5 * gaps[0]
    first = Y @ np.array([np.cos(middle), np.sin(middle)]) > 0.0
    flips = one_bit(h)[order]
    flips[0] = pack_bits(first[None])[0]
    cells = np.bitwise_xor.accumulate(flips, axis=0)
    following = np.roll(np.arange(h), -1)  # the last cell ends at the opposite of ray 0
    patterns = np.concatenate([cells, cells])
    patterns[-1] ^= pack_bits(np.ones((1, h), dtype=np.bool_))[0]
    is_on = np.zeros((h, h), dtype=np.bool_)
    is_on[np.arange(h), order] = True
    rays = Rays(np.stack([np.cos(turned), np.sin(turned)], axis=1), is_on, bool(gaps.min() < 10.0 * tie))
    met = np.concatenate([np.arange(h), following])
    return rays, Corners(patterns, met, np.arange(2 * h), order[met])


def local_cells(Y: Float64, tie: float) -> tuple[Bools, Bools]:
    """Signs and facets of all the cells of a small arrangement, shapes (cells, h) each.

    Args:
        Y: shape (h, r), unit rows, no two parallel, of rank r.
    """
    h, r = Y.shape
    corners = plane_corners(Y, tie)[1] if r == 2 else corners_of(Y, rays_of(Y, tie), tie)
    signs = unpack_bits(corners.patterns, h)
    facets = np.zeros_like(signs)
    facets[corners.corner, corners.hyperplane] = True
    signs, facets = np.concatenate([signs, ~signs]), np.concatenate([facets, facets])
    cells, cell_of = np.unique(signs, axis=0, return_inverse=True)
    merged = np.zeros_like(cells)
    np.logical_or.at(merged, cell_of.reshape(-1), facets)
    return cells, merged


def _has_near(ratio: Float64) -> bool:
    """Whether some value lies within a factor 10 of its tolerance."""
    return bool(((ratio > 0.1) & (ratio < 10.0)).any())


def _subsets(h: int, size: int, chunk: int) -> Iterator[Integers]:
    """All the subsets of {0, …, h−1} of that size, in blocks of shape (at most chunk, size)."""
    subsets = combinations(range(h), size)
    while block := list(islice(subsets, max(chunk, 1))):
        yield np.array(block, dtype=np.int64).reshape(len(block), size)


def _normal_to(rows: Float64) -> tuple[Float64, Float64]:
    """The unit vector orthogonal to r − 1 rows in ℝ^r, and the volume that they span; batched."""
    r = rows.shape[2]
    minors = [np.linalg.det(np.delete(rows, k, axis=2)) * (-1.0) ** k for k in range(r)]
    v = np.stack(minors, axis=1)
    volume = np.linalg.norm(v, axis=1)
    return v / np.where(volume > 0.0, volume, 1.0)[:, None], volume


def _simple_corners(Y: Float64, rays: Rays, chosen: Integers) -> Corners:
    """The 2^{r−1} cells at each ray that lies on exactly r − 1 hyperplanes, all of them facets there."""
    h, r = Y.shape
    if r == 1:  # the one hyperplane is the origin, through which no ray passes
        return Corners(_signs_off(Y, rays, chosen), chosen, chosen, chosen)
    on = np.nonzero(rays.is_on[chosen])[1].reshape(len(chosen), r - 1)
    base = _signs_off(Y, rays, chosen)
    bits = one_bit(h)
    patterns = [base]
    for j in range(r - 1):
        patterns += [pattern | bits[on[:, j]] for pattern in patterns]
    copies = len(patterns)
    corner = np.repeat(np.arange(copies * len(chosen)), r - 1)
    met = np.tile(on, (copies, 1)).reshape(-1)
    return Corners(np.concatenate(patterns), np.tile(chosen, copies), corner, met)


def _signs_off(Y: Float64, rays: Rays, chosen: Integers) -> Words:
    """The packed signs at the chosen rays, zero on the hyperplanes through them; in blocks."""
    words = np.empty((len(chosen), -(-len(Y) // 64)), dtype=np.uint64)
    step = max(_CHUNK // len(Y), 1)
    for start in range(0, len(chosen), step):
        block = chosen[start : start + step]
        signs = (rays.directions[block] @ Y.T > 0.0) & ~rays.is_on[block]
        words[start : start + step] = pack_bits(signs)
    return words


def _tied_corners(Y: Float64, rays: Rays, k: int, tie: float) -> Corners:
    """The cells at one ray on more than r − 1 hyperplanes: those of the arrangement of these hyperplanes."""
    v, on = rays.directions[k], np.flatnonzero(rays.is_on[k])
    complement = np.linalg.svd(v[None])[2][1:].T  # an orthonormal basis of v's complement
    rows = Y[on] @ complement
    cells, facets = local_cells(rows / np.linalg.norm(rows, axis=1, keepdims=True), tie)
    signs = np.tile(Y @ v > 0.0, (len(cells), 1))
    signs[:, on] = cells
    corner, local = np.nonzero(facets)
    return Corners(pack_bits(signs), np.full(len(cells), k), corner, on[local])
