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

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from convexwgan.arrays import Float64
from convexwgan.solvers.realization.hessian import newton_direction
from convexwgan.solvers.realization.state import (
    KINK_TOLERANCE,
    Integers,
    Network,
    features,
    put_on_kinks,
)

_HALVINGS = 14
_NEGLIGIBLE = 1e-12


@dataclass(frozen=True)
class SlideReport:
    """How a slide ended: iterations made, final objective, largest gradient entry relative to β·(typical weight)."""

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
    network = prune(network.balanced().copy())
    value = objective(Z, T, beta, network)
    gradient, done = 0.0, 0
    while done < max_iter and network.count:
        Phi = features(Z, network)
        E = Phi @ network.V - T
        pulls = np.where(network.active, network.V @ E.T, 0.0) @ Z + beta * network.W
        gW, gV = network.project(pulls), Phi.T @ E + beta * network.V
        scale = beta * max(float(np.sqrt(network.sizes.max())), 1e-300)
        gradient = max(float(np.abs(gW).max()), float(np.abs(gV).max())) / scale
        released = _release(Z, E, pulls, network, 10.0 * max(gradient, tol) * scale)
        if released:
            gW = network.project(pulls)
        elif gradient <= tol:
            break
        direction = newton_direction(Z, Phi, E, beta, network, gW, gV)
        step = _search(Z, T, E, beta, network, value, (gW, gV), direction)
        if step is None:
            break
        done += 1
        network, previous, value = prune(step[0]), value, step[1]
        if previous - value <= 1e-15 * abs(value) and not released:
            break
    return network.balanced(), SlideReport(done, value, gradient)


def prune(network: Network) -> Network:
    """Without the neurons whose cost is negligible beside the largest."""
    sizes = network.sizes
    alive = sizes > _NEGLIGIBLE * sizes.max(initial=0.0)
    return network if alive.all() else network.keep(alive)


def _release(Z: Float64, E: Float64, pulls: Float64, network: Network, threshold: float) -> int:
    """Free, for each neuron, the kink whose multiplier is furthest outside [0, (E v_j)_i]; how many were freed.

    On independent kink rows Z_A the stationarity Zᵀ H_j E v_j + βw_j + Z_Aᵀλ = 0 has one solution λ; moving off
    kink i upwards changes F by (E v_j)_i − λ_i a unit, downwards by λ_i. Where the rows are dependent the
    multipliers are not unique and the neuron stays: pricing finds the way out.
    """
    counts = network.kinks.sum(axis=1)
    norms = np.linalg.norm(Z, axis=1)
    released: list[int] = []
    for q in np.unique(counts[(counts > 0) & (counts < Z.shape[1])]):
        which = np.flatnonzero((counts == q) & (network.free.sum(axis=1) == Z.shape[1] - q))
        if len(which) == 0:
            continue
        rows = np.nonzero(network.kinks[which])[1].reshape(len(which), q)
        units = Z[rows] / norms[rows][:, :, None]  # (m, q, r)
        multipliers = -np.einsum("mrq,mr->mq", np.linalg.pinv(units), pulls[which])
        upper = np.einsum("mqd,md->mq", E[rows], network.V[which]) * norms[rows]
        excess = np.maximum(multipliers - upper, -multipliers)
        worst = excess.argmax(axis=1)
        for position in np.flatnonzero(excess.max(axis=1) > threshold):
            i, j = worst[position], which[position]
            network.kinks[j, rows[position, i]] = False
            network.active[j, rows[position, i]] = bool(multipliers[position, i] > upper[position, i])
            released.append(int(j))
    put_on_kinks(network, Z, np.asarray(released, dtype=np.intp))
    return len(released)


@dataclass(frozen=True)
class _Trial:
    """A step: V moves by t, w_j by reach_j ≤ t, and neuron j lands on row landing_j (−1: on none)."""

    t: float
    reach: Float64
    landing: Integers


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
    """The first trial step that lowers F enough, or None."""
    (gW, gV), (dW, dV) = gradient, direction
    inner = (gW * dW).sum(axis=1)
    slope = float(inner.sum() + np.vdot(gV, dV))
    for trial in _trials(_crossings(Z, E, network, dW), inner, slope):
        moved = _moved(Z, network, dW, dV, trial)
        new_value = objective(Z, T, beta, moved)
        if new_value <= value + 1e-4 * trial.t * slope:
            return moved, new_value
    return None


