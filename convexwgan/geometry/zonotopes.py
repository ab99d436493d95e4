"""Zonotopes Σ[0, z_i]: the vertex farthest from the origin, exactly at small rank and bracketed at any."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from convexwgan.arrays import Array, Float64, to_numpy64
from convexwgan.errors import InputError
from convexwgan.geometry.arrangements import cell_count_formula, enumerate_cells
from convexwgan.geometry.moments import require_matrix
from convexwgan.geometry.pricing import price
from convexwgan.geometry.spectra import EPS, latent_spectrum

MAX_RANK = 4
MAX_CELLS = 300_000
_ITERATIONS = 100
_START_ENTRIES = 1 << 22


@dataclass(frozen=True, eq=False)
class FarthestVertex:
    """value ≤ φ* ≤ upper, φ* = max_{‖u‖≤1} 1ᵀ(Zu)₊ the distance of the zonotope's farthest vertex Zᵀh.

    ``value`` = ‖Zᵀh‖ is attained at the unit vector ``u`` (d,) = Zᵀh/‖Zᵀh‖; 0 with u = 0 where Z = 0.
    ``sign_weights`` (n + 1,) prove ``upper`` by ``farthest_vertex_bound`` where the value is not exact.
    """

    value: float
    u: Float64
    upper: float
    is_exact: bool
    sign_weights: Float64


def farthest_vertex(Z: Array, *, max_cells: int = MAX_CELLS) -> FarthestVertex:
    """The vertex of the zonotope Σ[0, z_i] that is farthest from the origin.

    φ* = max 1ᵀ(Zu)₊  s.t.  ‖u‖₂ ≤ 1  =  max ‖Zᵀh‖₂  s.t.  h ∈ {0, 1}ⁿ

    Exact for rank(Z) ≤ 4 and at most ``max_cells`` cells, by ``geometry.pricing.price`` with R = 1. Else a local
    search from the rows and the principal directions, and an upper bound within √(π/2) of φ* by weights.

    Args:
        Z: generators, shape (n, d).
        max_cells: enumerate at most this many cells.

    Raises:
        InputError: Z is not a non-empty finite matrix.

    Reference:
        MATH 3.7. The bracket is Goemans and Williamson's and Nesterov's, J. ACM 42 (1995).

    >>> farthest_vertex(np.array([[3.0, 0.0], [0.0, 4.0], [-1.0, 0.0]])).value
    5.0
    """
    require_matrix(Z, "Z")
    rows = to_numpy64(Z)
    if not np.isfinite(rows).all():
        raise InputError("Z", Z, "be finite", "drop or impute its NaN and infinite entries")
    n, d = rows.shape
    if not rows.any():
        return FarthestVertex(0.0, np.zeros(d), 0.0, True, np.ones(n + 1))
    rank = latent_spectrum(rows).rank
    starts, exact_upper = _directions(rows), np.inf
    if rank <= MAX_RANK and cell_count_formula(n, rank) <= max_cells:
        found = price(enumerate_cells(rows), rows, np.ones((n, 1)))
        starts, exact_upper = found.u[None], found.upper
    s = _ascended(rows, starts)
    value = float(np.linalg.norm(s))
    weights = _sign_weights(rows)
    is_exact = bool(np.isfinite(exact_upper))
    upper = exact_upper if is_exact else farthest_vertex_bound(rows, weights)
    return FarthestVertex(value, s / value, max(upper, value), is_exact, weights)


def farthest_vertex_bound(Z: Float64, weights: Float64) -> float:
    """An upper bound on φ* = max_{h ∈ {0,1}ⁿ} ‖Zᵀh‖, valid for every positive w ∈ ℝⁿ⁺¹.

    h = (1 + s)/2 makes Zᵀh = ½Z̃ᵀ(1, s), Z̃ = [z̄ᵀ; Z], and for signs s̃ᵀ W s̃ = Σw, so that

        ‖½Z̃ᵀs̃‖² ≤ ¼ λ_max(Z̃ᵀW⁻¹Z̃) Σw

    Args:
        Z: shape (n, d).
        weights: w, shape (n + 1,); not positive ones are raised to a tiny positive number.

    >>> round(farthest_vertex_bound(np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([2.0, 1.0, 1.0])), 6)
    1.414214
    """
    lifted = _lifted(Z)
    w = np.maximum(weights, 1e-9 * float(np.max(weights)))
    gram = lifted.T @ (lifted / w[:, None])
    bound = 0.5 * np.sqrt(float(np.linalg.eigvalsh(gram)[-1]) * float(w.sum()))
    return float(bound) * (1.0 + 8 * sum(Z.shape) * EPS)


def _lifted(Z: Float64) -> Float64:
    """Z̃ = [z̄ᵀ; Z]."""
    return np.concatenate([Z.sum(axis=0)[None], Z])


def _directions(Z: Float64) -> Float64:
    """Starts for the local search: the mean, both ways of each principal direction, and of up to 64 rows."""
    V = np.linalg.eigh(Z.T @ Z)[1].T[::-1]
    rows = Z[np.argsort(-np.linalg.norm(Z, axis=1), kind="stable")[:64]]
    starts = np.concatenate([Z.sum(axis=0)[None], V, -V, rows, -rows])[: 1 + _START_ENTRIES // len(Z)]
    return np.asarray(starts[np.linalg.norm(starts, axis=1) > 0.0], dtype=np.float64)


def _ascended(Z: Float64, U: Float64) -> Float64:
    """The longest Zᵀh reached from the directions U by h ← 1[Zu > 0], u ← Zᵀh, which never shortens Zᵀh."""
    best, length = np.zeros(Z.shape[1]), 0.0
    for steps in range(_ITERATIONS):
        moved = (U @ Z.T > 0.0) @ Z
        lengths = np.linalg.norm(moved, axis=1)
        leading = int(lengths.argmax())
        if lengths[leading] > length:
            best, length = moved[leading], float(lengths[leading])
        rising = lengths > np.linalg.norm(U, axis=1) * (1.0 + 4 * EPS) if steps else np.ones(len(U), dtype=np.bool_)
        if not rising.any():
            break
        U = moved[rising]
    return np.asarray(best)


def _sign_weights(Z: Float64) -> Float64:
    """w_i = (z̃_iᵀPz̃_i)^½ for P ⪰ 0, tr P = 1, near the maximum of Σ(z̃_iᵀPz̃_i)^½, which minimises the bound.

    Multiplicative ascent P ← P^½ A P^½/tr(·), A = Σ z̃_iz̃_iᵀ/w_i; the best weights met are returned.
    """
    lifted = _lifted(Z)
    d = lifted.shape[1]
    P, best, least = np.eye(d) / d, np.ones(len(lifted)), np.inf
    for _ in range(_ITERATIONS):
        w = np.sqrt(np.maximum(np.einsum("ij,jk,ik->i", lifted, P, lifted, optimize=True), 0.0))
        w = np.maximum(w, 1e-9 * float(w.max()))
        A = lifted.T @ (lifted / w[:, None])
        bound, total = float(np.linalg.eigvalsh(A)[-1]) * float(w.sum()), float(w.sum())
        if bound < least:
            best, least = w, bound
        if bound <= total**2 * (1.0 + 1e-4):  # what the bound could still gain
            break
        values, V = np.linalg.eigh(P)
        root = (V * np.sqrt(np.maximum(values, 0.0))) @ V.T
        P = root @ A @ root
        P /= np.trace(P)
    return best
