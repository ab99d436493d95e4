"""How large ‖Rᵀ(Zu)₊‖₂ can be for a unit u: an upper bound that the judge proves, whoever proposed the value.

On a cell with rays b_i, u = Σc_ib_i (c ≥ 0) has Rᵀ(Zu)₊ = Σc_if_i, f_i = Rᵀ(Zb_i)₊. So p is an upper bound there if

    p²BBᵀ − FFᵀ is copositive,    rows b_i of B, f_i of F

which holds where the entries are ≥ 0 (most cells), and else by Kaplan's criterion on at most r rays at a time
(Carathéodory): no principal submatrix has a positive eigenvector with a negative eigenvalue. This needs neither
the triangulation nor the eigenproblems of ``geometry.cones``, which proposed p.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from convexwgan.arrays import Float64
from convexwgan.certificates.cells import check_cells
from convexwgan.certificates.certificate import Check
from convexwgan.certificates.latents import BLOCK_NUMBERS, EPS
from convexwgan.certificates.relaxation import Multipliers, relaxation_bound
from convexwgan.certificates.wide_cells import pointedness, sharpened
from convexwgan.geometry.arrangements import Arrangement, cell_count_formula, enumerate_cells
from convexwgan.geometry.bitsets import Bools, Integers
from convexwgan.geometry.pricing import price, price_upper_bound
from convexwgan.geometry.spectra import latent_spectrum

MAX_RANK = 4
MAX_CELLS = 300_000
"""Cells beyond which the judge does not enumerate: minutes and gigabytes in rank 4."""
_INFLATIONS = (1e-10, 1e-8, 1e-6, 1e-4, 1e-2)
_POSITIVE = 1e-7


@dataclass(frozen=True, eq=False)
class PriceBound:
    """attained ≤ max_{‖u‖≤1} ‖Rᵀ(Zu)₊‖₂ ≤ upper, ``attained`` evaluated at the unit vector ``u`` (d,)."""

    upper: float
    attained: float
    u: Float64
    checks: tuple[Check, ...]


def price_bound(
    Z: Float64,
    R: Float64,
    *,
    arrangement: Arrangement | None = None,
    multipliers: Multipliers | None = None,
    max_cells: int = MAX_CELLS,
) -> PriceBound:
    """A proven upper bound on the pricing maximum max ‖Rᵀ(Zu)₊‖₂ s.t. ‖u‖₂ ≤ 1.

    rank(Z) ≤ 4 and at most ``max_cells`` cells: exact up to a relative 1e-10, every cell checked. Else the least
    of the relaxation that ``multipliers`` prove and of ``geometry.pricing.price_upper_bound``.

    Args:
        Z: shape (n, d). R: shape (n, d_r). Both finite.
        arrangement: a claimed list of all the cells; enumerated here when None. A claim that fails a check
            is used for nothing, and the failed check is reported.
        multipliers: of the semidefinite relaxation, see ``relaxation``.
        max_cells: enumerate at most this many cells.

    Returns:
        PriceBound.

    >>> bound = price_bound(np.eye(2), np.array([[3.0], [4.0]]))
    >>> round(bound.attained, 9), round(bound.upper, 8)
    (5.0, 5.0)
    """
    zero = np.zeros(Z.shape[1])
    if not R.any() or not Z.any():
        return PriceBound(0.0, 0.0, zero, (Check("pricing", True, "R or Z is zero"),))
    coarse = _relaxed(Z, R, multipliers)
    is_claim = arrangement is not None
    if arrangement is None:
        arrangement = _enumerated(Z, max_cells)
    if arrangement is None:
        return coarse
    checks = check_cells(Z, arrangement)
    failed = tuple(check for check in checks if not check.holds)
    if failed:
        note = "; ".join(f"{check.name} ({check.detail})" for check in failed)
        doubt = failed if is_claim else (Check("cells not used", True, note),)
        return PriceBound(coarse.upper, coarse.attained, coarse.u, doubt + coarse.checks)
    return _exhaustive(Z, R, arrangement, coarse)


def copositive_bound(rays: Float64, gains: Float64, cells: list[Integers], proposal: float) -> float:
    """A p at least the proposal such that p²BBᵀ − FFᵀ is copositive on every cell; inf where none was found.

    Args:
        rays: unit rays b_i, shape (k, r).
        gains: f_i, shape (k, d_r).
        cells: arrays (cells, m) of ray indices, one array for each number m of rays.
        proposal: what p should be, up to a relative inflation of 1e-10.

    Reference:
        Kaplan, A test for copositive matrices, Linear Algebra and its Applications 313 (2000).
    """
    r, pending = rays.shape[1], cells
    eta = min(float(pointedness(rays, group).min()) for group in cells)
    largest = float(np.einsum("ij,ij->i", gains, gains).max())
    for inflation in _INFLATIONS:
        p2 = (proposal * (1.0 + inflation)) ** 2
        pending = [rest for group in pending if len(rest := _unproven(rays, gains, group, p2, r))]
        if not pending:
            # M is exact to 16(d_r + r)·eps of its terms, and cᵀMc to that times (Σc)² ≤ ‖Bᵀc‖²/η²
            rounding = 16 * (gains.shape[1] + r) * EPS * (p2 + largest) / eta**2 if eta > 0.0 else math.inf
            return math.sqrt(p2 + rounding)
    return math.inf


def _enumerated(Z: Float64, max_cells: int) -> Arrangement | None:
    rank = latent_spectrum(Z).rank
    if rank > MAX_RANK or cell_count_formula(len(Z), rank) > max_cells:
        return None
    return enumerate_cells(Z)


def _relaxed(Z: Float64, R: Float64, multipliers: Multipliers | None) -> PriceBound:
    """The cheap bounds of any rank, and what multipliers prove."""
    upper, detail = price_upper_bound(Z, R), "triangle inequalities"
    if multipliers is not None:
        relaxed = relaxation_bound(Z, R, multipliers)
        if relaxed < upper:
            upper, detail = relaxed, "semidefinite relaxation, multipliers checked"
    attained, u = _attained_at_rows(Z, R)
    return PriceBound(upper, attained, u, (Check("pricing bounded above", True, detail),))


def _attained_at_rows(Z: Float64, R: Float64) -> tuple[float, Float64]:
    """The best of the directions ±z̄, ±(leading right singular vector of RᵀZ): some value, nothing more."""
    leading = np.linalg.svd(R.T @ Z, full_matrices=False)[2][0]
    mean = Z.mean(axis=0)
    directions = [leading, -leading] + ([mean, -mean] if mean.any() else [])
    U = np.array([u / np.linalg.norm(u) for u in directions])
    values = np.linalg.norm(np.maximum(U @ Z.T, 0.0) @ R, axis=1)
    return float(values.max()), U[int(values.argmax())]


def _exhaustive(Z: Float64, R: Float64, arrangement: Arrangement, coarse: PriceBound) -> PriceBound:
    proposed = price(arrangement, Z, R)
    factor = R if R.shape[1] <= len(R) else np.linalg.qr(R.T)[1].T  # only RRᵀ matters
    rays, cells = sharpened(arrangement.reduced_rays, list(_by_size(arrangement)))
    gains, step = np.empty((len(rays), factor.shape[1])), max(BLOCK_NUMBERS // len(Z), 1)
    for start in range(0, len(gains), step):
        U = rays[start : start + step] @ arrangement.basis.T
        gains[start : start + step] = np.maximum(U @ Z.T, 0.0) @ factor
    proposal = max(proposed.value, float(np.linalg.norm(gains, axis=1).max()))
    upper = copositive_bound(rays, gains, cells, proposal) + _allowance(Z, R, arrangement)
    attained = float(np.linalg.norm(np.maximum(Z @ proposed.u, 0.0) @ R))
    detail = f"{arrangement.count} cells in rank {arrangement.rank}, {attained:.12g} ≤ price ≤ {upper:.12g}"
    if not upper < math.inf:
        return PriceBound(coarse.upper, attained, proposed.u, coarse.checks)
    checks = (Check("cells and their rays are complete", True, detail), Check("copositive on every cell", True))
    return PriceBound(min(upper, coarse.upper), attained, proposed.u, checks)


def _allowance(Z: Float64, R: Float64, arrangement: Arrangement) -> float:
    """What rounding, directions outside the numerical row space and slivers between tied hyperplanes can hide.

    u ↦ Rᵀ(Zu)₊ has the Lipschitz constant ‖R‖₂‖Z‖₂.
    """
    planes = arrangement.hyperplanes
    left_out = float(np.linalg.norm(Z - (Z @ planes.basis) @ planes.basis.T))
    condition = float(np.linalg.cond(planes.whitening))
    sliver = (arrangement.residual + 64 * EPS) * condition + sum(Z.shape) * EPS
    return float(np.linalg.norm(R)) * (left_out + sliver * float(np.linalg.norm(Z)))


def _by_size(arrangement: Arrangement) -> Iterator[Integers]:
    """The rays of the cells, shape (cells, m), for each number m of rays."""
    incidence = arrangement.cell_rays
    counts = incidence.counts
    for m in np.unique(counts):
        start = incidence.indptr[:-1][counts == m]
        yield incidence.indices[start[:, None] + np.arange(m)]


def _unproven(rays: Float64, gains: Float64, group: Integers, p2: float, r: int) -> Integers:
    """The cells of the group on which p²BBᵀ − FFᵀ was not shown to be copositive."""
    m, rest = group.shape[1], []
    step = max(BLOCK_NUMBERS // (m * (m + r + gains.shape[1])), 1)
    for start in range(0, len(group), step):
        part = group[start : start + step]
        B, F = rays[part], gains[part]
        M = p2 * (B @ np.swapaxes(B, 1, 2)) - F @ np.swapaxes(F, 1, 2)
        doubtful = np.flatnonzero((M < 0.0).any(axis=(1, 2)))
        rest.append(part[doubtful[~_are_copositive(M[doubtful], r)]])
    return np.concatenate(rest)


def _are_copositive(M: Float64, r: int) -> Bools:
    """Kaplan's criterion on all principal submatrices of size ≤ r, conservative in what counts as positive."""
    k, m = M.shape[:2]
    proven: Bools = np.asarray((np.diagonal(M, axis1=1, axis2=2) >= 0.0).all(axis=1))
    for size in range(2, min(r, m) + 1):
        subsets = np.array(list(combinations(range(m), size)))
        step = max(BLOCK_NUMBERS // (16 * len(subsets) * size * size), 1)
        for start in range(0, k, step):
            block = np.flatnonzero(proven[start : start + step]) + start
            S = M[block[:, None, None, None], subsets[None, :, :, None], subsets[None, :, None, :]]
            cell, subset = np.nonzero((S < 0.0).any(axis=(2, 3)))
            violated = _has_positive_negative_pair(S[cell, subset])
            proven[block[cell[violated]]] = False
    return proven


def _has_positive_negative_pair(S: Float64) -> Bools:
    """Whether some eigenvector of one sign (nearly) has a negative eigenvalue."""
    if len(S) == 0:
        return np.zeros(0, dtype=np.bool_)
    values, vectors = np.linalg.eigh(S)
    is_positive = (vectors >= -_POSITIVE).all(axis=1) | (vectors <= _POSITIVE).all(axis=1)
    return np.asarray((is_positive & (values < 0.0)).any(axis=1))
