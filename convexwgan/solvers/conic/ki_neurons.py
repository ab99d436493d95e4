"""Neurons from the semidefinite program of the K_i norm: a completely positive factorisation on each cone (p ≤ 4)."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations

import numpy as np

from convexwgan.arrays import Float64
from convexwgan.errors import InputError, SolveError
from convexwgan.solvers.conic.ki_norm import EXACT_RAYS, Cones, cone_rays, reduce_target
from convexwgan.solvers.conic.model import ConicModel, Values, dual, load_cvxpy, positive_or_one, primal
from convexwgan.solvers.conic.run import run
from convexwgan.solvers.realization.types import ReluNeurons

_SOLVER_NOISE = 1e-7  # entries of C, relative to its trace, that an interior-point solver leaves where 0 belongs
_UNUSED = 1e-9
_NEGLIGIBLE = 1e-9  # of the largest ‖v_j‖
_PARALLEL = 1e-7
_STIFF = 1e-6  # directions in which an output costs a million times more are left to the residual


def neurons_from_sdp(values: Mapping[str, Float64], cones: Cones, Z: Float64, G: Float64 | None = None) -> ReluNeurons:
    """A network of the cost that the program of ``ki_program`` found.

    On each cone C = Σ_j c_jc_jᵀ with c_j ≥ 0, and Y = CK gives Y = Σ_j c_j(Kᵀc_j)ᵀ: neurons u_j ∝ Bc_j of
    cost Σ‖Bc_j‖‖Kᵀc_j‖ ≤ ½(tr BᵀBC + tr YᵀC⁺Y) ≤ ½(tr BᵀBC + tr E). K = C⁺Y would magnify what the solver's
    tolerance left in C, so the v_j come from the finite program min Σ‖v_j‖ s.t. Σ(Zu_j)₊v_jᵀ = G over these
    u_j and the rays of the cones (which reach whatever can be reached): errors in u_j enter squared.

    Args:
        values: "C" and "Y" of a solved ``ki_program``.
        cones: the cones that it was built with, of at most 4 rays each.
        Z: latent samples, shape (n, d_f).
        G: the output that the network shall have, shape (n, d_r); None (for the soft form): Σ_τ Φ_τY_τ.

    Returns:
        ReluNeurons: not minimal; merge and prune with ``solvers.realization``.

    Raises:
        InputError: a cone has more than 4 rays (doubly nonnegative matrices need not factor then), or G is out
            of reach.
        SolveError: the finite program broke down.

    Reference: Maxfield and Minc 1962 (doubly nonnegative = completely positive for p ≤ 4); MATH 2.4.

    >>> from convexwgan.geometry.arrangements import enumerate_cells
    >>> from convexwgan.geometry.cones import triangulate
    >>> from convexwgan.solvers.conic.ki_norm import ki_program
    >>> Z, G = np.eye(2), np.array([[3.0], [4.0]])
    >>> cones = triangulate(enumerate_cells(Z))
    >>> neurons = neurons_from_sdp(run(ki_program(Z, G, cones)).values, cones, Z, G)
    >>> np.round(neurons.u, 5).tolist(), round(neurons.cost, 6)
    ([[0.6, 0.8]], 5.0)
    """
    bases = cone_rays(cones, Z.shape[1])
    widest = max(B.shape[1] for B in bases)
    if widest > EXACT_RAYS:
        remedy = "split the cones with triangulate; the program is only a lower bound on wider ones"
        raise InputError("rays of a cone", widest, f"be <= {EXACT_RAYS}", remedy)
    if G is None:
        pieces = zip(bases, values["Y"], strict=True)
        G = np.sum([np.maximum(Z @ B, 0.0) @ Y[: B.shape[1]] for B, Y in pieces], axis=0)
    u = _distinct(np.vstack([_directions(values["C"], bases), np.hstack(bases).T]))
    result = run(finite_program(np.maximum(Z @ u.T, 0.0), G))
    if not result.values:
        raise SolveError(f"the finite program over {len(u)} neurons ended with {result.solver_status}.")
    return _spread_residual(u, result.values["V"], Z, G)


def _directions(blocks: Float64, bases: list[Float64]) -> Float64:
    """Bc of all the factors c, unit, heaviest first."""
    heaviest = max(float(np.trace(C)) for C in blocks)
    used = [(B, C) for B, C in zip(bases, blocks, strict=True) if np.trace(C) > _UNUSED * heaviest]
    none = np.zeros((0, len(bases[0])))
    factors = [completely_positive_factors(C[: B.shape[1], : B.shape[1]], _SOLVER_NOISE) @ B.T for B, C in used]
    directions = np.vstack([none, *factors])
    lengths = np.linalg.norm(directions, axis=1)
    order = np.argsort(-lengths, kind="stable")
    return np.asarray(directions[order] / lengths[order, None])


def _distinct(directions: Float64) -> Float64:
    """One of all directions that agree within rounding, the first."""
    kept: list[int] = []
    alive = np.ones(len(directions), dtype=np.bool_)
    for j, u in enumerate(directions):
        if alive[j]:
            kept.append(j)
            alive &= np.linalg.norm(directions - u, axis=1) > _PARALLEL
    return directions[kept]


def finite_program(features: Float64, G: Float64) -> ConicModel:
    """The weight problem over given neurons.

    Problem:  min Σ_j ‖v_j‖₂  s.t.  ΦV = G          Dual:  max ⟨R, G⟩  s.t.  ‖Rᵀφ_j‖ ≤ 1

    Args:
        features: Φ, one neuron (Zu_j)₊ a column, shape (n, k).
        G: target output in their span, shape (n, d_r).

    Returns:
        ConicModel: values "V" (k, d_r), multipliers "R" (n, d_r).

    Raises:
        InputError: G lies outside the span of the features.

    Reference: Lemma C.1 with the u_j fixed.

    >>> print(round(run(finite_program(np.eye(2), np.array([[3.0], [4.0]]))).objective, 6))
    7.0
    """
    cp = load_cvxpy()

    reduced = reduce_target(features, G, is_exact=True)
    zeta = positive_or_one(float(np.linalg.norm(features, axis=0).max()))
    gamma = positive_or_one(float(np.linalg.norm(G)))
    V = cp.Variable((features.shape[1], reduced.target.shape[1]), name="V")
    reached = (reduced.F.T @ features / zeta) @ V - reduced.target / gamma == 0
    problem = cp.Problem(cp.Minimize(cp.sum(cp.norm(V, 2, axis=1))), [reached])

    def unpack() -> Values:
        return {"V": primal(V, gamma / zeta) @ reduced.Q.T}

    def multipliers() -> Values:
        return {"R": -reduced.F @ dual(reached, 1 / zeta) @ reduced.Q.T}

    return ConicModel("finite", problem, {"V": V}, unpack, multipliers, gamma / zeta)


def completely_positive_factors(C: Float64, tol: float = 1e-12) -> Float64:
    """c_j ≥ 0 with Σ_j c_jc_jᵀ = C, for a doubly nonnegative C of order p ≤ 4; one factor a row.

    Subtract tccᵀ with c ≥ 0 in the range of C, supported on a clique of its graph, and t as large as C stays
    doubly nonnegative: then its rank falls or one more entry is 0, so at most p(p+1)/2 steps are needed; the
    remainder is of order ≤ 4, hence again completely positive, hence such a c exists as long as C ≠ 0.

    Args:
        C: symmetric, shape (p, p), p ≤ 4.
        tol: entries and eigenvalues up to this part of the trace count as 0.

    Returns:
        factors, shape (k, p).

    Raises:
        InputError: p > 4.

    Reference: Berman and Shaked-Monderer, Completely Positive Matrices, 2003, Theorem 2.4.

    >>> factors = completely_positive_factors(np.array([[2.0, 1.0], [1.0, 1.0]]))
    >>> np.round(factors.T @ factors, 9).tolist()
    [[2.0, 1.0], [1.0, 1.0]]
    """
    p, trace = len(C), float(np.trace(C))
    if p > EXACT_RAYS:
        raise InputError("order of C", p, f"be <= {EXACT_RAYS}", "larger matrices need not factor")
    if trace <= 0:
        return np.zeros((0, p))
    factors: list[Float64] = []
    rest = (C + C.T) / (2 * trace)
    for _ in range(p * (p + 1)):
        rest = _cleared(rest, tol)
        if not rest.any():
            break
        steps = [_step(rest, clique, tol) for clique in _cliques(rest)]
        c, t = max(steps, key=lambda step: step[1] * (step[0] @ step[0]))
        if not t > 0:
            break
        factors.append(np.sqrt(t * trace) * c)
        rest = rest - t * np.outer(c, c)
    return np.array(factors).reshape(-1, p)


def _cleared(rest: Float64, tol: float) -> Float64:
    """Entries that rounding left, set to 0; a row whose diagonal vanishes vanishes."""
    kept = np.where(rest > tol, rest, 0.0)
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


def _step(C: Float64, clique: tuple[int, ...], tol: float) -> tuple[Float64, float]:
    """A direction c ≥ 0 in range(C), supported on the clique, and the largest t with C − tccᵀ doubly nonnegative."""
    values, vectors = np.linalg.eigh(C)
    is_positive = values > tol
    values, vectors = values[is_positive], vectors[:, is_positive]
    c = _nonnegative_in_range(vectors * np.sqrt(values), clique, np.sqrt(tol))
    if c is None:
        return np.zeros(len(C)), 0.0
    nodes = np.flatnonzero(c)
    smallest = np.min(C[np.ix_(nodes, nodes)] / np.outer(c[nodes], c[nodes]))
    return c, float(min(1 / np.sum((vectors.T @ c) ** 2 / values), smallest))


def _nonnegative_in_range(A: Float64, clique: tuple[int, ...], tol: float) -> Float64 | None:
    """c = Ax ≥ 0 with c = 0 off the clique: the Perron direction where it serves, else a vertex of a small LP."""
    from scipy.optimize import linprog

    inside = list(clique)
    outside = [i for i in range(len(A)) if i not in clique]
    _, singular, Vt = np.linalg.svd(A[outside], full_matrices=True)
    rank = int(np.sum(singular > tol))
    W = A[inside] @ Vt[rank:].T  # the clique's entries of all admissible c
    left, singular, _ = np.linalg.svd(W, full_matrices=False)
    left = left[:, singular > tol]
    if not left.size:
        return None
    c = np.zeros(len(A))
    perron = left[:, 0] * np.sign(left[:, 0].sum())
    if np.min(perron) > 0:
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
    if found.x is None or found.status != 0 or found.x[-1] < -tol:
        return None
    c[inside] = np.maximum(left @ found.x[:-1], 0.0)
    return np.asarray(c / np.linalg.norm(c))


def _spread_residual(u: Float64, v: Float64, Z: Float64, G: Float64) -> ReluNeurons:
    """Neurons that weigh nothing dropped; then min Σ‖δ_j‖²/‖v_j‖ s.t. Φ(V + δ) = G: each moves as it is large."""
    sizes = np.linalg.norm(v, axis=1)
    alive = sizes > _NEGLIGIBLE * np.max(sizes, initial=0.0)
    u, v = u[alive], v[alive]
    features, root = np.maximum(Z @ u.T, 0.0), np.sqrt(sizes[alive])
    change = root[:, None] * np.linalg.lstsq(features * root, G - features @ v, rcond=_STIFF)[0]
    return ReluNeurons(u, v + change)
