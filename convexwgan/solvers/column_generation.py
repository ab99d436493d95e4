"""The cheapest ReLU network with a given output, by sliding column generation (Lemma C.1), and its soft form."""

from __future__ import annotations

from typing import Any

import numpy as np

from convexwgan.arrays import Array, Float64
from convexwgan.geometry.reachability import reachability
from convexwgan.solvers.realization.bundle import refine_multiplier
from convexwgan.solvers.realization.limits import Callback, Watch
from convexwgan.solvers.realization.merge import minimal_network
from convexwgan.solvers.realization.multipliers import (
    EQUALITY,
    Incumbent,
    first_incumbent,
    method_of_multipliers,
)
from convexwgan.solvers.realization.oracle import Oracle, oracle_for
from convexwgan.solvers.realization.rounds import unit_directions
from convexwgan.solvers.realization.scaling import Scaled, scaled_problem
from convexwgan.solvers.realization.soft import solve_soft
from convexwgan.solvers.realization.splitting import corrective_rounds
from convexwgan.solvers.realization.state import Network, network_at
from convexwgan.solvers.realization.types import RealizationResult, ReluNeurons

__all__ = ["range_neurons", "realize_weights", "solve_soft"]

REACHABLE = 1e-9
_BUNDLE_UNKNOWNS = 2400
_SLIDING_UNKNOWNS = 2400
_FEW_ROUNDS, _SLIDING_ROUNDS = 8, 25
_MOST_ROUNDS = 200
_NEGLIGIBLE = (1e-9, 1e-8, 1e-7, 1e-6)
_LOSS = 1e-9
_FIRST_BETA = 3.0


def realize_weights(
    Z: Array,
    G: Array,
    *,
    rng: int | np.random.Generator = 0,
    tol: float = 1e-6,
    max_iter: int | None = None,
    time_limit: float | None = None,
    callback: Callback | None = None,
    warm_start: ReluNeurons | None = None,
    pricing: str = "auto",
) -> RealizationResult:
    """The cheapest ReLU network whose output on Z is G, with the multiplier that proves how cheap.

    min Σ_j ‖v_j‖₂  s.t.  Σ_j (Zu_j)₊v_jᵀ = G,  ‖u_j‖₂ ≤ 1
    max ⟨R, G⟩      s.t.  ‖Rᵀ(Zu)₊‖₂ ≤ 1  for all ‖u‖₂ ≤ 1

    Sliding Frank–Wolfe inside the method of multipliers; where rank(Z) ≤ 4 and the sizes allow, a proximal bundle
    method on the dual closes what is left of the gap.

    Args:
        Z: latents (n, d_f), any array library; pricing by local ascent runs on its device.
        G: targets (n, d_r).
        rng: seed or Generator of the starts of local ascent.
        tol: relative gap (upper − lower)/upper at which to stop.
        max_iter: rounds.
        time_limit: seconds.
        callback: called with each line of the history; returning True stops the run.
        warm_start: neurons to begin with.
        pricing: "exact" (rank ≤ 4), "heuristic", or "auto": exact where it is affordable.

    Returns:
        RealizationResult: neurons (merged, none redundant); ``multiplier`` R (n, d_r), feasible for the pricing used;
        ``residual`` ‖ΣΦv − G‖/‖G‖; ``stopped`` "unreachable" when no network has output G (then the neurons give the
        nearest reachable output, ⟨R, G⟩ > 0 with price 0, and ‖R‖ = 1); ``stats`` with objective, lower, gap,
        is_exact, rounds.

    Raises:
        InputError: shapes, values or limits out of range; exact pricing asked for above rank 4.

    Reference: Lemma C.1 in Sahiner et al., ICLR 2022; sliding Frank–Wolfe of Denoyelle et al. 2020.

    >>> Z = np.array([[1.0, 0.0], [0.0, 1.0]])
    >>> result = realize_weights(Z, np.array([[3.0], [4.0]]))
    >>> len(result.neurons.u), round(result.neurons.cost, 6), round(result.stats["lower"], 6)
    (1, 5.0, 5.0)
    """
    watch = Watch(max_iter, time_limit, callback)
    problem = scaled_problem(Z, G)
    oracle = oracle_for(problem, Z, rng, pricing)
    reach = reachability(problem.Z, problem.G, REACHABLE)
    target = problem.G if reach.is_reachable else reach.nearest
    unit = problem.gamma / problem.zeta
    incumbent = first_incumbent(target, problem.Z.shape[1])
    if float(np.linalg.norm(target)) > 0:
        _offer_range_neurons(problem, target, incumbent)
        start = None if warm_start is None else network_at(problem.Z, *problem.reduced(warm_start))
        _close_gap(problem.Z, target, start, oracle, watch, incumbent, tol, unit)
    U, V = _reduced_network(problem.Z, target, incumbent)
    stats: dict[str, Any] = {
        "objective": float(np.linalg.norm(V, axis=1).sum()) * unit,
        "lower": incumbent.lower * unit,
        "gap": incumbent.gap,
        "is_exact": incumbent.is_exact,
        "rounds": len(watch.history),
        "seconds": watch.seconds,
    }
    R = incumbent.R
    if not reach.is_reachable:
        watch.stopped, R = "unreachable", reach.witness * (problem.zeta / float(np.linalg.norm(reach.witness)))
        stats["reason"] = reach.reason
    return _result(problem, U, V, R, watch, stats)


