"""The soft form of the weight problem by sliding column generation: what other convex-network packages solve."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from convexwgan.arrays import Array, Float64
from convexwgan.errors import InputError
from convexwgan.geometry.ascent import gains
from convexwgan.solvers.realization.limits import Callback, Watch
from convexwgan.solvers.realization.merge import minimal_network
from convexwgan.solvers.realization.oracle import Oracle, oracle_for
from convexwgan.solvers.realization.rounds import improved, outgoing, residual, unit_directions
from convexwgan.solvers.realization.scaling import scaled_problem
from convexwgan.solvers.realization.slide import slide
from convexwgan.solvers.realization.state import Network, empty_network, network_at
from convexwgan.solvers.realization.types import RealizationResult, ReluNeurons

_NEW_A_ROUND = 20
_STEPS = 60
_NO_PROGRESS = 1e-13


@dataclass(frozen=True)
class SoftBounds:
    """Primal value, dual value of the scaled multiplier, the pricing maximum that scaled it, and its exactness."""

    upper: float
    lower: float
    price: float
    is_exact: bool
    candidates: Float64 = field(repr=False, default_factory=lambda: np.zeros((0, 0)))

    @property
    def gap(self) -> float:
        """(upper − lower)/upper."""
        return (self.upper - self.lower) / max(self.upper, 1e-300)


def solve_soft(
    Z: Array,
    G: Array,
    beta: float,
    *,
    rng: int | np.random.Generator = 0,
    tol: float = 1e-6,
    max_iter: int | None = None,
    time_limit: float | None = None,
    callback: Callback | None = None,
    warm_start: ReluNeurons | None = None,
    pricing: str = "auto",
    target: float | None = None,
) -> RealizationResult:
    """The cheapest network near a target, with the multiplier that proves how cheap.

    min ½‖Σ_j (Zu_j)₊v_jᵀ − G‖_F² + β Σ_j ‖v_j‖₂  s.t.  ‖u_j‖₂ ≤ 1
    max ⟨R, G⟩ − ½‖R‖_F²                          s.t.  ‖Rᵀ(Zu)₊‖₂ ≤ β  for all ‖u‖₂ ≤ 1

    Args:
        Z: latents (n, d_f), any array library; pricing by local ascent runs on its device.
        G: targets (n, d_r).
        beta: β > 0.
        rng, max_iter, time_limit, callback, warm_start, pricing: as in ``realize_weights``.
        tol: relative gap at which to stop.
        target: an objective that is low enough: the first network with it ends the run (``stopped`` "target"), with
            the bounds proven so far; None runs until the gap is closed.

    Returns:
        RealizationResult: neurons; ``multiplier`` R (n, d_r), feasible for the pricing used; ``residual``
        ‖ΣΦv − G‖/‖G‖; ``stats`` with objective, lower, gap, price, is_exact, rounds.

    Raises:
        InputError: shapes, values, β or limits out of range; exact pricing asked for above rank 4.

    Reference: soft form of Lemma C.1 in Sahiner et al., ICLR 2022; sliding Frank–Wolfe of Denoyelle et al. 2020.

    >>> Z = np.array([[1.0], [-1.0]])
    >>> result = solve_soft(Z, np.array([[2.0], [0.0]]), 0.5)
    >>> result.neurons.v.round(9).tolist(), round(result.stats["objective"], 9)
    ([[1.5]], 0.875)
    """
    if not (np.isfinite(beta) and beta > 0):
        raise InputError("beta of solve_soft", beta, "be > 0 and finite", "it is the weight of Σ‖v_j‖")
    problem = scaled_problem(Z, G)
    watch = Watch(max_iter, time_limit, callback)
    weight = float(beta) / (problem.gamma * problem.zeta)
    oracle = oracle_for(problem, Z, rng, pricing)
    unit = problem.gamma**2
    enough = _target(target) / unit
    n, r = problem.Z.shape
    network = empty_network(n, r, problem.G.shape[1])
    if warm_start is not None:
        U, V = problem.reduced(warm_start)
        network = slide(problem.Z, problem.G, weight, network_at(problem.Z, U, V), max_iter=_STEPS)[0]
    network, R, bounds = column_generation(problem.Z, problem.G, weight, network, oracle, watch, tol, unit, enough)
    neurons = problem.neurons(unit_directions(network), outgoing(network))
    multiplier = problem.multiplier(R) * (weight * problem.gamma * problem.zeta)
    E = residual(problem.Z, problem.G, network)
    stats: dict[str, Any] = {
        "objective": bounds.upper * unit,
        "lower": bounds.lower * unit,
        "gap": bounds.gap,
        "price": bounds.price,
        "is_exact": bounds.is_exact,
        "rounds": len(watch.history),
        "seconds": watch.seconds,
    }
    relative = float(np.linalg.norm(E)) / max(float(np.linalg.norm(problem.G)), 1e-300)
    return RealizationResult(neurons, multiplier, relative, watch.stopped, tuple(watch.history), stats)


def column_generation(
    Z: Float64,
    G: Float64,
    beta: float,
    network: Network,
    oracle: Oracle,
    watch: Watch,
    tol: float,
    unit: float,
    enough: float = -np.inf,
) -> tuple[Network, Float64, SoftBounds]:
    """Rounds of pricing, adding and sliding until the gap is below tol, or the value at most ``enough``.

    Returns the network, a feasible R (price ≤ 1) and the bounds.
    """
    while True:
        R = -residual(Z, G, network) / beta
        bounds = soft_bounds(Z, G, beta, network, R, oracle, tol)
        watch.record(
            upper=bounds.upper * unit,
            lower=bounds.lower * unit,
            price=bounds.price,
            is_exact=bounds.is_exact,
            neurons=network.count,
        )
        is_closed = bounds.gap <= tol and (bounds.is_exact or not oracle.is_exact)
        if bounds.upper <= enough and not is_closed:
            watch.stopped = watch.stopped or "target"
        if is_closed or _has_stalled(watch) or watch.is_over:
            feasible = R / max(1.0, bounds.price)
            return condensed(Z, G, beta, network), feasible, bounds
        fine = min(1e-9, 1e-2 * tol)
        network, _ = improved(Z, G, beta, network, bounds.candidates, tol=fine, steps=_STEPS)
        if bounds.upper - soft_value(Z, G, beta, network) <= _NO_PROGRESS * bounds.upper:
            network = condensed(Z, G, beta, network)


def soft_value(Z: Float64, G: Float64, beta: float, network: Network) -> float:
    """½‖Σ_j (Zw_j)₊v_jᵀ − G‖² + β Σ‖w_j‖‖v_j‖."""
    E = residual(Z, G, network)
    return 0.5 * float(np.vdot(E, E)) + beta * float(network.sizes.sum())


def soft_bounds(
    Z: Float64, G: Float64, beta: float, network: Network, R: Float64, oracle: Oracle, tol: float
) -> SoftBounds:
    """Bounds by the candidates of local ascent while they violate clearly, by exhaustive pricing when they do not."""
    upper = soft_value(Z, G, beta, network)
    candidates = oracle.candidates(R, _NEW_A_ROUND, 1.0 + 1e-2 * tol)
    price = float(gains(Z, R, candidates[:1]).max(initial=1.0))
    is_exact = False
    if price <= 1.0 + max(10.0 * tol, 1e-4) or not oracle.is_exact:
        found = oracle.maximum(R)
        price, is_exact = max(price, found.value), found.is_exact
        if found.value > 1.0 + 1e-2 * tol:
            candidates = np.vstack([found.u[None, :], candidates])
    lower = _dual_value(G, beta, R, price)
    return SoftBounds(upper, lower, price, is_exact, candidates)


def _dual_value(G: Float64, beta: float, R: Float64, price: float) -> float:
    """⟨βR', G⟩ − ½‖βR'‖² at the best feasible multiple R' = tR, t ≤ 1/price."""
    square, inner = float(np.vdot(R, R)), float(np.vdot(R, G))
    if square == 0.0:
        return 0.0
    t = min(1.0 / max(price, 1e-300), inner / (beta * square))
    return beta * t * inner - 0.5 * (beta * t) ** 2 * square


