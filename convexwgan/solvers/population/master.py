"""The linear program over finitely many atoms and finitely many neurons."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from convexwgan.arrays import Float64

_TOLERANCE = 1e-10
_SHORTEST = 0.1
_LIMIT = 1


@dataclass(frozen=True, eq=False)
class Program:
    """min cᵀμ + κq + t  s.t.  s_k(h_k − (Aμ)_k) ≤ β [or t],  q ≥ τ_i cᵀμ − τ_i²/2,  [Σμ = 1],  μ ≥ 0.

    With ``kappa`` the cost (κ/2)(cᵀμ)² replaces cᵀμ, by its tangents at the points τ_i.

    Attributes:
        features: A (k, j) = what atom j adds to neuron k.
        targets: h (k,), the real data on each neuron. signs: s (k,), which side the cut bounds.
        costs: c (j,). beta: β_d, None under a norm bound. has_mass: whether the weights sum to 1.
        kappa: curvature of the cost, or None. tangents: τ_i.
    """

    features: Float64
    targets: Float64
    signs: Float64
    costs: Float64
    beta: float | None
    has_mass: bool
    kappa: float | None = None
    tangents: tuple[float, ...] = ()


@dataclass(frozen=True, eq=False)
class MasterPoint:
    """μ (j,), λ (k,) with the sign of the cut's side, and the program's value."""

    measure: Float64
    multipliers: Float64
    value: float


def solve_master(program: Program, seconds: float = np.inf) -> MasterPoint | None:
    """A vertex of the program with its multipliers; None where HiGHS gave up or ``seconds`` are over."""
    from scipy.optimize import linprog

    k, j = program.features.shape
    extra = int(program.beta is None) + int(program.kappa is not None)
    A = np.zeros((k + len(program.tangents), j + extra))
    b = np.zeros(len(A))
    A[:k, :j] = -program.signs[:, None] * program.features
    b[:k] = (program.beta or 0.0) - program.signs * program.targets
    c = np.concatenate([program.costs, np.ones(extra)])
    if program.beta is None:
        A[:k, j] = -1.0
    if program.kappa is not None:  # c = 0 on the atoms, the tangents carry the cost
        c[:j], c[-1] = 0.0, program.kappa
        for row, tau in enumerate(program.tangents, start=k):
            A[row, :j], A[row, -1], b[row] = tau * program.costs, -1.0, 0.5 * tau * tau
    rows: Any = np.concatenate([np.ones(j), np.zeros(extra)])[None] if program.has_mass else None
    ones: Any = [1.0] if program.has_mass else None
    options: Any = {"primal_feasibility_tolerance": _TOLERANCE, "dual_feasibility_tolerance": _TOLERANCE}
    if np.isfinite(seconds):
        options["time_limit"] = max(seconds, _SHORTEST)
    solvers: tuple[Any, ...] = ("highs", "highs-ipm")
    for method in solvers:
        found: Any = linprog(c, A_ub=A, b_ub=b, A_eq=rows, b_eq=ones, method=method, options=options)
        if found.status == 0:
            lam = -np.asarray(found.ineqlin.marginals)[:k] * program.signs
            return MasterPoint(np.asarray(found.x)[:j], lam, float(found.fun))
        if found.status == _LIMIT:
            return None
    return None