def _trials(crossings: _Crossings, inner: Float64, slope: float) -> Iterator[_Trial]:
    """The full step, each neuron landing where its own slope turns; all of them up to the crossing where the slope
    of F turns, one landing; then ½, ¼, … with and without landings."""
    k = len(inner)
    stops, rows = _own_landings(crossings, inner)
    for halving in range(_HALVINGS):
        t = 0.5**halving
        landing = np.where(stops <= t, rows, -1)
        yield _Trial(t, np.minimum(stops, t), landing)
        if halving == 0:
            yield from _joint_landing(crossings, slope)
        if (landing >= 0).any():
            yield _Trial(t, np.full(k, t), np.full(k, -1))


@dataclass(frozen=True)
class _Crossings:
    """Rows that each neuron passes on t ∈ [0, 1], by time: times (k, n), inf when not; jumps of the slope; rows."""

    times: Float64
    jumps: Float64
    rows: Integers


def _crossings(Z: Float64, E: Float64, network: Network, dW: Float64) -> _Crossings:
    Y, D = network.W @ Z.T, dW @ Z.T
    towards = np.where(network.active, D < 0, D > 0) & ~network.kinks
    times = np.where(towards, np.abs(Y) / np.where(towards, np.abs(D), 1.0), np.inf)
    times[times > 1.0] = np.inf
    jumps = np.where(times <= 1.0, (network.V @ E.T) * np.abs(D), 0.0)
    rows = np.argsort(times, axis=1)
    return _Crossings(np.take_along_axis(times, rows, axis=1), np.take_along_axis(jumps, rows, axis=1), rows)


def _own_landings(crossings: _Crossings, inner: Float64) -> tuple[Float64, Integers]:
    """For each neuron the time at which its own slope turns positive (else inf), and the row that it lands on.

    The slope is modelled as (1 − t)⟨∇_{w_j}F, δ_j⟩ + Σ_{rows passed} (E v_j)_i |z_iᵀδ_j|.
    """
    passed = np.isfinite(crossings.times)
    decay = 1.0 - np.where(passed, crossings.times, 1.0)
    slopes = np.minimum(inner, 0.0)[:, None] * decay + np.cumsum(crossings.jumps, axis=1)
    stops = passed & (slopes >= 0) & (crossings.jumps > 0)
    first, j = stops.argmax(axis=1), np.arange(len(inner))
    return np.where(stops[j, first], crossings.times[j, first], np.inf), crossings.rows[j, first]


def _joint_landing(crossings: _Crossings, slope: float) -> Iterator[_Trial]:
    """Everybody up to the crossing at which (1 − t)·slope + Σ jumps turns positive, where that one neuron lands."""
    owner, position = np.nonzero(np.isfinite(crossings.times))
    times, jumps = crossings.times[owner, position], crossings.jumps[owner, position]
    order = np.argsort(times, kind="stable")
    turned = np.flatnonzero((slope * (1.0 - times[order]) + np.cumsum(jumps[order]) >= 0) & (jumps[order] > 0))
    if len(turned):
        event = order[turned[0]]
        landing = np.full(len(crossings.times), -1)
        landing[owner[event]] = crossings.rows[owner[event], position[event]]
        yield _Trial(float(times[event]), np.full(len(landing), times[event]), landing)


def _moved(Z: Float64, network: Network, dW: Float64, dV: Float64, trial: _Trial) -> Network:
    """The network after the step; neurons that did not land may have crossed rows."""
    which = np.flatnonzero(trial.landing >= 0)
    W, V = network.W + trial.reach[:, None] * dW, network.V + trial.t * dV
    moved = Network(W, V, network.kinks, network.active, network.frames, network.free)
    if len(which):
        moved.kinks, moved.frames, moved.free = network.kinks.copy(), network.frames.copy(), network.free.copy()
        moved.kinks[which, trial.landing[which]] = True
        _land(Z, moved, which)
    moved.active = (moved.W @ Z.T > 0) & ~moved.kinks
    return moved


def _land(Z: Float64, network: Network, which: Integers) -> None:
    """Put neurons on their new kinks, with every other row that vanishes there too (parallel rows, ties)."""
    put_on_kinks(network, Z, which)
    scale = np.linalg.norm(network.W[which], axis=1)[:, None] * np.linalg.norm(Z, axis=1)[None, :]
    ties = (np.abs(network.W[which] @ Z.T) <= KINK_TOLERANCE * scale) & (scale > 0) & ~network.kinks[which]
    network.kinks[which] |= ties
    put_on_kinks(network, Z, which[ties.any(axis=1)])
