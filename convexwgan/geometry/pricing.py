"""Pricing: the neuron u in the unit ball that correlates most with a residual, max ‖Rᵀ(Zu)₊‖₂, and bounds on it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from convexwgan.arrays import Array, Float64, to_numpy64
from convexwgan.errors import InputError
from convexwgan.geometry.arrangements import Arrangement
from convexwgan.geometry.bitsets import Integers
from convexwgan.geometry.cones import MAX_RANK, FaceMaximum, cone_faces, face_maximum, triangulate
from convexwgan.geometry.moments import require_matrix
from convexwgan.geometry.spectra import EPS

_BLOCK = 1 << 22
_FIRST_CELLS = 64


@dataclass(frozen=True, eq=False)
class PricingResult:
    """The largest value found, the unit vector u (d,) that attains it, and what no u in the ball exceeds.

    ``value`` is evaluated at u. ``upper`` is value plus an allowance for rounding and ties where ``is_exact``,
    inf for a heuristic and for a list of cells that is ambiguous (``Arrangement.is_ambiguous``).
    ``cells_priced`` and ``faces_priced`` say how much work bounds did not save.
    """

    value: float
    u: Float64
    upper: float
    is_exact: bool
    cells_priced: int = 0
    faces_priced: int = 0


def price(arrangement: Arrangement, Z: Array, R: Array) -> PricingResult:
    """The exact pricing maximum, by the faces of the cells that cheap bounds cannot exclude; rank(Z) ≤ 4.

    max ‖Rᵀ(Zu)₊‖₂  s.t.  ‖u‖₂ ≤ 1

    On a cell Rᵀ(Zu)₊ = Aᵀu is linear, A = ZᵀHR. With g_j its value at ray v_j and m any unit vector,
    u = Σc_jv_j has ‖Aᵀu‖ ≤ Σ c_j‖g_j‖ ≤ max_j ‖g_j‖/(v_jᵀm), if all v_jᵀm > 0: a bound on a cell from its rays,
    tight where cells are small. Cells are priced by descending bound until the best value exceeds the next:
    ‖A‖₂ first, then each face of its simplicial cones, once, as an eigenproblem (``face_maximum``).

    Args:
        arrangement: ``enumerate_cells(Z)``.
        Z: shape (n, d).
        R: shape (n, d_r).

    Returns:
        PricingResult, exact.

    Raises:
        InputError: the shapes do not fit, R is not finite, the rank exceeds 4, cells are missing, or ties are so
            ambiguous that the cells do not fit together.

    Reference:
        Dual constraint of Lemma C.1 in Sahiner et al., ICLR 2022.

    >>> from convexwgan.geometry.arrangements import enumerate_cells
    >>> Z = np.array([[1.0, 0.0], [0.0, 1.0]])
    >>> round(price(enumerate_cells(Z), Z, np.array([[3.0], [4.0]])).value, 12)
    5.0
    """
    rows, R = _checked(arrangement, Z, R)
    factor = _short_factor(R)
    in_plane = arrangement.rank == 2
    found = _plane_maximum(rows, factor) if in_plane else _search(arrangement, rows, factor, signed=False)
    u = arrangement.basis @ found.u
    value = float(np.linalg.norm(R.T @ np.maximum(to_numpy64(Z) @ u, 0.0)))
    is_exact = in_plane or not arrangement.is_ambiguous  # the plane needs no cell list
    upper = max(value, found.value) + _allowance(arrangement, Z, R) if is_exact else np.inf
    return PricingResult(value, u, upper, is_exact, found.cells, found.faces)


def price_scalar(arrangement: Arrangement, Z: Array, weights: Array) -> PricingResult:
    """The largest value of one signed combination of rectified rows; rank(Z) ≤ 4.

    max Σ_i w_i (z_iᵀu)₊  s.t.  ‖u‖₂ ≤ 1        (at least 0, at u = 0; for the minimum pass −w)

    Linear on each cell: the best u is the projection of a = ZᵀHw on the cell, found on its faces.

    Args:
        arrangement: ``enumerate_cells(Z)``.
        Z: shape (n, d).
        weights: shape (n,), of any sign.

    Returns:
        PricingResult, exact; u = 0 where no direction has a positive value.

    Raises:
        InputError: as ``price``.

    >>> from convexwgan.geometry.arrangements import enumerate_cells
    >>> Z = np.array([[1.0, 0.0], [0.0, 1.0]])
    >>> price_scalar(enumerate_cells(Z), Z, np.array([2.0, -1.0])).u.tolist()
    [1.0, 0.0]
    """
    if np.ndim(weights) != 1:
        raise InputError("weights", weights, "have one axis", "pass one weight for each row of Z")
    rows, R = _checked(arrangement, Z, weights[:, None])
    found = _search(arrangement, rows, R, signed=True)
    u = arrangement.basis @ found.u
    value = float(R[:, 0] @ np.maximum(to_numpy64(Z) @ u, 0.0))
    is_exact = not arrangement.is_ambiguous
    upper = max(value, found.value, 0.0) + _allowance(arrangement, Z, R) if is_exact else np.inf
    return PricingResult(value, u, upper, is_exact, found.cells, found.faces)


def price_upper_bound(Z: Array, R: Array) -> float:
    """A valid upper bound on max_{‖u‖≤1} ‖Rᵀ(Zu)₊‖₂ at any rank: the least of a few cheap ones.

    * t₊ = (t + |t|)/2:  ½‖RᵀZ‖₂ + ½‖D⁻¹R‖₂‖DZ‖₂ for any positive diagonal D; here D = I and D_i² = ‖r_i‖/‖z_i‖
    * triangle inequality, w_i = ‖r_i‖:  ½‖Σw_iz_i‖ + ½(Σw_i · λ_max(Σ w_iz_iz_iᵀ))^½

    Args:
        Z: shape (n, d).
        R: shape (n, d_r).

    Raises:
        InputError: the shapes do not fit.

    >>> bool(price_upper_bound(np.eye(2), np.array([[3.0], [4.0]])) >= 5.0)
    True
    """
    require_same_rows(Z, R)
    Z, R = to_numpy64(Z), to_numpy64(R)
    z, w = np.linalg.norm(Z, axis=1), np.linalg.norm(R, axis=1)
    used = (z > 0.0) & (w > 0.0)
    Z, R, z, w = Z[used], R[used], z[used], w[used]
    if len(Z) == 0:
        return 0.0
    scale = np.sqrt(w / z)[:, None]
    plain = np.linalg.norm(R, 2) * np.linalg.norm(Z, 2)
    scaled = np.linalg.norm(R / scale, 2) * np.linalg.norm(Z * scale, 2)
    linear = 0.5 * float(np.linalg.norm(R.T @ Z, 2)) + 0.5 * float(min(plain, scaled))
    weighted = np.linalg.norm(Z * np.sqrt(w)[:, None], 2)
    triangle = 0.5 * float(np.linalg.norm(w @ Z)) + 0.5 * float(np.sqrt(w.sum()) * weighted)
    rounding: float = 1.0 + 16 * (len(Z) + Z.shape[1]) * EPS
    return min(linear, triangle) * rounding


@dataclass(frozen=True, eq=False)
class _Found:
    """The best value, where (reduced coordinates), and how many cells and faces were priced."""

    value: float
    u: Float64
    cells: int
    faces: int


def _search(arrangement: Arrangement, rows: Float64, R: Float64, signed: bool) -> _Found:
    """Cells by descending bound, in growing batches, until the best value is at least the next bound."""
    gains = _gains_at_rays(arrangement.reduced_rays, rows, R)
    size = np.maximum(gains[:, 0], 0.0) if signed else np.linalg.norm(gains, axis=1)
    leading = int(size.argmax())
    best = FaceMaximum(float(size[leading]), arrangement.reduced_rays[leading] * bool(size[leading] > 0.0), 0)
    bounds = _cell_bounds(arrangement, size)
    order = np.argsort(-bounds)
    cells = faces = start = 0
    batch = _FIRST_CELLS
    products = (rows[:, :, None] * R[:, None, :]).reshape(len(rows), -1)
    while start < len(order) and bounds[order[start]] > best.value:
        chosen = order[start : start + min(batch, max(_BLOCK // max(products.shape), 1))]
        for found in _priced(arrangement, chosen, products, best.value, signed):
            faces += found.faces
            best = found if found.value > best.value else best
        cells, start, batch = cells + len(chosen), start + len(chosen), 4 * batch
    return _Found(best.value, best.u, cells, faces)


def _gains_at_rays(rays: Float64, rows: Float64, R: Float64) -> Float64:
    """g = Rᵀ(Zv)₊ at every ray, shape (k, d_r); ray i + k/2 is −(ray i), and (−t)₊ = t₊ − t."""
    half = rays[: len(rays) // 2]
    forward, step = np.empty((len(half), R.shape[1])), max(_BLOCK // len(rows), 1)
    for start in range(0, len(half), step):
        forward[start : start + step] = np.maximum(half[start : start + step] @ rows.T, 0.0) @ R
    return np.concatenate([forward, forward - half @ (rows.T @ R)])


def _cell_bounds(arrangement: Arrangement, size: Float64) -> Float64:
    """max_j ‖g_j‖/(v_jᵀm) for each cell, m its interior point; inf where some v_jᵀm is not clearly positive."""
    incidence = arrangement.cell_rays
    m = arrangement.reduced_interior_points[incidence.owners]
    cosine = np.einsum("ij,ij->i", arrangement.reduced_rays[incidence.indices], m)
    ratio = np.where(cosine > 1e-6, size[incidence.indices] / np.maximum(cosine, 1e-6), np.inf)
    bounds: Float64 = np.maximum.reduceat(ratio, incidence.indptr[:-1])
    return bounds


def _priced(
    arrangement: Arrangement, chosen: Integers, products: Float64, floor: float, signed: bool
) -> list[FaceMaximum]:
    """The maxima on the faces of the chosen cells whose ‖A‖₂ exceeds the floor, A = ZᵀHR = Σ_i H_i z_ir_iᵀ."""
    A = (arrangement.patterns_of(chosen).astype(np.float64) @ products).reshape(len(chosen), arrangement.rank, -1)
    norms = np.sqrt(np.maximum(np.linalg.eigvalsh(A @ np.swapaxes(A, 1, 2))[:, -1], 0.0))
    kept = norms > floor
    if not kept.any():
        return []
    cones = triangulate(arrangement, chosen[kept])
    map_of = np.full(arrangement.count, -1)
    map_of[chosen] = np.arange(len(chosen))
    return [
        face_maximum(arrangement.reduced_rays, faces, A, map_of[cones.cells[cone]], signed)
        for faces, cone in cone_faces(cones.rays)
    ]


def _plane_maximum(rows: Float64, R: Float64) -> _Found:
    """The pricing maximum in the plane by one sweep: no cell list, no ties, O(n log n + n d_r).

    Row i is active for angles within π/2 of its own. On the arc between two events u = (cos θ, sin θ) has
    ‖Aᵀu‖² = (a+d)/2 + (a−d)/2·cos 2θ + b·sin 2θ,  [[a, b], [b, d]] = AAᵀ:  largest at 2θ = atan2(2b, a−d), or
    at an end of the arc.
    """
    angle = np.arctan2(rows[:, 1], rows[:, 0])
    is_row = np.linalg.norm(rows, axis=1) > 0.0
    angle, products = angle[is_row], (rows[:, :, None] * R[:, None, :])[is_row]
    event = np.mod(np.concatenate([angle - 0.5 * np.pi, angle + 0.5 * np.pi]), 2 * np.pi)
    order = np.argsort(event)
    gaps = np.diff(event[order], append=event[order[0]] + 2 * np.pi)
    order, gaps = (np.roll(column, -int(gaps.argmax())) for column in (order, gaps))  # start on the longest arc
    low, high = event[order], event[order] + gaps
    first = 0.5 * (low[0] + high[0])
    at_first = np.cos(angle - first) > 0.0
    changes = np.concatenate([products, -products])[order]
    changes[0] = products[at_first].sum(axis=0)
    A = np.cumsum(changes, axis=0)
    AA = A @ np.swapaxes(A, 1, 2)
    peak = 0.5 * np.arctan2(2 * AA[:, 0, 1], AA[:, 0, 0] - AA[:, 1, 1])
    peak = low + np.mod(peak - low, np.pi)  # the first maximiser of period π beyond the arc's start
    theta = np.stack([low, high, np.where(peak < high, peak, low)], axis=1)
    U = np.stack([np.cos(theta), np.sin(theta)], axis=1)  # (arcs, 2, 3)
    values = np.sqrt(np.maximum(np.einsum("kic,kij,kjc->kc", U, AA, U), 0.0))
    arc, which = np.unravel_index(int(values.argmax()), values.shape)
    return _Found(float(values[arc, which]), U[arc, :, which], len(low), 2 * len(low))


def _allowance(arrangement: Arrangement, Z: Array, R: Float64) -> float:
    """How much larger than the computed value the maximum can be: rounding, dropped directions, inexact ties.

    Every u is Σc_jv_j in a cone of the computed fan. There the error of row i is at most Σc_j|z_iᵀv_j| over the
    rays on which it counts as 0, plus its distance from the normal that it shares with parallel rows; directions
    outside the numerical row space hide at most ‖R‖₂‖Z − ZVVᵀ‖₂.
    """
    rows = to_numpy64(Z)
    reduced = rows @ arrangement.basis
    left_out = float(np.linalg.norm(rows - reduced @ arrangement.basis.T))
    merged = float(np.linalg.norm(_off_hyperplanes(arrangement, reduced)))
    relative = 4 * arrangement.rank * arrangement.residual + (64 + sum(rows.shape)) * EPS
    return float(np.linalg.norm(R)) * (left_out + merged + relative * float(np.linalg.norm(rows)))


def _short_factor(R: Float64) -> Float64:
    """L with at most n columns and LLᵀ = RRᵀ, all that the norm ‖Rᵀy‖ depends on."""
    if R.shape[1] <= R.shape[0]:
        return R
    return np.linalg.qr(R.T)[1].T


def _checked(arrangement: Arrangement, Z: Array, R: Array) -> tuple[Float64, Float64]:
    """Z in reduced coordinates (n, r), and R, in float64."""
    require_same_rows(Z, R)
    n, d = len(arrangement.hyperplanes.hyperplane_of), len(arrangement.basis)
    if tuple(Z.shape) != (n, d):
        raise InputError("Z", Z, f"have the shape ({n}, {d}) of the arrangement", "pass the Z that was enumerated")
    if arrangement.scope != "exhaustive":
        remedy = "price the whole arrangement, or use price_local"
        raise InputError("scope of the arrangement", arrangement.scope, "be 'exhaustive'", remedy)
    if arrangement.rank > MAX_RANK:
        remedy = "use price_local and price_upper_bound at higher rank"
        raise InputError("rank of the arrangement", arrangement.rank, f"be <= {MAX_RANK}", remedy)
    residual = to_numpy64(R)
    if not np.isfinite(residual).all():
        raise InputError("R", R, "be finite", "a dual point with NaN or infinity proves nothing")
    rows = to_numpy64(Z) @ arrangement.basis
    _require_hyperplanes_of(arrangement, rows)
    return rows, residual


def _require_hyperplanes_of(arrangement: Arrangement, rows: Float64) -> None:
    """Each row is a multiple, of the recorded sign, of its hyperplane's normal."""
    orientation, lengths = arrangement.hyperplanes.orientation, np.linalg.norm(rows, axis=1)
    gap = _off_hyperplanes(arrangement, rows)
    allowed = np.where(orientation == 0, 1e-9 * lengths.max(), 1e-6 * lengths)
    if (gap > allowed).any():
        row = int(np.argmax(gap - allowed))
        remedy = "pass the Z that was enumerated"
        raise InputError(f"row {row} of Z", rows[row], "lie on its hyperplane in the arrangement", remedy)


def _off_hyperplanes(arrangement: Arrangement, rows: Float64) -> Float64:
    """How far each row is from the multiple of its hyperplane's normal that has its length, shape (n,)."""
    hyperplanes = arrangement.hyperplanes
    expected = hyperplanes.normals[hyperplanes.hyperplane_of] * hyperplanes.orientation[:, None]
    off: Float64 = np.linalg.norm(rows - np.linalg.norm(rows, axis=1)[:, None] * expected, axis=1)
    return off


def require_same_rows(Z: Array, R: Array) -> None:
    require_matrix(Z, "Z")
    require_matrix(R, "R")
    if Z.shape[0] != R.shape[0]:
        raise InputError("rows of R", R.shape[0], f"be {Z.shape[0]}, the rows of Z", "pass R of shape (n, d_r)")
