"""The multiplier to full accuracy, at rank ≤ 4: a proximal bundle method on the dual with the conic master.

    R ← argmax ⟨R, G⟩ − (β/2)‖R − C‖²_K  s.t.  ‖Rᵀ(Zu_j)₊‖ ≤ 1 for the neurons u_j in the bundle

then every ray of the arrangement that violates ‖Rᵀ(Zu)₊‖ ≤ 1, what local ascent reaches from the worst of them, and
the exact maximiser join the bundle. R divided by its pricing maximum is feasible for all u: where that raises the
bound enough it becomes the next centre C, and β falls. Targets in the range of Z have duals that are active almost
everywhere on the sphere; there thousands of neurons are needed to pin R down, and sliding alone converges slowly.

Reference: Kiwiel, "Methods of descent for nondifferentiable optimization" (1985), on proximal bundles.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from convexwgan.arrays import Float64
from convexwgan.geometry.ascent import ascend, gains
from convexwgan.geometry.pricing import PricingResult
from convexwgan.solvers.realization.limits import Watch
from convexwgan.solvers.realization.master import MasterResult, solve_master
from convexwgan.solvers.realization.metric import metric_of
from convexwgan.solvers.realization.multipliers import Incumbent, note
from convexwgan.solvers.realization.oracle import Oracle, apart, unit_rows

_FIRST_NEW, _MOST_NEW = 100, 4000
_CLUSTER = 2.0
_NEIGHBOURS, _NEAR_BY, _SAME_POINT = 3, 0.95, 1.0 - 1e-13
_ASCENTS = 200
_LOCAL = 30
_SAME = 1.0 - 1e-7
_INSIDE = 0.1
_IDLE_ROUNDS, _SLACK = 4, 0.97
_SERIOUS = 0.2
_BETA_FALLS = 0.3
_NEAR = 0.9
_TINY = 1e-10
_EQUALITY_STEPS = 3
_PATIENCE = 10
_ALMOST_EQUAL = 1e-6
_LEAST = 1e-6
_STEADY, _WILD = 1e-4, 1e-1
_FINEST, _SHARE = 1e-11, 0.03


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
) -> None:
    """Raise the incumbent's lower bound, and lower its upper bound, until they meet or a limit is reached.

    Args:
        Z: latents (n, r), r ≤ 4.
        G: target (n, d).
        U: neurons to begin with (k, r).
        oracle: exact pricing.
        watch: limits and history.
        incumbent: improved in place.
        tol: relative gap to reach.
        unit: scaled cost in the user's units, for the history.
        beta: the first β: a share of the cost.
    """
    bundle = _Bundle(Z, G, oracle, incumbent, tol, U, beta)
    while not watch.is_over:
        price = bundle.round()
        note(watch, incumbent, unit, price, len(bundle.U), "bundle")
        if incumbent.is_done(tol):
            return
        if bundle.stale >= _PATIENCE:
            watch.stopped = "stalled"
    bundle.force_equality()


class _Bundle:
    """Neurons U (k, r), centre C and β of the proximal master, and how both change from round to round."""

    def __init__(
        self, Z: Float64, G: Float64, oracle: Oracle, incumbent: Incumbent, tol: float, U: Float64, beta: float
    ) -> None:
        self.metric = metric_of(Z, oracle.arrangement.rays)
        self.Z, self.G, self.oracle, self.incumbent, self.tol = Z, G, oracle, incumbent, tol
        self.U, self.idle = U, np.zeros(len(U), dtype=int)
        self.center, self.beta, self.first_beta = incumbent.R, beta, beta
        self.accuracy, self.new_a_round, self.stale = 1e-3, _FIRST_NEW, 0

    def round(self) -> float:
        """Master, pricing, both offers, new neurons, new centre; returns the pricing maximum (at least 1)."""
        before = max(self.incumbent.gap, self.tol) if np.isfinite(self.incumbent.gap) else 1e-2
        self.accuracy = min(self.accuracy, max(_SHARE * before, _FINEST))
        Phi = np.maximum(self.Z @ self.U.T, 0.0)
        result = self._master(Phi, self.beta, self.center, self.accuracy)
        found = self.oracle.maximum(result.R)
        price = max(found.value, 1.0)
        self.incumbent.offer_multiplier(self.G, result.R, price, found.is_exact)
        forced = self._offered(Phi, result, price)
        is_wild = price - 1.0 > _WILD
        new = _violated(self.Z, result.R, self.oracle, found, _FIRST_NEW if is_wild else self.new_a_round)
        new = np.vstack([new, _between(self.Z, result.R, new[-_LOCAL:], self.U)])
        self._exchange(np.linalg.norm(Phi.T @ result.R, axis=1), np.vstack([forced, new]))
        self._move(result, price)
        self.stale = 0 if self.incumbent.gap < 0.98 * before or price > 1.0 + self.tol else self.stale + 1
        return price

    def force_equality(self) -> Float64:
        """Master steps with a tiny β; both sides are offered; returns the directions that its multiplier violates.

        What the bundle cannot reach, that multiplier grows towards, so that pricing names the missing neurons.
        """
        U = np.vstack([self.U, self.incumbent.U])
        Phi = np.maximum(self.Z @ U.T, 0.0)
        near = np.linalg.norm(Phi.T @ self.incumbent.R, axis=1) > (_NEAR if len(U) > _MOST_NEW else -1.0)
        center = self.incumbent.R
        for _ in range(_EQUALITY_STEPS if near.any() else 0):
            result = self._master(Phi[:, near], _TINY * self.incumbent.lower, center, 0.1 * self.tol)
            self.incumbent.offer_network(self.Z, self.G, U[near], result.V)
            found = self.oracle.maximum(result.R)
            self.incumbent.offer_multiplier(self.G, result.R, found.value, found.is_exact)
            if self.incumbent.is_done(self.tol):
                break
            if found.value > 1.0 + self.tol:
                return _violated(self.Z, result.R, self.oracle, found, _LOCAL)
            center = result.R
        return np.zeros((0, self.Z.shape[1]))

    def _offered(self, Phi: Float64, result: MasterResult, price: float) -> Float64:
        """Offer the master's network when it nearly reaches equality; force equality when the bounds nearly meet."""
        rest = self.G - Phi @ result.V
        if float(np.linalg.norm(rest)) <= _ALMOST_EQUAL:
            self.incumbent.offer_network(self.Z, self.G, self.U, result.V)
        cost = float(np.linalg.norm(result.V, axis=1).sum()) + float(np.vdot(result.R, rest))
        if cost - self.incumbent.lower <= 0.5 * self.tol * cost or price <= 1.0 + self.tol:
            return self.force_equality()
        return np.zeros((0, self.Z.shape[1]))

    def _exchange(self, gain: Float64, new: Float64) -> None:
        """Neurons whose constraint has been slack for some rounds leave, new ones join."""
        self.idle = np.where(gain < _SLACK, self.idle + 1, 0)
        keep = self.idle < _IDLE_ROUNDS
        self.U = np.vstack([self.U[keep], new])
        self.idle = np.concatenate([self.idle[keep], np.zeros(len(new), dtype=int)])
        if len(new) >= self.new_a_round:
            self.new_a_round = min(2 * self.new_a_round, _MOST_NEW)

    def _move(self, result: MasterResult, price: float) -> None:
        """A serious step moves the centre and may lower β; a wild one raises β; a vain one asks for more accuracy."""
        here = self._prox(self.center)
        expected = self._prox(result.R) - here
        gained = self._prox(result.R / price) - here
        if expected <= 2.0 * result.gap:
            self.accuracy = max(0.1 * self.accuracy, _FINEST)
        if gained > max(_SERIOUS * expected, 0.0) or price <= 1.0 + 0.1 * self.tol:
            self.center = result.R / price
            if price - 1.0 < _STEADY:
                self.beta = max(_BETA_FALLS * self.beta, _LEAST * self.first_beta)
        elif price - 1.0 > _WILD:
            self.beta = min(self.beta / _BETA_FALLS, self.first_beta)

    def _master(self, Phi: Float64, beta: float, center: Float64, accuracy: float) -> MasterResult:
        """The master in the metric, from well inside the cones: a start near the boundary saves no iteration."""
        metric, R = self.metric, self.incumbent.R
        start = (1.0 - _INSIDE) * R / max(1.0, float(np.linalg.norm(Phi.T @ R, axis=1).max()))
        mu = _INSIDE * self.incumbent.lower / Phi.shape[1]
        given = metric.down(Phi), metric.down(self.G)
        result = solve_master(*given, beta, metric.up(center), metric.up(start), mu=mu, tol=accuracy)
        return replace(result, R=metric.back(result.R))

    def _prox(self, R: Float64) -> float:
        return float(np.vdot(R, self.G)) - 0.5 * self.beta * self.metric.squared(R - self.center)