def range_neurons(Z: Float64, G: Float64) -> tuple[Float64, Float64] | None:
    """2k neurons for a target in range(Z): with Z⁺G = Σσ_i u_i v_iᵀ, G = Σσ_i ((Zu_i)₊ − (−Zu_i)₊) v_iᵀ; else None.

    >>> u, v = range_neurons(np.eye(2), np.array([[2.0], [0.0]]))
    >>> abs(u).round(9).tolist(), abs(v).round(9).tolist()
    ([[1.0, 0.0], [1.0, 0.0]], [[2.0], [2.0]])
    """
    W, *_ = np.linalg.lstsq(Z, G, rcond=None)
    if float(np.linalg.norm(Z @ W - G)) > EQUALITY * float(np.linalg.norm(G)):
        return None
    P, s, Qt = np.linalg.svd(W, full_matrices=False)
    kept = s > 1e-12 * s[0]
    U, V = P[:, kept].T, s[kept, None] * Qt[kept]
    return np.vstack([U, -U]), np.vstack([V, -V])


def _offer_range_neurons(problem: Scaled, G: Float64, incumbent: Incumbent) -> None:
    """Two neurons for a singular direction of Z⁺G, or for a column of the user's Z: one where that has one sign."""
    pairs = range_neurons(problem.Z, G)
    if pairs is None:
        return
    incumbent.offer_network(problem.Z, G, *pairs)
    W, *_ = np.linalg.lstsq(problem.Z, G, rcond=None)
    size = np.linalg.norm(problem.B, axis=1)
    U, V = problem.B[size > 0] / size[size > 0, None], size[size > 0, None] * (problem.B[size > 0] @ W)
    # BᵀB = I: Z'W = (Z'Bᵀ)(BW), and row i of B is where e_i points
    incumbent.offer_network(problem.Z, G, np.vstack([U, -U]), np.vstack([V, -V]))


def _close_gap(
    Z: Float64,
    G: Float64,
    start: Network | None,
    oracle: Oracle,
    watch: Watch,
    incumbent: Incumbent,
    tol: float,
    unit: float,
) -> None:
    """Sliding first; then, where it fits, the bundle from the neurons found."""
    fits = oracle.is_exact and G.size <= _BUNDLE_UNKNOWNS
    is_large = not fits and G.size > _SLIDING_UNKNOWNS
    rounds = _FEW_ROUNDS if is_large else _SLIDING_ROUNDS if fits else _MOST_ROUNDS
    network = method_of_multipliers(Z, G, start, oracle, watch, incumbent, tol, unit, rounds)
    if incumbent.is_done(tol) or watch.is_over:
        return
    if is_large:
        corrective_rounds(Z, G, unit_directions(network), oracle, watch, incumbent, tol, unit)
    if not fits:
        watch.stopped = watch.stopped or (None if incumbent.is_done(tol) else "max_iter")
        return
    bundle = np.vstack([unit_directions(network), incumbent.U])
    beta = _FIRST_BETA * incumbent.lower
    refine_multiplier(Z, G, bundle, oracle, watch, incumbent, tol, unit, beta=beta)


def _reduced_network(Z: Float64, G: Float64, incumbent: Incumbent) -> tuple[Float64, Float64]:
    """The incumbent without negligible and redundant neurons, as far as that keeps equality and cost."""
    U, V = incumbent.U, incumbent.V
    for share in _NEGLIGIBLE:
        size = np.linalg.norm(V, axis=1)
        used = size > share * size.max(initial=0.0)
        U, V = _if_as_good(Z, G, incumbent, (U[used], V[used]), (U, V))
    small = minimal_network(Z, ReluNeurons(U, V))
    return _if_as_good(Z, G, incumbent, (small.u, small.v), (U, V))


def _if_as_good(
    Z: Float64, G: Float64, incumbent: Incumbent, new: tuple[Float64, Float64], old: tuple[Float64, Float64]
) -> tuple[Float64, Float64]:
    trial = first_incumbent(G, Z.shape[1])
    trial.offer_network(Z, G, *new)
    is_equal = trial.residual <= max(incumbent.residual, EQUALITY)
    is_as_good = is_equal and trial.upper <= incumbent.upper * (1.0 + _LOSS)
    return (trial.U, trial.V) if is_as_good else old


def _result(
    problem: Scaled, U: Float64, V: Float64, R: Float64, watch: Watch, stats: dict[str, Any]
) -> RealizationResult:
    E = np.maximum(problem.Z @ U.T, 0.0) @ V - problem.G
    residual = float(np.linalg.norm(E)) / max(float(np.linalg.norm(problem.G)), 1e-300)
    neurons, multiplier = problem.neurons(U, V), problem.multiplier(R)
    return RealizationResult(neurons, multiplier, residual, watch.stopped, tuple(watch.history), stats)
