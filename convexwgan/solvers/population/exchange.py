"""Columns and cuts: the linear program over measures, closed by the exact oracles of both sides."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from convexwgan.arrays import Float64
from convexwgan.solvers.population.bounds import PER_ROUND, SMALLEST, Best, Cuts, judge, price, without_search
from convexwgan.solvers.population.master import MasterPoint, Program, solve_master
from convexwgan.solvers.population.sides import Priced, Side

logger = logging.getLogger("convexwgan")

_MAX_ROUNDS = 400
_SAMPLED_ROUNDS = 20
"""Where the oracles only search, more rounds add nothing that could be proven."""
_KEPT_IDLE = 3
_TANGENTS = 20


@dataclass(eq=False)
class Pool:
    """Atoms or neurons with their side of the cut, and for how many rounds each has been idle."""

    points: Float64
    signs: Float64
    idle: Float64

    @classmethod
    def of(cls, points: Float64, signs: Float64 | None = None) -> Pool:
        return cls(points, np.ones(len(points)) if signs is None else signs, np.zeros(len(points)))

    def aged(self, used: Float64) -> Pool:
        """The pool without what was idle for too long."""
        idle = np.where(used != 0.0, 0.0, self.idle + 1.0)
        kept = idle < _KEPT_IDLE
        return Pool(self.points[kept], self.signs[kept], idle[kept])

    def joined(self, points: Float64, sign: float = 1.0) -> Pool:
        return Pool(
            np.concatenate([self.points, points]),
            np.concatenate([self.signs, np.full(len(points), sign)]),
            np.concatenate([self.idle, np.zeros(len(points))]),
        )


@dataclass(frozen=True, eq=False)
class Start:
    """A measure and a discriminator from elsewhere."""

    atoms: Float64
    measure: Float64
    neurons: Float64
    multipliers: Float64


@dataclass(eq=False)
class _State:
    """The game, the atoms and neurons at hand, and the tangents τ_i of the cost under a norm bound."""

    side: Side
    beta: float | None
    best: Best
    atoms: Pool
    neurons: Pool
    tangents: tuple[float, ...] = (0.0, 1.0)

    @property
    def size(self) -> int:
        """How many atoms and neurons there are."""
        return len(self.atoms.points) + len(self.neurons.points)

    def cut(self, cuts: Cuts) -> None:
        """Add neurons."""
        for sign, points in cuts:
            self.neurons = self.neurons.joined(points, sign)


def exchange(
    side: Side,
    beta: float | None,
    tol: float,
    *,
    max_rounds: int | None = None,
    deadline: float | None = None,
    starts: Iterable[Start] = (),
    callback: Callable[[float, float], None] | None = None,
) -> Best:
    """min cost(μ) s.t. |h_X − h_μ| ≤ β on all neurons [or + max|h_X − h_μ|], by columns and cuts.

    Every round solves the program on the atoms and neurons at hand, then adds all neurons that the data tell apart
    by more than β and all atoms that pay. Mixing with the data themselves, (1 − t)μ + tμ_X with t = 1 − β/dist, makes
    any μ feasible; scaling makes any λ a discriminator: both bounds hold at every round.

    Args:
        side: the game. beta: β_d in the side's units, None under a norm bound.
        tol: the relative gap to stop at. starts: measures and discriminators to begin with, until one closes the gap.

    Returns:
        Best, with ``stopped`` where a limit was hit.
    """
    state = _State(side, beta, without_search(side, beta), _no_atoms(side), Pool.of(side.first_neurons()))
    best, limit = state.best, max_rounds or _default_rounds(side)
    if _is_closed_by(state, starts, tol):
        return best
    for best.rounds in range(1, limit + 1):
        reason = _round(state, np.inf if deadline is None else deadline - time.perf_counter(), callback)
        if best.relative_gap <= tol:
            return best
        if deadline is not None and time.perf_counter() > deadline:
            reason = "time_limit"
        if reason is not None:
            best.stopped = reason
            return best
    best.stopped = "max_iter"
    return best


def _default_rounds(side: Side) -> int:
    return _MAX_ROUNDS if side.X.shape[1] <= side.exact_dimension else _SAMPLED_ROUNDS


def _no_atoms(side: Side) -> Pool:
    return Pool.of(np.zeros((0, side.X.shape[1])))


def _is_closed_by(state: _State, starts: Iterable[Start], tol: float) -> bool:
    """Judge the starts, keep the atoms and neurons of the last one; whether the gap is closed."""
    side, beta, best = state.side, state.beta, state.best
    neurons, is_closed = state.neurons, best.relative_gap <= tol
    for start in starts if not is_closed else ():
        state.atoms, state.neurons = Pool.of(start.atoms), neurons.joined(start.neurons)
        state.cut(judge(side, beta, start.atoms, start.measure, 0.0, best))
        price(side, beta, start.neurons, start.multipliers, best)
        if best.relative_gap <= tol:
            return True
    return is_closed


def _round(state: _State, seconds: float, callback: Callable[[float, float], None] | None) -> str | None:
    """One program of at most so many seconds, both oracles, new atoms and neurons; why to stop after it, or None."""
    side, beta, best = state.side, state.beta, state.best
    point = solve_master(_program(state), seconds)
    if point is None:
        return "linear_program"
    measure, on_data = point.measure[1:], float(point.measure[0])
    cuts = judge(side, beta, state.atoms.points, measure, on_data, best)
    priced = price(side, beta, state.neurons.points, point.multipliers, best)
    best.history.append((best.lower, best.upper))
    if callback is not None:
        callback(best.lower, best.upper)
    logger.debug("round %d: %.9g ≤ value ≤ %.9g", best.rounds, best.lower, best.upper)
    if beta is None and not side.has_mass:
        state.tangents = (*state.tangents[-_TANGENTS:], on_data + float(measure.sum()))
    paying = _paying(state, point, priced)
    state.neurons = state.neurons.aged(point.multipliers)
    state.atoms = state.atoms.aged(np.where(measure > SMALLEST, measure, 0.0))
    before = state.size
    state.cut(cuts)
    state.atoms = state.atoms.joined(paying)
    return "precision" if state.size == before else None


def _paying(state: _State, point: MasterPoint, priced: Priced) -> Float64:
    """Atoms with a better price than all at hand."""
    side, atoms = state.side, state.atoms.points
    if not np.any(point.measure[1:] > SMALLEST):
        return priced.atoms[:PER_ROUND]
    fixed = side.costs(atoms) if side.has_mass else 0.0  # pricing subtracts a cost that is linear in the measure
    best = float((side.features(atoms, state.neurons.points).T @ point.multipliers - fixed).max())
    return priced.atoms[priced.values > best + 1e-13 * np.abs(priced.values)][:PER_ROUND]


def _program(state: _State) -> Program:
    """The program whose first column is the data themselves, which keeps it feasible."""
    side, beta, atoms, neurons = state.side, state.beta, state.atoms.points, state.neurons
    h = side.features(side.X, neurons.points) @ side.weights
    features = np.column_stack([h, side.features(atoms, neurons.points)])
    costs = np.concatenate([[_data_cost(side)], side.costs(atoms)])
    is_curved = beta is None and not side.has_mass
    kappa = side.kappa if is_curved else None
    tangents = state.tangents if is_curved else ()
    return Program(features, h, neurons.signs, costs, beta, side.has_mass, kappa, tangents)


def _data_cost(side: Side) -> float:
    """The program's cost of the data as one atom."""
    return (
        float(side.weights @ side.costs(side.X))
        if side.has_mass
        else float(side.weights @ np.linalg.norm(side.X, axis=1))
    )
