"""The second problem of a ReLU generator as a run: a network for the output, and a multiplier that bounds its weights.

    min ½(‖W₁‖_F² + ‖W₂‖_F²)  s.t.  (NW₁)₊W₂ = G            max ⟨R, G⟩  s.t.  ‖Rᵀ(Nu)₊‖₂ ≤ 1 for ‖u‖₂ ≤ 1

rank(N) ≤ 4: column generation with exact pricing, or the semidefinite program ("conic"). Above: column generation by
local ascent for the network, the doubly nonnegative relaxation of pricing for the multiplier.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from convexwgan.arrays import Float64
from convexwgan.errors import InputError, MemoryLimitError, SolveError
from convexwgan.geometry.arrangements import cell_count_formula, enumerate_cells
from convexwgan.geometry.cones import MAX_RANK, triangulate
from convexwgan.geometry.reachability import reachability
from convexwgan.geometry.spectra import latent_spectrum
from convexwgan.solvers.column_generation import REACHABLE, realize_weights
from convexwgan.solvers.realization.merge import minimal_network
from convexwgan.solvers.realization.splitting import basis_pursuit
from convexwgan.solvers.realization.types import ReluNeurons
from convexwgan.solvers.run import Limits

logger = logging.getLogger("convexwgan")

DEFAULT_SECONDS = 60.0
"""Where no time limit is given: exact pricing stops here; above rank 4 network and bound share it."""
EQUAL = 1e-7
"""A relative residual below this counts as the target reached when networks are compared."""
_SHARES = (0.3, 0.4)
_MAX_CELLS = 300_000
_MOST_ROWS, _MOST_PAIRS = 2500, 600
_LEAST_SECONDS = 0.05

Callback = Callable[[dict[str, Any]], object]


@dataclass(frozen=True, eq=False)
class WeightCandidate:
    """A network and a multiplier R with the evidence of its price; unproven, ``certificates/`` judges them.

    ``evidence``: level, D, N_aa, N_bb, N_ab of ``solvers.conic.ki_pricing``, empty where pricing is exact.
    """

    neurons: ReluNeurons
    multiplier: Float64 | None
    method: str
    evidence: dict[str, Float64] = field(default_factory=dict)
    stopped: str | None = None
    stats: dict[str, Any] = field(default_factory=dict)


def solve_weights(
    N: Float64,
    G: Float64,
    limits: Limits,
    *,
    method: str = "column_generation",
    start: ReluNeurons | None = None,
    callback: Callback | None = None,
    with_bound: bool = True,
) -> WeightCandidate:
    """The cheapest network found with output G on the network input N, and a multiplier for the lower bound.

    Args:
        N: network input, shape (n, d_f [+ 1]). G: target, shape (n, d_r).
        limits: tolerance, rounds, seconds (60 where none are given), verbose (rounds are logged).
        method: "column_generation", or "conic" for the semidefinite program (rank(N) ≤ 4).
        start: neurons to begin with; kept where nothing cheaper is found.
        callback: told {"stage": "realization", "lower", "upper", "seconds", …} each round; lower is 0 and upper inf
            until they are known. Returning True stops the run.
        with_bound: whether the relaxation of pricing is wanted above rank 4; ``with_relaxed_bound`` adds it later.

    Raises:
        InputError: "conic" above rank 4.
        MemoryLimitError: "conic" with more cones than fit.

    Reference:
        Sahiner et al. 2022, Lemma C.1; MATH 2.4.

    >>> limits = Limits(None, 1e-6, None, None, False, None)
    >>> found = solve_weights(np.eye(2), np.array([[3.0], [4.0]]), limits)
    >>> len(found.neurons.u), round(found.neurons.cost, 6)
    (1, 5.0)
    """
    if not N.any() and not G.any():  # zero noise has one output, 0, and rank 0 has no neurons to price
        nothing = ReluNeurons(np.zeros((0, N.shape[1])), np.zeros((0, G.shape[1])))
        return WeightCandidate(nothing, np.zeros_like(G), method)
    if method == "conic":
        return _by_semidefinite_program(N, G, limits)
    is_exact = _is_exact(N)
    seconds = limits.time_limit or DEFAULT_SECONDS
    if not is_exact:
        seconds *= _SHARES[0]
    result = realize_weights(
        N,
        G,
        tol=limits.tol,
        max_iter=limits.max_iter,
        time_limit=seconds,
        callback=_told(callback, limits.verbose),
        warm_start=start,
    )
    found = WeightCandidate(result.neurons, result.multiplier, method, {}, result.stopped, dict(result.stats))
    if result.stopped == "unreachable":
        return found
    found = _with_better_network(N, G, found, start)
    return with_relaxed_bound(N, G, found, limits) if with_bound else found


def network_neurons(W1: Float64, W2: Float64) -> ReluNeurons:
    """(W₁, W₂) as neurons: u_j = w_{1j}/‖w_{1j}‖, v_j = ‖w_{1j}‖ w_{2j}; dead ones left out."""
    lengths = np.linalg.norm(W1, axis=0)
    alive = (lengths > 0) & (np.linalg.norm(W2, axis=1) > 0)
    return ReluNeurons((W1 / np.where(alive, lengths, 1.0)).T[alive], (W2 * lengths[:, None])[alive])


def relative_residual(N: Float64, G: Float64, neurons: ReluNeurons) -> float:
    """‖(NU)₊V − G‖_F/‖G‖_F."""
    return float(np.linalg.norm(neurons.output(N) - G)) / max(float(np.linalg.norm(G)), 1e-300)


def _is_exact(N: Float64) -> bool:
    """Whether the cells can be enumerated, by solver and judge alike."""
    rank = latent_spectrum(N).rank
    return rank <= MAX_RANK and cell_count_formula(len(N), max(rank, 1)) <= _MAX_CELLS


def _told(callback: Callback | None, verbose: bool) -> Callback:
    """The rounds of column generation as reports of bounds that hold: an estimated price proves no lower bound."""

    def report(line: dict[str, Any]) -> object:
        upper = line["upper"] if line["residual"] <= EQUAL else math.inf
        told = {**line, "stage": "realization", "lower": line["lower"] if line["is_exact"] else 0.0, "upper": upper}
        if verbose:
            text = (
                "realization %(iteration)d: %(lower).8g ≤ weights ≤ %(upper).8g, %(neurons)d neurons, %(seconds).1f s"
            )
            logger.info(text, told)
        return None if callback is None else callback(told)

    return report


# ---- networks ----------------------------------------------------------------------------------------------------


def _with_better_network(N: Float64, G: Float64, found: WeightCandidate, start: ReluNeurons | None) -> WeightCandidate:
    """The start where it is cheaper; a network of many neurons where neither has the output G."""
    options = [found.neurons] + ([] if start is None else [minimal_network(N, start)])
    reached = [option for option in options if relative_residual(N, G, option) <= EQUAL]
    if not reached and G.any() and len(N) <= _MOST_ROWS:
        options.append(minimal_network(N, spanning_network(N, G)))
    best = min(options, key=lambda option: _rank_of(N, G, option))
    if best is found.neurons:
        return found
    return replace(found, neurons=best, stats={**found.stats, "objective": best.cost})


def _rank_of(N: Float64, G: Float64, neurons: ReluNeurons) -> tuple[bool, float]:
    """By cost among networks with output G, before all others by residual."""
    miss = relative_residual(N, G, neurons)
    return (False, neurons.cost) if miss <= EQUAL else (True, miss)


def spanning_network(N: Float64, G: Float64) -> ReluNeurons:
    """A network with output G over the directions ±n_i and as many random ones: least Σ‖v_j‖ by basis pursuit.

    >>> Z = np.array([[1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
    >>> bool(relative_residual(Z, np.eye(3), spanning_network(Z, np.eye(3))) < 1e-9)
    True
    """
    draws = np.random.default_rng(0).standard_normal((len(N), N.shape[1]))
    rows = np.vstack([N, -N, draws @ np.linalg.pinv(N) @ N])
    lengths = np.linalg.norm(rows, axis=1)
    U = rows[lengths > 0] / lengths[lengths > 0, None]
    Phi = np.maximum(N @ U.T, 0.0)
    V, *_ = np.linalg.lstsq(Phi, G, rcond=1e-12)
    pursued, _ = basis_pursuit(Phi, G, V)
    options = [ReluNeurons(U, V), ReluNeurons(U, pursued)]
    return min(options, key=lambda option: _rank_of(N, G, option))


# ---- bounds above rank 4 -----------------------------------------------------------------------------------------


def with_relaxed_bound(N: Float64, G: Float64, found: WeightCandidate, limits: Limits) -> WeightCandidate:
    """The multiplier of the doubly nonnegative relaxation, with the evidence of its price; none beyond 2500 rows.

    The candidate itself where pricing is exact, or the semidefinite program ran.
    """
    if found.method == "conic" or found.stopped == "unreachable" or not G.any() or not N.any() or _is_exact(N):
        return found
    from convexwgan.solvers.conic.ki_pricing import weight_bound

    if len(N) > _MOST_ROWS:
        return replace(found, stats={**found.stats, "bound": "triangle inequalities"})
    begin, seconds = time.perf_counter(), (limits.time_limit or DEFAULT_SECONDS) * _SHARES[1]
    steps = 200 if limits.max_iter is None else min(limits.max_iter, 200)
    pairs = len(N) <= _MOST_PAIRS
    try:
        bound = weight_bound(N, G, pairs=pairs, max_iter=steps, time_limit=max(seconds, _LEAST_SECONDS))
    except (MemoryLimitError, SolveError) as error:
        return replace(found, stats={**found.stats, "bound": f"triangle inequalities: {error}"})
    spent = time.perf_counter() - begin
    stopped = found.stopped or ("time_limit" if spent >= seconds else None)
    stats = {"bound": "doubly nonnegative relaxation", "bound_seconds": spent, "pairs": pairs}
    evidence = {name: np.asarray(part, dtype=np.float64) for name, part in bound.price.evidence.items()}
    return replace(
        found, multiplier=bound.multiplier, evidence=evidence, stopped=stopped, stats={**found.stats, **stats}
    )


# ---- rank ≤ 4, one program ---------------------------------------------------------------------------------------


def _by_semidefinite_program(N: Float64, G: Float64, limits: Limits) -> WeightCandidate:
    """The exact semidefinite program of MATH 2.4 and the neurons of its solution."""
    from convexwgan.solvers.conic.ki_neurons import neurons_from_sdp
    from convexwgan.solvers.conic.ki_norm import ki_program
    from convexwgan.solvers.conic.run import run

    rank = latent_spectrum(N).rank
    if rank > MAX_RANK:
        must = f'be "auto" or "column_generation" for noise of rank {rank} > {MAX_RANK}'
        raise InputError("method", "conic", must, "the semidefinite program of the weights is exact up to rank 4 only")
    reach = reachability(N, G, REACHABLE)
    if not G.any() or not N.any() or not reach.is_reachable:  # no program needed, or none feasible
        return replace(solve_weights(N, G, limits), method="conic")
    cones = triangulate(enumerate_cells(N))
    result = run(
        ki_program(N, G, cones),
        solver=limits.solver,
        tol=limits.tol,
        max_iter=limits.max_iter,
        time_limit=limits.time_limit,
        verbose=limits.verbose,
        options=limits.options,
    )
    stats = {"solver": result.solver, "solver_status": result.solver_status, "iterations": result.iterations}
    stats |= {"objective": result.objective, "cones": len(cones)}
    if not result.values:
        network, stopped = spanning_network(N, G), result.stopped or result.status.value
        return WeightCandidate(minimal_network(N, network), None, "conic", {}, stopped, stats)
    neurons = minimal_network(N, neurons_from_sdp(result.values, cones, N, G))
    return WeightCandidate(neurons, result.multipliers["R"], "conic", {}, result.stopped, stats)