def _target(target: object) -> float:
    """The objective to stop at; −inf for none."""
    if target is None:
        return -np.inf
    if not (isinstance(target, (int, float, np.floating)) and np.isfinite(target)):
        raise InputError("target of solve_soft", target, "be a finite number", "leave it out to close the gap")
    return float(target)


def _has_stalled(watch: Watch) -> bool:
    """Whether three rounds have not lowered the value: sliding and pricing disagree at rounding level only."""
    recent = [line["upper"] for line in watch.history[-4:]]
    if len(recent) == 4 and recent[0] - recent[-1] <= _NO_PROGRESS * abs(recent[0]):
        watch.stopped = watch.stopped or "stalled"
        return True
    return False


def condensed(Z: Float64, G: Float64, beta: float, network: Network) -> Network:
    """The network with redundant neurons merged, if that and a slide do not raise the soft value."""
    if network.count < 2:
        return network
    U, V = unit_directions(network), outgoing(network)
    value = soft_value(Z, G, beta, network)
    for parallel in (1e-6, 1e-14):
        small = minimal_network(Z, ReluNeurons(U, V), parallel=parallel)
        if len(small.u) == network.count:
            continue
        trial = slide(Z, G, beta, network_at(Z, small.u, small.v, 1e-10), max_iter=_STEPS)[0]
        if soft_value(Z, G, beta, trial) <= value * (1.0 + 1e-13):
            return trial
    return network
