"""The sliding step: all neurons move at once, kink by kink, to a local optimum of

    F(W, V) = ½‖Σ_j (Zw_j)₊v_jᵀ − T‖_F² + (β/2)(‖W‖_F² + ‖V‖_F²),

whose local minima are those of ½‖·‖² + β Σ‖w_j‖‖v_j‖. Inside a face of the arrangement (fixed kinks and active rows)
F is smooth and Newton's method converges quadratically. With E = (ZWᵀ)₊V − T and H_j = diag(active rows of j),

    ∇_{w_j}F = Zᵀ H_j E v_j + β w_j,       ∇_{v_j}F = Eᵀ(Zw_j)₊ + β v_j.

Passing row i along δ_j changes the slope by (E v_j)_i |z_iᵀδ_j|: a row with (E v_j)_i < 0 is passed, at one with
(E v_j)_i > 0 the neuron may have to stop: it *lands*, row i becomes a kink. A kink is *released* when its
multiplier leaves [0, (E v_j)_i]. Without landing and releasing, descent zigzags among kinks; without moving at
all (plain Frank–Wolfe), near-duplicate neurons pile up and the gap stalls near 1e-3.

Reference: Denoyelle, Duval, Peyré, Soubies, "The sliding Frank–Wolfe algorithm", Inverse Problems 36 (2020).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.linalg

from convexwgan.arrays import Float64
from convexwgan.solvers.realization.hessian import newton_direction
from convexwgan.solvers.realization.state import KINK_TOLERANCE, Bool, Network, features, project_on_kinks

_HALVINGS = 14


@dataclass(frozen=True)
class SlideReport:
    """How a slide ended: iterations made, final objective, largest gradient entry relative to β."""

    iterations: int
    objective: float
    gradient: float


def objective(Z: Float64, T: Float64, beta: float, network: Network) -> float:
    """F(W, V) with exact zeros on the kinks."""
    E = features(Z, network) @ network.V - T
    return 0.5 * float(np.vdot(E, E)) + 0.5 * beta * float((network.W**2).sum() + (network.V**2).sum())


def slide(
    Z: Float64, T: Float64, beta: float, network: Network, *, max_iter: int = 60, tol: float = 1e-9
) -> tuple[Network, SlideReport]:
    """The network at a local minimum of F near the given one, and how the slide ended.

    Args:
        Z: latents (n, r).
        T: target (n, d).
        beta: β > 0.
        network: where to start; balanced here first.
        max_iter: Newton steps.
        tol: stop when the projected gradient is below tol·β·(typical weight).
    """
    network = prune(network.balanced())
    value = objective(Z, T, beta, network)
    gradient, done = np.inf, 0
    for done in range(max_iter):  # noqa: B007
        if network.count == 0:
            return network, SlideReport(done, value, 0.0)
        Phi = features(Z, network)
        E = Phi @ network.V - T
        gW, gV = _gradients(Z, Phi, E, beta, network)
        pulls = _full_gradient(Z, E, beta, network)
        scale = beta * max(float(np.sqrt(network.sizes.max())), 1e-300)
        gradient = max(float(np.abs(gW).max()), float(np.abs(gV).max())) / scale
        released = _release(Z, E, pulls, network, 10.0 * max(gradient, tol) * scale)
        if released:
            gW = _project(network, pulls)
        elif gradient <= tol:
            break
        dW, dV = newton_direction(Z, Phi, E, beta, network, gW, gV)
        step = _search(Z, T, E, beta, network, value, (gW, gV), (dW, dV))
        if step is None:
            break
        network, new_value = step
        network = prune(network)
        stalled = value - new_value <= 1e-15 * abs(value)
        value = new_value
        if stalled and not released:
            break
    return network.balanced(), SlideReport(done + 1, value, gradient)


def prune(network: Network, relative: float = 1e-13) -> Network:
    """Without the neurons whose cost is below ``relative`` times the largest."""
    sizes = network.sizes
    if len(sizes) == 0:
        return network
    alive = sizes > relative * sizes.max()
    return network if alive.all() else network.keep(alive)


def _full_gradient(Z: Float64, E: Float64, beta: float, network: Network) -> Float64:
    """Zᵀ H_j E v_j + β w_j before projection on the kinks, (k, r)."""
    pull = np.where(network.active, network.V @ E.T, 0.0)
    full: Float64 = pull @ Z + beta * network.W
    return full


def _project(network: Network, vectors: Float64) -> Float64:
    projected: Float64 = np.einsum("jab,jb->ja", network.projectors, vectors)
    return projected


def _gradients(Z: Float64, Phi: Float64, E: Float64, beta: float, network: Network) -> tuple[Float64, Float64]:
    gW = _project(network, _full_gradient(Z, E, beta, network))
    return gW, Phi.T @ E + beta * network.V


def _release(Z: Float64, E: Float64, pulls: Float64, network: Network, threshold: float) -> int:
    """Free, for each neuron, the kink whose multiplier is furthest outside [0, (E v_j)_i]; how many were freed.

    On independent kink rows Z_A the stationarity Zᵀ H_j E v_j + βw_j + Z_Aᵀλ = 0 has one solution λ; moving off
    kink i upwards changes F by (E v_j)_i − λ_i a unit, downwards by λ_i.
    """
    released = 0
    for j in np.flatnonzero(network.kinks.any(axis=1)):
        rows = np.flatnonzero(network.kinks[j])
        if len(rows) > Z.shape[1] - 1:
            continue  # dependent rows: the multipliers are not unique; pricing finds the way out
        norms = np.linalg.norm(Z[rows], axis=1)
        multipliers, _, rank, _ = scipy.linalg.lstsq((Z[rows] / norms[:, None]).T, -pulls[j], check_finite=False)
        if rank < len(rows):
            continue
        upper = E[rows] @ network.V[j] * norms
        excess = np.maximum(multipliers - upper, -multipliers)
        worst = int(np.argmax(excess))
        if excess[worst] <= threshold:
            continue
        network.kinks[j, rows[worst]] = False
        network.active[j, rows[worst]] = bool(multipliers[worst] > 0 and multipliers[worst] - upper[worst] > 0)
        project_on_kinks(network, Z, int(j))
        released += 1
    return released


def _search(
    Z: Float64,
    T: Float64,
    E: Float64,
    beta: float,
    network: Network,
    value: float,
    gradient: tuple[Float64, Float64],
    direction: tuple[Float64, Float64],
) -> tuple[Network, float] | None:
    """The first of the steps 1, ½, ¼, … (with landings) that lowers F enough, or None."""
    (gW, gV), (dW, dV) = gradient, direction
    slope = float(np.vdot(gW, dW) + np.vdot(gV, dV))
    landing = _landings(Z, E, network, gW, dW)
    for halving in range(_HALVINGS):
        t = 0.5**halving
        for lands in (landing, None):
            trial = _moved(Z, network, dW, dV, t, lands)
            new_value = objective(Z, T, beta, trial)
            if new_value <= value + 1e-4 * t * slope:
                return trial, new_value
            if lands is not None and not (lands[0] < t).any():
                break
    trial = _moved(Z, network, dW, dV, 1.0, None)
    new_value = objective(Z, T, beta, trial)
    return (trial, new_value) if new_value < value else None


def _landings(Z: Float64, E: Float64, network: Network, gW: Float64, dW: Float64) -> tuple[Float64, Bool]:
    """For each neuron the step in [0, 1] at which its slope turns positive, and the rows it lands on there.

    Along t ↦ w_j + tδ_j the slope is modelled as (1 − t)⟨∇_{w_j}F, δ_j⟩ + Σ_{rows passed} (E v_j)_i |z_iᵀδ_j|.
    """
    Y, D = network.W @ Z.T, dW @ Z.T
    towards = np.where(network.active, D < 0, D > 0) & ~network.kinks
    times = np.where(towards, np.abs(Y) / np.where(towards, np.abs(D), 1.0), np.inf)
    jumps = (network.V @ E.T) * np.abs(D)
    order = np.argsort(times, axis=1)
    sorted_times = np.take_along_axis(times, order, axis=1)
    reachable = sorted_times <= 1.0
    passed = np.cumsum(np.where(reachable, np.take_along_axis(jumps, order, axis=1), 0.0), axis=1)
    start = np.minimum((gW * dW).sum(axis=1), 0.0)[:, None]
    slopes = start * (1.0 - np.where(reachable, sorted_times, 1.0)) + passed
    stops = reachable & (slopes >= 0) & (np.take_along_axis(jumps, order, axis=1) > 0)
    first = np.argmax(stops, axis=1)
    hit = stops.any(axis=1)
    rows = np.arange(network.count)
    step = np.where(hit, sorted_times[rows, first], np.inf)
    landed = np.zeros_like(network.kinks)
    landed[rows[hit], order[rows[hit], first[hit]]] = True
    return step, landed


def _moved(
    Z: Float64, network: Network, dW: Float64, dV: Float64, t: float, landing: tuple[Float64, Bool] | None
) -> Network:
    """The network after the step; landed neurons stop at their kink, and the others may cross rows."""
    reach = np.full(network.count, t) if landing is None else np.minimum(t, landing[0])
    W = network.W + reach[:, None] * dW
    kinks = network.kinks.copy()
    moved = Network(W, network.V + t * dV, kinks, network.active, network.projectors)
    if landing is not None:
        lands = landing[0] <= t
        if lands.any():
            moved.projectors = network.projectors.copy()
            kinks[lands] |= landing[1][lands]
            _land(Z, moved, np.flatnonzero(lands))
    values = moved.W @ Z.T
    moved.active = (values > 0) & ~kinks
    return moved


def _land(Z: Float64, network: Network, which: np.ndarray[tuple[int], np.dtype[np.int_]]) -> None:
    norms = np.linalg.norm(Z, axis=1)
    for j in which:
        project_on_kinks(network, Z, int(j))
        size = float(np.linalg.norm(network.W[j]))
        ties = (np.abs(Z @ network.W[j]) <= KINK_TOLERANCE * norms * size) & (norms > 0) & ~network.kinks[j]
        if ties.any():
            network.kinks[j] |= ties
            project_on_kinks(network, Z, int(j))