def _separation(Z: Float64, rays: int) -> float:
    """The cosine of a few mean distances between the rays: violations come in clusters around a local maximum."""
    r = Z.shape[1]
    return float(np.cos(min(_CLUSTER * (4.0 * np.pi / rays) ** (1.0 / max(r - 1, 1)), 0.3)))


def _between(Z: Float64, R: Float64, local: Float64, U: Float64) -> Float64:
    """Midpoints of the local maxima and the neurons of the bundle nearest to them, where they violate too.

    A maximiser slides along its face as R changes; one cut a round would follow it at a linear rate only.
    """
    if len(local) == 0 or len(U) == 0:
        return np.zeros((0, Z.shape[1]))
    cosine = local @ U.T
    count = min(_NEIGHBOURS, len(U))
    nearest = np.argpartition(-cosine, count - 1, axis=1)[:, :count]
    is_near = np.take_along_axis(cosine, nearest, axis=1)
    middle = unit_rows((local[:, None, :] + U[nearest])[(is_near > _NEAR_BY) & (is_near < _SAME_POINT)])
    return middle[gains(Z, R, middle) > 1.0]


def _violated(Z: Float64, R: Float64, oracle: Oracle, found: PricingResult, limit: int) -> Float64:
    """Directions with ‖Rᵀ(Zu)₊‖ > 1: rays, local maxima reached from the worst of them, the global maximiser."""
    if found.value <= 1.0:
        return np.zeros((0, Z.shape[1]))
    threshold = 1.0 + 0.01 * (found.value - 1.0)
    local = oracle.candidates(R, _LOCAL, threshold)
    rays = oracle.arrangement.rays
    values = gains(Z, R, rays)
    chosen = apart(rays, values, limit, threshold, _separation(Z, len(rays)))
    if len(chosen):
        climbed = np.asarray(ascend(Z, R, chosen[:_ASCENTS], 30))
        moved = (climbed * chosen[:_ASCENTS]).sum(axis=1) < _SAME
        local = np.vstack([local, climbed[moved & (gains(Z, R, climbed) > threshold)]])
    return np.vstack([chosen, local, found.u[None, :]])
