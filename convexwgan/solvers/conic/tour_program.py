"""The cone program of one tour, for Clarabel: variables [g, f, a, b, P, c, t, τ] with N slots and N + 1 points."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from convexwgan.arrays import Float64
from convexwgan.geometry.bitsets import Bools

_TOLERANCE = 1e-11


@dataclass(frozen=True, eq=False)
class Discs:
    """Discs and the points of the walk that have to meet them.

    Attributes:
        centres: (k, 2). is_opposite: (k,), whether c − P_i instead of P_i meets the disc. owner: j (k,), whose vertex.
        at: i (k,), which point. slots: N, the number of points before the last one.
    """

    centres: Float64
    is_opposite: Bools
    owner: npt.NDArray[np.int64]
    at: npt.NDArray[np.int64]
    slots: int


@dataclass(frozen=True, eq=False)
class TourPoint:
    """Atoms [g; −f] (2N, 2), the force on each disc (k, 2), and t."""

    vectors: Float64
    forces: Float64
    radius: float


class _Rows:
    """Rows of A x + s = b, s in a cone, gathered block by block as (row, column, value)."""

    def __init__(self, width: int) -> None:
        self.width, self.count = width, 0
        self.entries: list[tuple[Any, Any, Any]] = []
        self.rhs: list[Float64] = []
        self.cones: list[Any] = []

    def add(self, cones: list[Any], b: Float64, *terms: tuple[Any, Any, Any]) -> None:
        """A block of len(b) rows; each term is (rows within the block, columns, values), broadcast."""
        for rows, columns, values in terms:
            r, c, v = np.broadcast_arrays(np.asarray(rows), np.asarray(columns), np.asarray(values, dtype=np.float64))
            self.entries.append((r.ravel() + self.count, c.ravel(), v.ravel()))
        self.count += len(b)
        self.rhs.append(b)
        self.cones += cones

    def matrix(self) -> Any:
        """A, sparse by columns."""
        import scipy.sparse as sp

        rows, columns, values = (np.concatenate(part) for part in zip(*self.entries, strict=True))
        return sp.csc_matrix((values, (rows, columns)), shape=(self.count, self.width))


class _Columns:
    """Where each variable begins."""

    def __init__(self, slots: int) -> None:
        N = slots
        self.g, self.f, self.a, self.b, self.P, self.c = 0, 2 * N, 4 * N, 5 * N, 6 * N, 8 * N + 2
        self.t, self.tau, self.width = 8 * N + 4, 8 * N + 5, 8 * N + 6


def solve_tour(discs: Discs, beta: float | None, kappa: float) -> TourPoint | None:
    """min τ [norm bound: (κ/2)τ² + t] s.t. τ = Σ‖g_i‖ + ‖f_i‖, the walk closes, its points meet their discs.

    The discs have radius t = β, or any radius t under a norm bound. None where Clarabel finds no solution.
    """
    import clarabel
    import scipy.sparse as sp

    N = discs.slots
    at, rows = _Columns(N), _Rows(_Columns(N).width)
    _add_walk(rows, at, N)
    if beta is not None:
        rows.add([clarabel.ZeroConeT(1)], np.array([beta]), (0, at.t, 1.0))
    _add_lengths(rows, at, N)
    _add_discs(rows, at, discs)
    q, P = np.zeros(at.width), sp.lil_matrix((at.width, at.width))
    if beta is None:
        q[at.t], P[at.tau, at.tau] = 1.0, kappa
    else:
        q[at.tau] = 1.0
    settings = clarabel.DefaultSettings()
    settings.verbose = False
    settings.tol_gap_abs = settings.tol_gap_rel = settings.tol_feas = _TOLERANCE
    b = np.concatenate(rows.rhs)
    found = clarabel.DefaultSolver(sp.csc_matrix(P), q, rows.matrix(), b, rows.cones, settings).solve()
    if found.status not in (clarabel.SolverStatus.Solved, clarabel.SolverStatus.AlmostSolved):
        return None
    x, z = np.asarray(found.x), np.asarray(found.z)
    vectors = np.concatenate([x[: 2 * N].reshape(N, 2), -x[2 * N : 4 * N].reshape(N, 2)])
    forces = z[len(z) - 3 * len(discs.at) :].reshape(-1, 3)[:, 1:]
    return TourPoint(vectors, forces, float(x[at.t]))


def _add_walk(rows: _Rows, at: _Columns, N: int) -> None:
    """P_{i+1} − P_i = g_i + f_i, P_0 = −Σf, c = P_0 + P_N, τ = Σa + Σb."""
    import clarabel

    i, k, slot = np.arange(2 * N), np.arange(2), np.arange(N)
    steps = ((i, at.P + i + 2, 1.0), (i, at.P + i, -1.0), (i, at.g + i, -1.0), (i, at.f + i, -1.0))
    rows.add([clarabel.ZeroConeT(2 * N)], np.zeros(2 * N), *steps)
    rows.add([clarabel.ZeroConeT(2)], np.zeros(2), (k, at.P + k, 1.0), (i % 2, at.f + i, 1.0))
    ends = ((k, at.P + k, 1.0), (k, at.P + 2 * N + k, 1.0), (k, at.c + k, -1.0))
    rows.add([clarabel.ZeroConeT(2)], np.zeros(2), *ends)
    lengths = ((0, at.tau, 1.0), (0, at.a + slot, -1.0), (0, at.b + slot, -1.0))
    rows.add([clarabel.ZeroConeT(1)], np.zeros(1), *lengths)


def _add_lengths(rows: _Rows, at: _Columns, N: int) -> None:
    """(a_i, g_i) and (b_i, f_i) in the second-order cone."""
    import clarabel

    i = np.arange(N)
    for length, vector in ((at.a, at.g), (at.b, at.f)):
        terms = ((3 * i, length + i, -1.0), (3 * i + 1, vector + 2 * i, -1.0), (3 * i + 2, vector + 2 * i + 1, -1.0))
        rows.add([clarabel.SecondOrderConeT(3)] * N, np.zeros(3 * N), *terms)


def _add_discs(rows: _Rows, at: _Columns, discs: Discs) -> None:
    """(t, P_i − v_j) or (t, c − P_i − v'_j) in the second-order cone."""
    import clarabel

    count = len(discs.at)
    i, sign = np.arange(count), np.where(discs.is_opposite, 1.0, -1.0)
    terms: list[tuple[Any, Any, Any]] = [(3 * i, at.t, -1.0)]
    for k in (0, 1):
        antipodes = 3 * i[discs.is_opposite] + 1 + k
        terms += [(3 * i + 1 + k, at.P + 2 * discs.at + k, sign), (antipodes, at.c + k, -1.0)]
    b = np.concatenate([np.zeros((count, 1)), -discs.centres], axis=1).ravel()
    rows.add([clarabel.SecondOrderConeT(3)] * count, b, *terms)
