"""Neurons from the semidefinite program of the K_i norm: a completely positive factorisation on each cone (p ≤ 4)."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations

import numpy as np

from convexwgan.arrays import Float64
from convexwgan.errors import InputError
from convexwgan.solvers.conic.ki_norm import EXACT_RAYS, Cones, cone_rays
from convexwgan.solvers.realization.types import ReluNeurons

_NEGLIGIBLE = 1e-9  # of the trace of C: what an interior-point solver leaves on cones that are not used
_ZERO = 1e-10
_PARALLEL = 1e-7


def neurons_from_sdp(values: Mapping[str, Float64], cones: Cones, Z: Float64, G: Float64) -> ReluNeurons:
    """A network of the cost that the program of ``ki_program`` found.

    On each cone C = Σ_j c_jc_jᵀ with c_j ≥ 0, and Y = CK gives Y = Σ_j c_j(Kᵀc_j)ᵀ: neurons u_j ∝ Bc_j of
    cost Σ‖Bc_j‖‖Kᵀc_j‖ ≤ ½(tr BᵀBC + tr YᵀC⁺Y) ≤ ½(tr BᵀBC + tr E). Parallel neurons of neighbouring cones are
    merged; what the solver's tolerance leaves of the equality is spread over the neurons by least squares.

    Args:
        values: "C" and "Y" of a solved ``ki_program``.
        cones: the cones that it was built with, of at most 4 rays each.
        Z: latent samples, shape (n, d_f).
        G: the output that the network shall have: the target, or (soft form) Σ Φ_τY_τ, shape (n, d_r).

    Returns:
        ReluNeurons: not minimal; merge and prune with ``solvers.realization``.

    Raises:
        InputError: a cone has more than 4 rays (doubly nonnegative matrices need not factor then).

    Reference: Maxfield and Minc 1962 (doubly nonnegative = completely positive for p ≤ 4); MATH 2.4.
    """
    bases = cone_rays(cones, Z.shape[1])
    widest = max(B.shape[1] for B in bases)
    if widest > EXACT_RAYS:
        remedy = "split the cones with triangulate; the program is only a lower bound on wider ones"
        raise InputError("rays of a cone", widest, f"be <= {EXACT_RAYS}", remedy)
    heaviest = max(float(np.trace(C)) for C in values["C"])
    directions, outputs = [np.zeros((0, Z.shape[1]))], [np.zeros((0, G.shape[1]))]
    for B, C, Y in zip(bases, values["C"], values["Y"], strict=True):
        p = B.shape[1]
        if np.trace(C) > _NEGLIGIBLE * heaviest:
            factors = completely_positive_factors(C[:p, :p])
            directions.append(factors @ B.T)
            outputs.append(factors @ _coefficients(C[:p, :p], Y[:p]))
    neurons = _unit_neurons(np.vstack(directions), np.vstack(outputs))
    return _spread_residual(_merged(neurons), Z, G)


def completely_positive_factors(C: Float64) -> Float64:
    """c_j ≥ 0 with Σ_j c_jc_jᵀ = C, for a doubly nonnegative C of order p ≤ 4; one factor a row.

    Subtract tccᵀ with c ≥ 0 in the range of C, supported on a clique of its graph, and t as large as C stays
    doubly nonnegative: then its rank falls or one more entry is 0, so at most p(p+1)/2 steps are needed; the
    remainder is of order ≤ 4, hence again completely positive, hence such a c exists as long as C ≠ 0.

    Args:
        C: symmetric, shape (p, p), p ≤ 4; entries and eigenvalues within 1e-10 of its trace count as 0.

    Returns:
        factors, shape (k, p).

    Raises:
        InputError: p > 4.

    Reference: Berman and Shaked-Monderer, Completely Positive Matrices, 2003, Theorem 2.4.

    >>> factors = completely_positive_factors(np.array([[2.0, 1.0], [1.0, 1.0]]))
    >>> np.round(factors.T @ factors, 9).tolist()
    [[2.0, 1.0], [1.0, 1.0]]
    """
    p = len(C)
    if p > EXACT_RAYS:
        raise InputError("order of C", p, f"be <= {EXACT_RAYS}", "larger matrices need not factor")
    scale = np.sqrt(np.where(np.diag(C) > 0, np.diag(C), 1.0))
    rest = (C + C.T) / 2 / np.outer(scale, scale)
    weight = np.outer(scale, scale) / max(float(np.trace(C)), np.finfo(np.float64).tiny)
    factors: list[Float64] = []
    for _ in range(2 * p * (p + 1)):
        rest = _cleared(rest, weight)
        if not rest.any():
            break
        c, t = max((_step(rest, clique) for clique in _cliques(rest)), key=lambda step: step[1] * (step[0] @ step[0]))
        if not t > 0:
            break
        factors.append(np.sqrt(t) * c * scale)
        rest = rest - t * np.outer(c, c)
    return np.array(factors).reshape(-1, p)


def _cleared(rest: Float64, weight: Float64) -> Float64:
    """Entries that rounding left, set to 0; a row whose diagonal vanishes vanishes."""
    kept = np.where(rest * weight > _ZERO, rest, 0.0)
    alive = np.diag(kept) > 0
    return kept * np.outer(alive, alive)


def _cliques(C: Float64) -> list[tuple[int, ...]]:
    """Maximal cliques of the graph i ~ j ⇔ C_ij > 0 (p ≤ 4 nodes: by trial)."""
    alive = np.flatnonzero(np.diag(C) > 0)
    cliques: list[tuple[int, ...]] = []
    for size in range(len(alive), 0, -1):
        for nodes in combinations(alive.tolist(), size):
            if np.all(C[np.ix_(nodes, nodes)] > 0) and not any(set(nodes) <= set(larger) for larger in cliques):
                cliques.append(nodes)
    return cliques


def _step(C: Float64, clique: tuple[int, ...]) -> tuple[Float64, float]:
    """A direction c ≥ 0 in range(C), supported on the clique, and the largest t with C − tccᵀ doubly nonnegative."""
    values, vectors = np.linalg.eigh(C)
    is_positive = values > _ZERO
    values, vectors = values[is_positive], vectors[:, is_positive]
    c = _nonnegative_in_range(vectors * np.sqrt(values), clique)
    if c is None:
        return np.zeros(len(C)), 0.0
    nodes = np.flatnonzero(c)
    smallest = np.min(C[np.ix_(nodes, nodes)] / np.outer(c[nodes], c[nodes]))
    return c, float(min(1 / np.sum((vectors.T @ c) ** 2 / values), smallest))


def _nonnegative_in_range(A: Float64, clique: tuple[int, ...]) -> Float64 | None:
    """c = Ax ≥ 0 with c = 0 off the clique: the Perron direction where it serves, else a vertex of a small LP."""
    from scipy.optimize import linprog

    inside = list(clique)
    outside = [i for i in range(len(A)) if i not in clique]
    _, singular, Vt = np.linalg.svd(A[outside], full_matrices=True)
    rank = int(np.sum(singular > np.sqrt(_ZERO)))
    W = A[inside] @ Vt[rank:].T  # the clique's entries of all admissible c
    left, singular, _ = np.linalg.svd(W, full_matrices=False)
    left = left[:, singular > np.sqrt(_ZERO)]
    if not left.size:
        return None
    c = np.zeros(len(A))
    perron = left[:, 0] * np.sign(left[:, 0].sum())
    if np.min(perron) >= 0:
        c[inside] = perron
        return c
    k, m = left.shape
    # max s s.t. left·y ≥ s, 1ᵀleft·y = 1: as far inside the orthant as the subspace goes
    found = linprog(
        np.append(np.zeros(m), -1.0),
        A_ub=np.hstack([-left, np.ones((k, 1))]),
        b_ub=np.zeros(k),
        A_eq=np.append(left.sum(axis=0), 0.0)[None],
        b_eq=[1.0],
        bounds=[(None, None)] * (m + 1),
    )
    if found.status != 0 or found.x[-1] < -np.sqrt(_ZERO):
        return None
    c[inside] = np.maximum(left @ found.x[:-1], 0.0)
    return np.asarray(c / np.linalg.norm(c))


def _coefficients(C: Float64, Y: Float64) -> Float64:
    """K with CK = Y: [[C, Y], [Yᵀ, E]] ⪰ 0 puts Y in the range of C."""
    scale = np.sqrt(np.where(np.diag(C) > 0, np.diag(C), 1.0))
    scaled = C / np.outer(scale, scale)
    return np.asarray(np.linalg.pinv(scaled, rcond=_ZERO, hermitian=True) @ (Y / scale[:, None]) / scale[:, None])


def _unit_neurons(directions: Float64, outputs: Float64) -> ReluNeurons:
    lengths = np.linalg.norm(directions, axis=1)
    alive = lengths > 0
    return ReluNeurons(directions[alive] / lengths[alive, None], outputs[alive] * lengths[alive, None])


def _merged(neurons: ReluNeurons) -> ReluNeurons:
    """Parallel neurons added up, heaviest first, and those that weigh nothing dropped."""
    u, v = [], []
    remaining = np.argsort(-np.linalg.norm(neurons.v, axis=1), kind="stable")
    while len(remaining):
        lead = neurons.u[remaining[0]]
        is_same = np.linalg.norm(neurons.u[remaining] - lead, axis=1) <= _PARALLEL
        u.append(lead)
        v.append(neurons.v[remaining[is_same]].sum(axis=0))
        remaining = remaining[~is_same]
    if not u:
        return neurons
    weights = np.array(v)
    sizes = np.linalg.norm(weights, axis=1)
    alive = sizes > _NEGLIGIBLE * sizes.max()
    return ReluNeurons(np.array(u)[alive], weights[alive])


def _spread_residual(neurons: ReluNeurons, Z: Float64, G: Float64) -> ReluNeurons:
    """min Σ‖δ_j‖²/‖v_j‖ s.t. Φ(V + δ) = G in the least-squares sense: each neuron moves in proportion to its size."""
    if not len(neurons.v):
        return neurons
    features = np.maximum(Z @ neurons.u.T, 0.0)
    root = np.sqrt(np.linalg.norm(neurons.v, axis=1))
    missing = G - features @ neurons.v
    change = root[:, None] * np.linalg.lstsq(features * root, missing, rcond=1e-12)[0]
    return ReluNeurons(neurons.u, neurons.v + change)
