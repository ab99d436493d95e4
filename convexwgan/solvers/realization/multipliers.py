"""Equality ΣΦv = G by the method of multipliers around the sliding soft form.

    (U, V) ← argmin ½‖Φ(U)V − (G + βR)‖² + β Σ‖v_j‖,        R ← R + (G − Φ(U)V)/β

β first falls from a tenth of max_u‖Gᵀ(Zu)₊‖ (above which the network is empty) by tens, then stays; each multiplier
is dual feasible up to its pricing maximum, so that ⟨R, G⟩/price is a lower bound on every round.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from convexwgan.arrays import Float64
from convexwgan.geometry.ascent import gains
from convexwgan.solvers.realization.limits import Watch
from convexwgan.solvers.realization.oracle import Oracle
from convexwgan.solvers.realization.rounds import improved, outgoing, residual, unit_directions
from convexwgan.solvers.realization.state import Network, empty_network

EQUALITY = 1e-8
"""A relative residual ‖ΣΦv − G‖/‖G‖ below this counts as equality."""
_LEVELS = (1e-1, 1e-2, 1e-3)
_LOOSE, _TIGHT = 0.3, 0.02
_NEW_A_ROUND = 30
_NEGLIGIBLE = 1e-11
_DEAD = 1e-14
"""Features of scaled latents (‖Z‖ = 1) that are rounding: such a neuron costs and gives nothing."""
_STEPS = 60


@dataclass
class Incumbent:
    """The best feasible network and the best feasible multiplier so far, in scaled coordinates."""

    U: Float64
    V: Float64
    R: Float64
    upper: float = np.inf
    residual: float = 1.0
    lower: float = 0.0
    is_exact: bool = False

    @property
    def gap(self) -> float:
        """(upper − lower)/upper."""
        return (self.upper - self.lower) / self.upper if 0 < self.upper < np.inf else self.upper

    def offer_network(self, Z: Float64, G: Float64, U: Float64, V: Float64) -> None:
        """Keep the network, as it is or repaired, if it costs less at equality, or comes closer to equality."""
        size = np.linalg.norm(V, axis=1)
        Phi = np.maximum(Z @ U.T, 0.0)
        used = (size > _NEGLIGIBLE * size.max(initial=0.0)) & (Phi.max(axis=0, initial=0.0) > _DEAD)
        U, V, Phi = U[used], V[used], Phi[:, used]
        for trial in (V, repaired(Phi, G, V)):
            size = float(np.linalg.norm(Phi @ trial - G))
            cost = float(np.linalg.norm(trial, axis=1).sum())
            is_equal, was_equal = size <= EQUALITY, self.residual <= EQUALITY
            if (is_equal and (not was_equal or cost < self.upper)) or (not is_equal and size < self.residual):
                self.U, self.V, self.upper, self.residual = U, trial, cost, size

    def offer_multiplier(self, G: Float64, R: Float64, price: float, is_exact: bool) -> None:
        """Keep R/price if it is feasible by at least as good a pricing and bounds higher."""
        value = float(np.vdot(R, G)) / max(price, 1e-300)
        if value > self.lower or (is_exact and not self.is_exact):
            self.R, self.lower, self.is_exact = R / max(price, 1e-300), value, is_exact

    def is_done(self, tol: float) -> bool:
        """Whether equality and the gap are both reached."""
        return self.residual <= EQUALITY and self.gap <= tol


def first_incumbent(G: Float64, r: int) -> Incumbent:
    """No network, no multiplier: optimal for G = 0."""
    incumbent = Incumbent(np.zeros((0, r)), np.zeros((0, G.shape[1])), np.zeros_like(G))
    if not G.any():
        incumbent.upper = incumbent.residual = 0.0
    return incumbent


def repaired(Phi: Float64, G: Float64, V: Float64) -> Float64:
    """V + argmin{‖δ‖: Φδ = G − ΦV} in the least-squares sense, with each neuron's share in proportion to its size."""
    size = np.linalg.norm(V, axis=1)
    correction, *_ = np.linalg.lstsq(Phi * size, G - Phi @ V, rcond=1e-13)
    fixed: Float64 = V + size[:, None] * correction
    return fixed


def method_of_multipliers(
    Z: Float64,
    G: Float64,
    network: Network | None,
    oracle: Oracle,
    watch: Watch,
    incumbent: Incumbent,
    tol: float,
    unit: float,
    rounds: int,
) -> Network:
    """Rounds of pricing, sliding and multiplier updates; fills the incumbent and returns the last network."""
    n, r = Z.shape
    network = empty_network(n, r, G.shape[1]) if network is None else network
    largest = oracle.maximum(G).value
    level, R = 0, np.zeros_like(G)
    for _ in range(rounds):
        beta = _LEVELS[min(level, len(_LEVELS) - 1)] * largest
        target = G + beta * R
        trial = -residual(Z, target, network) / beta
        candidates = oracle.candidates(trial, _NEW_A_ROUND, 1.0 + 1e-3 * tol)
        price = float(gains(Z, trial, candidates[:1]).max(initial=1.0))
        if price <= 1.0 + _TIGHT:
            found = oracle.maximum(trial)
            if found.value > 1.0 + 1e-3 * tol:
                candidates = np.vstack([found.u[None, :], candidates])
            price = max(price, found.value)
            incumbent.offer_multiplier(G, trial, found.value if found.is_exact else price, found.is_exact)
            if level >= len(_LEVELS) - 1 and network.count:
                incumbent.offer_network(Z, G, unit_directions(network), outgoing(network))
        note(watch, incumbent, unit, price, network.count, "multipliers")
        if incumbent.is_done(tol) or watch.is_over:
            break
        if price <= 1.0 + (_LOOSE if level < len(_LEVELS) else _TIGHT):
            level += 1
            R = trial / price
            beta = _LEVELS[min(level, len(_LEVELS) - 1)] * largest
            target = G + beta * R
        network, _ = improved(Z, target, beta, network, candidates, tol=1e-10, steps=_STEPS)
    return network


def note(watch: Watch, incumbent: Incumbent, unit: float, price: float, neurons: int, phase: str) -> None:
    """A line of the history: bounds so far in the user's units."""
    watch.record(
        phase=phase,
        upper=incumbent.upper * unit,
        lower=incumbent.lower * unit,
        residual=incumbent.residual,
        price=price,
        is_exact=incumbent.is_exact,
        neurons=neurons,
    )
