"""The semidefinite lower bound on outputs of noise under ReLU neurons, over finitely many directions (MATH 4).

    min tr S  s.t.  S ⪰ ssᵀ/ρ,  (2(h_X(u) − β) − sᵀu)₊² ≤ c² uᵀSu,  sᵀu ≤ h_X(u) + β,  uᵀ(m − s) ≤ κβ

with κ = 2, or 1 where neurons have a bias; norm bound: + t with t in place of β. Every finite set of directions u gives
a bound; rounds add the directions that the optimum violates. The multipliers are what ``certificates`` checks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from convexwgan.arrays import Float64
from convexwgan.geometry.relu_sums import relu_sum, sphere_maxima
from convexwgan.solvers.conic.model import load_cvxpy, warnings_logged

_ROUNDS = 4
_ADDED = 12
_FIRST, _TESTED = 40, 4000
_VIOLATED = 1e-6


@dataclass(frozen=True, eq=False)
class MomentMultipliers:
    """The program's value and its table [u | μ τ λ ν], shape (k, d + 4), in units where c = 1."""

    value: float
    table: Float64


def moment_multipliers(
    X: Float64, weight: float, *, beta: float | None, rho: float, kappa: float, mean_factor: float
) -> MomentMultipliers | None:
    """The program in units where c = 1: S̄ ⪰ ssᵀ/ρ and (·)₊² ≤ uᵀS̄u.

    Args:
        X: data (n, d), each of the given weight. beta: β, None under a norm bound. rho: ρ/c². kappa: the price of tr S̄
            against t under a norm bound. mean_factor: 1 with bias, 2 without.

    Returns:
        Value and multipliers of the last round that was solved; None where Clarabel solved none.

    >>> X = np.array([[1.0, 0.0], [0.0, 1.0]])
    >>> found = moment_multipliers(X, 0.5, beta=0.1, rho=1.0, kappa=1.0, mean_factor=2.0)
    >>> found is not None and found.value > 0.0
    True
    """
    rng, d = np.random.default_rng(0), X.shape[1]
    weights = np.full(len(X), weight)
    U = np.concatenate([_directions(_FIRST, d, rng), sphere_maxima(X, weights).points[:_FIRST]])
    tested = _directions(_TESTED, d, rng)
    h_tested, m = relu_sum(X, weights, tested), weight * X.sum(axis=0)
    found = None
    for _ in range(_ROUNDS):
        h = relu_sum(X, weights, U)
        point = _solved(U, h, m, beta, rho, kappa, mean_factor)
        if point is None:
            break
        found = MomentMultipliers(point.value, point.table)
        excess = _violations(point, tested, h_tested, m, mean_factor)
        worst = np.argsort(-excess, kind="stable")[:_ADDED]
        worst = worst[excess[worst] > _VIOLATED]
        if len(worst) == 0:
            break
        U = np.concatenate([point.table[:, :d], tested[worst]])
    return found


def _directions(count: int, d: int, rng: np.random.Generator) -> Float64:
    """Unit vectors: even on the circle, random above; ± the axis on the line."""
    if d == 1:
        return np.array([[1.0], [-1.0]])
    if d == 2:
        angles = 2.0 * np.pi * np.arange(count) / count
        return np.column_stack([np.cos(angles), np.sin(angles)])
    U = rng.standard_normal((count * d, d))
    return np.asarray(U / np.linalg.norm(U, axis=1)[:, None])


@dataclass(frozen=True, eq=False)
class _Point:
    value: float
    S: Float64
    s: Float64
    beta: float
    table: Float64


def _solved(
    U: Float64, h: Float64, m: Float64, beta: float | None, rho: float, kappa: float, mean_factor: float
) -> _Point | None:
    cp = load_cvxpy()
    d = U.shape[1]
    S, s, r = cp.Variable((d, d), symmetric=True), cp.Variable(d), cp.Variable(len(U), nonneg=True)
    t: Any = cp.Variable(nonneg=True) if beta is None else beta
    heights = cp.sum(cp.multiply(U @ S, U), axis=1)
    wide = cp.square(r) <= heights
    high = s @ U.T <= h + t
    near = (m - s) @ U.T <= mean_factor * t
    whole = cp.bmat([[S, cp.reshape(s, (d, 1), order="C")], [cp.reshape(s, (1, d), order="C"), np.array([[rho]])]])
    constraints = [whole >> 0, r >= 2.0 * (h - t) - s @ U.T, wide, high, near]
    objective = cp.trace(S) if beta is not None else kappa * cp.trace(S) + t
    problem: Any = cp.Problem(cp.Minimize(objective), constraints)
    try:
        with warnings_logged():
            problem.solve(solver="CLARABEL")
    except cp.error.SolverError:
        return None
    if problem.status not in ("optimal", "optimal_inaccurate"):
        return None
    parts = [np.maximum(np.asarray(part.dual_value, dtype=np.float64), 0.0) for part in (wide, high, near)]
    table = np.column_stack([U, parts[0], np.maximum(np.asarray(r.value), 0.0), parts[1], parts[2]])
    used = (table[:, d:] * np.array([1.0, 0.0, 1.0, 1.0])).any(axis=1)
    level = float(t.value) if beta is None else beta
    return _Point(float(problem.value), np.asarray(S.value), np.asarray(s.value), level, table[used])


def _violations(point: _Point, U: Float64, h: Float64, m: Float64, mean_factor: float) -> Float64:
    """By how much each direction is violated, the largest of its three constraints."""
    along = U @ point.s
    widths = np.sqrt(np.maximum(np.einsum("ij,jk,ik->i", U, point.S, U), 0.0))
    low = 2.0 * (h - point.beta) - along - widths
    near = U @ (m - point.s) - mean_factor * point.beta
    return np.asarray(np.maximum(np.maximum(low, along - h - point.beta), near))
