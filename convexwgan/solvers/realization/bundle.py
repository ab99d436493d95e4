"""The multiplier to full accuracy, at rank ≤ 4: a proximal bundle method on the dual with the conic master.

    R ← argmax ⟨R, G⟩ − (β/2)‖R − C‖²  s.t.  ‖Rᵀ(Zu_j)₊‖ ≤ 1 for the neurons u_j in the bundle

then every ray of the arrangement that violates ‖Rᵀ(Zu)₊‖ ≤ 1, what local ascent reaches from the worst of them, and
the exact maximiser join the bundle. R divided by its pricing maximum is feasible for all u: where that raises the
bound enough it becomes the next centre C, and β falls. Targets in the range of Z have duals that are active almost
everywhere on the sphere; there thousands of neurons are needed to pin R down, and sliding alone converges slowly.

Reference: Kiwiel, "Methods of descent for nondifferentiable optimization" (1985), on proximal bundles.
"""

from __future__ import annotations

import numpy as np

from convexwgan.arrays import Float64
from convexwgan.geometry.pricing import PricingResult
from convexwgan.solvers.realization.limits import Watch
from convexwgan.solvers.realization.master import MasterResult, solve_master
from convexwgan.solvers.realization.multipliers import Incumbent, note
from convexwgan.solvers.realization.oracle import Oracle, ascend, gains

_FIRST_NEW, _MOST_NEW = 400, 4000
_ASCENTS = 200
_LOCAL = 30
_SAME = 1.0 - 1e-7
_INSIDE = 0.1
_IDLE_ROUNDS = 4
_SERIOUS = 0.2
_BETA_FALLS = 0.3
_NEAR = 0.9
_TINY = 1e-10
_EQUALITY_STEPS = 3
_PATIENCE = 10
_ALMOST_EQUAL = 1e-6
_LEAST = 1e-6
_STEADY, _WILD = 1e-4, 1e-1
_FINEST = 1e-11


def refine_multiplier(
    Z: Float64,
    G: Float64,
    U: Float64,
    oracle: Oracle,
    watch: Watch,
    incumbent: Incumbent,
    tol: float,
    unit: float,
    *,
    beta: float,
) -> Float64:
    """Raise the incumbent's lower bound, and lower its upper bound, until they meet; returns the bundle (k, r).

    Args:
        Z: latents (n, r), r ≤ 4.
        G: target (n, d).
        U: neurons to begin with (k, r).
        beta: the first β, relative to scaled data.
    """
    center, first = incumbent.R, beta
    idle, accuracy, new_a_round, stale = np.zeros(len(U), dtype=int), 1e-3, _FIRST_NEW, 0
    while not watch.is_over:
        Phi = np.maximum(Z @ U.T, 0.0)
        gap = max(incumbent.gap, tol) if np.isfinite(incumbent.gap) else 1e-2
        accuracy = min(accuracy, max(0.03 * gap, _FINEST))
        result = _master(Phi, G, beta, center, incumbent, accuracy)
        found = oracle.maximum(result.R)
        price = max(found.value, 1.0)
        expected = _prox(result.R, G, beta, center) - _prox(center, G, beta, center)
        gained = _prox(result.R / price, G, beta, center) - _prox(center, G, beta, center)
        incumbent.offer_multiplier(G, result.R, price, found.is_exact)
        if float(np.linalg.norm(Phi @ result.V - G)) <= _ALMOST_EQUAL:
            incumbent.offer_network(Z, G, U, result.V)
        new = np.zeros((0, Z.shape[1]))
        estimate = _lagrangian(Phi, G, result)
        if estimate - incumbent.lower <= 0.5 * tol * estimate or price <= 1.0 + tol:
            new = _offer(Z, G, U, Phi, oracle, incumbent, tol)
        note(watch, incumbent, unit, price, len(U), "bundle")
        if incumbent.is_done(tol):
            break
        stale = 0 if incumbent.gap < 0.98 * gap or price > 1.0 + tol else stale + 1
        if stale >= _PATIENCE:
            watch.stopped = "stalled"
            break
        idle = np.where(np.linalg.norm(Phi.T @ result.R, axis=1) < 0.97, idle + 1, 0)
        wanted = _FIRST_NEW if price - 1.0 > _WILD else new_a_round
        new = np.vstack([new, _violated(Z, result.R, oracle, found, wanted)])
        keep = idle < _IDLE_ROUNDS
        U, idle = np.vstack([U[keep], new]), np.concatenate([idle[keep], np.zeros(len(new), dtype=int)])
        if len(new) >= new_a_round:
            new_a_round = min(2 * new_a_round, _MOST_NEW)
        if expected <= 2.0 * result.gap:
            accuracy = max(0.1 * accuracy, _FINEST)
        if gained > max(_SERIOUS * expected, 0.0) or price <= 1.0 + 0.1 * tol:
            center = result.R / price
            beta = max(_BETA_FALLS * beta, _LEAST * first) if price - 1.0 < _STEADY else beta
        elif price - 1.0 > _WILD:
            beta = min(beta / _BETA_FALLS, first)
    if not incumbent.is_done(tol):
        _offer(Z, G, U, np.maximum(Z @ U.T, 0.0), oracle, incumbent, tol)
    return U


