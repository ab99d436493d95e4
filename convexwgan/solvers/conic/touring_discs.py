"""The population game in the plane as one second-order cone program: a shortest tour of discs.

The zonotope of X is a polygon with vertices v_j. A zonotope Q of atoms is within β of it, from outside, when Q meets
every disc of radius β around a vertex, and a shortest convex curve that does so never leaves the β-neighbourhood. Take
generators g_i and −f_i in the slot of sample i, sorted by angle modulo π: partial sums walk along the boundary of Q,

    min Σ‖g_i‖ + ‖f_i‖  s.t.  ‖p_j − v_j‖ ≤ β,  ‖p'_j − v'_j‖ ≤ β,
    p_j = Σ_{i<j} g_i − Σ_{i≥j} f_i,  p'_j its antipode.

The multipliers of the discs are neurons. The program proposes, both oracles of the game judge what it found: where 0 is
near the boundary of the zonotope a disc may be met by a point that is not on this walk, and the exchange goes on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from convexwgan.arrays import Float64

_TOLERANCE = 1e-11


@dataclass(frozen=True, eq=False)
class Tour:
    """Atoms as vectors (k, 2), neurons as unit vectors (m, 2) with multipliers λ > 0."""

    vectors: Float64
    neurons: Float64
    multipliers: Float64


@dataclass(frozen=True, eq=False)
class _Walk:
    """Samples turned into the upper half plane and sorted; v and v' (n + 1, 2)."""

    size: int
    corners: Float64
    opposite: Float64


def shortest_tour(X: Float64, beta: float | None, kappa: float = 1.0, rounds: int = 3) -> Tour | None:
    """min Σ‖g_i‖ + ‖f_i‖ over tours of the discs [norm bound: (κ/2)(·)² + t with discs of radius t].

    Discs whose multiplier does not belong to a corner of the zonotope are dropped and the program is solved again,
    ``rounds`` times at most.

    Args:
        X: data, weights included, shape (n, 2), of total length near 1. beta: β_d, None under a norm bound.

    Returns:
        Tour, or None where Clarabel finds none.
    """
    walk = _walk(X)
    discs = np.concatenate([walk.corners, walk.opposite])
    kept = np.ones(len(discs), dtype=np.bool_)
    tour = None
    for _ in range(rounds):
        found = _solved(walk, kept, beta, kappa)
        if found is None:
            return tour
        vectors, forces = found
        lam = np.linalg.norm(forces, axis=1)
        active = lam > 1e-9 * max(float(lam.max(initial=0.0)), 1e-300)
        u = forces[active] / lam[active][:, None]
        sizes = np.linalg.norm(vectors, axis=1)
        tour = Tour(vectors[sizes > 1e-10], u, lam[active])
        excess = np.maximum(u @ X.T, 0.0).sum(axis=1) - np.einsum("ij,ij->i", u, discs[kept][active])
        strange = np.flatnonzero(kept)[active][excess > 1e-7]
        if len(strange) == 0:
            break
        kept[strange] = False
    return tour


def _walk(X: Float64) -> _Walk:
    upper = (X[:, 1] > 0.0) | ((X[:, 1] == 0.0) & (X[:, 0] > 0.0))
    turned = np.where(upper[:, None], X, -X)
    order = np.argsort(np.arctan2(turned[:, 1], turned[:, 0]), kind="stable")
    turned, upper = turned[order], upper[order][:, None]
    zero = np.zeros((1, 2))
    up = np.concatenate([zero, np.cumsum(np.where(upper, turned, 0.0), axis=0)])
    down = np.concatenate([zero, np.cumsum(np.where(upper, 0.0, turned), axis=0)])
    return _Walk(len(X), up - (down[-1] - down), (up[-1] - up) - down)


