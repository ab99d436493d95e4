"""Cells that are nearly half-spaces, cut into sharp cones: sums of nearly opposite rays cancel in floating point."""

from __future__ import annotations

from itertools import combinations
from math import comb

import numpy as np

from convexwgan.arrays import Float64
from convexwgan.geometry.bitsets import Integers

SHARP = 0.05
_ACUTE = -0.1
_ROUNDS = 40
_MOST = 400_000


def pointedness(rays: Float64, group: Integers) -> Float64:
    """η of each cell, with ‖Σc_ib_i‖ ≥ η Σc_i for all c ≥ 0: min_i xᵀb_i for a unit x that is found, not trusted.

    x is the mean ray, or the point of conv{b_i} nearest to 0 where that is no good. η ≤ 0: none was found.

    Args:
        rays: unit, shape (k, r).
        group: indices of the rays of cells with m rays each, shape (cells, m).
    """
    eta = _least_cosine(rays[group], rays[group].sum(axis=1))
    wide = np.flatnonzero(eta < 0.3)
    if len(wide):
        B = rays[group[wide]]
        eta[wide] = np.maximum(eta[wide], _least_cosine(B, np.array([_nearest_to_origin(cell) for cell in B])))
    return eta


def sharpened(rays: Float64, cells: list[Integers]) -> tuple[Float64, list[Integers]]:
    """The same cells with the wide ones (η < ``SHARP``) replaced by cones that cover them, of r rays and η > ⅓.

    Every choice of r of the m rays is a cone (Carathéodory: together they cover the cell), bisected at the
    middle of its widest pair of rays until all pairs are nearly acute. Cells with too many choices stay.

    Args:
        rays: unit, shape (k, r).
        cells: index arrays (cells, m), one for each m.

    Returns:
        the rays with the new ones at the end, and the index arrays.
    """
    r, kept, simplices = rays.shape[1], [], []
    for group in cells:
        wide = pointedness(rays, group) < SHARP
        if not wide.any() or int(wide.sum()) * comb(group.shape[1], r) > _MOST:
            kept.append(group)
            continue
        kept.append(group[~wide])
        subsets = np.array(list(combinations(range(group.shape[1]), r)))
        simplices.append(group[wide][:, subsets].reshape(-1, r))
    kept = [group for group in kept if len(group)]
    if not simplices:
        return rays, kept
    rays, cut = _bisected(rays, np.unique(np.concatenate(simplices), axis=0))
    return rays, [*kept, cut]


def _bisected(rays: Float64, S: Integers) -> tuple[Float64, Integers]:
    """Simplicial cones (k, r) bisected until no two rays of one have a cosine below −0.1."""
    done = []
    for _ in range(_ROUNDS):
        cosines = rays[S] @ np.swapaxes(rays[S], 1, 2)
        is_wide = cosines.min(axis=(1, 2)) < _ACUTE
        done.append(S[~is_wide])
        S, cosines = S[is_wide], cosines[is_wide]
        if len(S) == 0 or len(S) > _MOST:
            break
        i, j = np.divmod(cosines.reshape(len(S), -1).argmin(axis=1), S.shape[1])
        row = np.arange(len(S))
        ends = np.sort(np.stack([S[row, i], S[row, j]], axis=1), axis=1)
        edges, of_simplex = np.unique(ends, axis=0, return_inverse=True)
        middle = rays[edges[:, 0]] + rays[edges[:, 1]]
        length = np.linalg.norm(middle, axis=1, keepdims=True)
        first, second = S.copy(), S.copy()
        first[row, i] = second[row, j] = len(rays) + of_simplex.reshape(-1)
        rays = np.concatenate([rays, middle / np.where(length > 0.0, length, 1.0)])
        S = np.concatenate([first, second])
    return rays, np.concatenate([*done, S])


def _least_cosine(B: Float64, x: Float64) -> Float64:
    """min_i xᵀb_i/‖x‖ for each cell."""
    norm = np.linalg.norm(x, axis=1)
    cosine: Float64 = np.einsum("kir,kr->ki", B, x).min(axis=1)
    return cosine / np.where(norm > 0.0, norm, np.inf)


def _nearest_to_origin(B: Float64) -> Float64:
    """x = Bᵀc for the c ≥ 0 that minimises ‖Bᵀc‖² + (1 − Σc)²: optimality says b_iᵀx ≥ 1 − Σc > 0 for all i."""
    from scipy.optimize import nnls

    m, r = B.shape
    c = nnls(np.concatenate([B.T, np.ones((1, m))]), np.concatenate([np.zeros(r), [1.0]]))[0]
    return np.asarray(c @ B, dtype=np.float64)