def _master(
    Phi: Float64, G: Float64, beta: float, center: Float64, incumbent: Incumbent, accuracy: float
) -> MasterResult:
    """The master from well inside the cones: a start near the boundary saves no iteration of an interior method."""
    start = (1.0 - _INSIDE) * incumbent.R / max(1.0, float(np.linalg.norm(Phi.T @ incumbent.R, axis=1).max()))
    return solve_master(Phi, G, beta, center, start, mu=_INSIDE * incumbent.lower / Phi.shape[1], tol=accuracy)


def _prox(R: Float64, G: Float64, beta: float, center: Float64) -> float:
    return float(np.vdot(R, G)) - 0.5 * beta * float(((R - center) ** 2).sum())


def _lagrangian(Phi: Float64, G: Float64, result: MasterResult) -> float:
    """Σ‖v_j‖ + ⟨R, G − ΦV⟩: the cost of the bundle with the residual priced by R."""
    cost = float(np.linalg.norm(result.V, axis=1).sum())
    return cost + float(np.vdot(result.R, G - Phi @ result.V))


def _offer(
    Z: Float64, G: Float64, U: Float64, Phi: Float64, oracle: Oracle, incumbent: Incumbent, tol: float
) -> Float64:
    """Master steps with a tiny β, which force equality; both sides are offered, violated directions returned (k, r).

    What the bundle cannot reach, its multiplier grows towards, so that pricing names the missing neurons.
    """
    near = np.linalg.norm(Phi.T @ incumbent.R, axis=1) > (_NEAR if len(U) > _MOST_NEW else -1.0)
    center = incumbent.R
    for _ in range(_EQUALITY_STEPS if near.any() else 0):
        result = _master(Phi[:, near], G, _TINY, center, incumbent, 0.1 * tol)
        incumbent.offer_network(Z, G, U[near], result.V)
        found = oracle.maximum(result.R)
        incumbent.offer_multiplier(G, result.R, found.value, found.is_exact)
        if incumbent.is_done(tol):
            break
        if found.value > 1.0 + tol:
            return _violated(Z, result.R, oracle, found, _LOCAL)
        center = result.R
    return np.zeros((0, Z.shape[1]))


def _violated(Z: Float64, R: Float64, oracle: Oracle, found: PricingResult, limit: int) -> Float64:
    """Directions with ‖Rᵀ(Zu)₊‖ > 1: rays, local maxima reached from the worst of them, the global maximiser."""
    if found.value <= 1.0:
        return np.zeros((0, Z.shape[1]))
    threshold = 1.0 + 0.01 * (found.value - 1.0)
    local = oracle.candidates(R, _LOCAL, threshold)
    rays = oracle.arrangement.rays
    values = gains(Z, R, rays)
    order = np.argsort(-values)
    chosen = rays[order[values[order] > threshold][:limit]]
    if len(chosen):
        climbed = np.asarray(ascend(Z, R, chosen[:_ASCENTS], 30))
        moved = (climbed * chosen[:_ASCENTS]).sum(axis=1) < _SAME
        local = np.vstack([local, climbed[moved & (gains(Z, R, climbed) > threshold)]])
    return np.vstack([chosen, local, found.u[None, :]])