def _solved(walk: _Walk, kept: Any, beta: float | None, kappa: float) -> tuple[Float64, Float64] | None:
    """Atoms (2n, 2) and the forces of the kept discs; variables [g, f, a, b, P, c, t, τ], c = p_j + p'_j."""
    import clarabel
    import scipy.sparse as sp

    n = walk.size
    at = {"g": 0, "f": 2 * n, "a": 4 * n, "b": 5 * n, "P": 6 * n, "c": 8 * n + 2, "t": 8 * n + 4, "tau": 8 * n + 5}
    width = 8 * n + 6
    blocks, rhs = [*_equalities(n, at, width)], [np.zeros(2 * n + 5)]
    cones: list[Any] = [clarabel.ZeroConeT(2 * n + 5)]
    if beta is not None:  # t is β_d
        blocks.append(_entries([(0, at["t"], 1.0)], (1, width)))
        rhs.append(np.array([beta]))
        cones.append(clarabel.ZeroConeT(1))
    for length, vector in (("a", "g"), ("b", "f")):
        blocks.append(_norm_cones(n, at[length], at[vector], width))
        rhs.append(np.zeros(3 * n))
    cones += [clarabel.SecondOrderConeT(3)] * (2 * n)
    discs, targets = _disc_cones(walk, kept, at, width)
    blocks.append(discs)
    rhs.append(targets)
    cones += [clarabel.SecondOrderConeT(3)] * int(kept.sum())
    q, P = np.zeros(width), sp.lil_matrix((width, width))
    if beta is None:
        q[at["t"]], P[at["tau"], at["tau"]] = 1.0, kappa
    else:
        q[at["tau"]] = 1.0
    settings = clarabel.DefaultSettings()
    settings.verbose = False
    settings.tol_gap_abs = settings.tol_gap_rel = settings.tol_feas = _TOLERANCE
    A = sp.vstack(blocks).tocsc()
    found = clarabel.DefaultSolver(sp.csc_matrix(P), q, A, np.concatenate(rhs), cones, settings).solve()
    if found.status not in (clarabel.SolverStatus.Solved, clarabel.SolverStatus.AlmostSolved):
        return None
    x, z = np.asarray(found.x), np.asarray(found.z)
    vectors = np.concatenate([x[: 2 * n].reshape(n, 2), -x[2 * n : 4 * n].reshape(n, 2)])
    return vectors, z[-3 * int(kept.sum()) :].reshape(-1, 3)[:, 1:]


def _entries(entries: list[tuple[int, int, float]], shape: tuple[int, int]) -> Any:
    import scipy.sparse as sp

    rows, columns, values = zip(*entries, strict=True)
    return sp.csr_matrix((values, (rows, columns)), shape=shape)


def _equalities(n: int, at: dict[str, int], width: int) -> list[Any]:
    """P_{i+1} − P_i = g_i + f_i, P_0 = −Σf, c = P_0 + P_n, τ = Σa + Σb."""
    steps, closing, total = [], [], [(0, at["tau"], 1.0)]
    for i in range(n):
        for k in (0, 1):
            row = 2 * i + k
            steps += [(row, at["P"] + row + 2, 1.0), (row, at["P"] + row, -1.0)]
            steps += [(row, at["g"] + row, -1.0), (row, at["f"] + row, -1.0)]
            closing.append((k, at["f"] + row, 1.0))
        total += [(0, at["a"] + i, -1.0), (0, at["b"] + i, -1.0)]
    for k in (0, 1):
        closing.append((k, at["P"] + k, 1.0))
        closing += [(2 + k, at["P"] + k, 1.0), (2 + k, at["P"] + 2 * n + k, 1.0), (2 + k, at["c"] + k, -1.0)]
    return [_entries(steps, (2 * n, width)), _entries(closing, (4, width)), _entries(total, (1, width))]


def _norm_cones(n: int, length: int, vector: int, width: int) -> Any:
    """(a_i, g_i) in the second-order cone."""
    import scipy.sparse as sp

    i = np.arange(n)
    columns = np.column_stack([length + i, vector + 2 * i, vector + 2 * i + 1]).ravel()
    return sp.csr_matrix((-np.ones(3 * n), (np.arange(3 * n), columns)), shape=(3 * n, width))


def _disc_cones(walk: _Walk, kept: Any, at: dict[str, int], width: int) -> tuple[Any, Float64]:
    """(t, p_j − v_j) and (t, c − p_j − v'_j) in the second-order cone, for the kept discs."""
    m = walk.size + 1
    discs, entries = np.concatenate([walk.corners, walk.opposite]), []
    for row, disc in enumerate(np.flatnonzero(kept)):
        entries.append((3 * row, at["t"], -1.0))
        for k in (0, 1):
            here = at["P"] + 2 * (int(disc) % m) + k
            if disc < m:
                entries.append((3 * row + 1 + k, here, -1.0))
            else:
                entries += [(3 * row + 1 + k, here, 1.0), (3 * row + 1 + k, at["c"] + k, -1.0)]
    targets = np.concatenate([np.zeros((int(kept.sum()), 1)), -discs[kept]], axis=1).ravel()
    return _entries(entries, (3 * int(kept.sum()), width)), targets
