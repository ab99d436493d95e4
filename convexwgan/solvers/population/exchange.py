"""Columns and cuts: the linear program over measures, closed by the exact oracles of both sides."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from convexwgan.arrays import Float64
from convexwgan.solvers.population.master import MasterPoint, Program, solve_master
from convexwgan.solvers.population.sides import Priced, Side

logger = logging.getLogger("convexwgan")

_MAX_ROUNDS = 400
_SAMPLED_ROUNDS = 20
"""Where the oracles only search, more rounds add nothing that could be proven."""
_KEPT_IDLE = 4
_PER_ROUND = 120
_SMALLEST = 1e-13


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


@dataclass(eq=False)
class Best:
    """The best measure and the best discriminator met."""

    upper: float = np.inf
    lower: float = 0.0
    atoms: Float64 | None = None
    measure: Float64 | None = None
    neurons: Float64 | None = None
    multipliers: Float64 | None = None
    rounds: int = 0
    stopped: str | None = None
    history: list[tuple[float, float]] = field(default_factory=list)

    @property
    def relative_gap(self) -> float:
        """(upper − lower)/upper."""
        return (self.upper - self.lower) / self.upper if self.upper > 0.0 else 0.0


@dataclass(frozen=True, eq=False)
class Start:
    """A measure and a discriminator from elsewhere."""

    atoms: Float64
    measure: Float64
    neurons: Float64
    multipliers: Float64


def exchange(
    side: Side,
    beta: float | None,
    tol: float,
    *,
    max_rounds: int | None = None,
    deadline: float | None = None,
    start: Start | None = None,
    callback: Callable[[float, float], None] | None = None,
) -> Best:
    """min cost(μ) s.t. |h_X − h_μ| ≤ β on all neurons [or + max|h_X − h_μ|], by columns and cuts.

    Every round solves the program on the atoms and neurons at hand, then adds all neurons that the data tell apart
    by more than β and all atoms that pay. Mixing with the data themselves, (1 − t)μ + tμ_X with t = 1 − β/dist, makes
    any μ feasible; scaling makes any λ a discriminator: both bounds hold at every round.

    Args:
        side: the game. beta: β_d in the side's units, None under a norm bound.
        tol: the relative gap to stop at. start: a measure and a discriminator to begin with.

    Returns:
        Best, with ``stopped`` where a limit was hit.
    """
    first = side.first_neurons()
    neurons, atoms = Pool.of(first), Pool.of(np.zeros((0, side.X.shape[1])))
    best, tangents = _nothing(side, beta), [0.0, 1.0]
    if start is not None:
        cuts = _judge(side, beta, start.atoms, start.measure, 0.0, best)
        _price(side, beta, start.neurons, MasterPoint(start.measure, start.multipliers, 0.0), best)
        neurons, atoms = neurons.joined(start.neurons), Pool.of(start.atoms)
        for sign, found in cuts:
            neurons = neurons.joined(found, sign)
        if best.relative_gap <= tol:
            return best
    limit = max_rounds or (_MAX_ROUNDS if side.X.shape[1] <= side.exact_dimension else _SAMPLED_ROUNDS)
    for best.rounds in range(1, limit + 1):
        point = solve_master(_program(side, beta, atoms.points, neurons, tuple(tangents)))
        if point is None:
            best.stopped = "linear_program"
            break
        measure, on_data = point.measure[1:], float(point.measure[0])
        cuts = _judge(side, beta, atoms.points, measure, on_data, best)
        priced = _price(side, beta, neurons.points, point, best)
        best.history.append((best.lower, best.upper))
        if callback is not None:
            callback(best.lower, best.upper)
        logger.debug("round %d: %.9g ≤ value ≤ %.9g", best.rounds, best.lower, best.upper)
        if best.relative_gap <= tol or (deadline is not None and time.perf_counter() > deadline):
            best.stopped = None if best.relative_gap <= tol else "time_limit"
            break
        if beta is None and side.kappa and not side.has_mass:
            tangents = [*tangents[-20:], on_data + float(measure.sum())]
        existing = side.features(atoms.points, neurons.points).T @ point.multipliers - _fixed(side, atoms.points)
        threshold = float(existing.max(initial=-np.inf)) if np.any(measure > _SMALLEST) else -np.inf
        paying = priced.atoms[priced.values > threshold + 1e-13 * np.abs(priced.values)][:_PER_ROUND]
        neurons, atoms = neurons.aged(point.multipliers), atoms.aged(np.where(measure > _SMALLEST, measure, 0.0))
        count = len(atoms.points) + len(neurons.points)
        for sign, found in cuts:
            neurons = neurons.joined(found, sign)
        atoms = atoms.joined(paying)
        if len(atoms.points) + len(neurons.points) == count:
            best.stopped = "precision"
            break
    else:
        best.stopped = "max_iter"
    return best


def _fixed(side: Side, atoms: Float64) -> Float64:
    """The part of an atom's price that pricing subtracts: its cost where the program's cost is linear."""
    return side.costs(atoms) if side.has_mass else np.zeros(len(atoms))


def _data_cost(side: Side) -> float:
    """The program's cost of the data as one atom."""
    return (
        float(side.weights @ side.costs(side.X))
        if side.has_mass
        else float(side.weights @ np.linalg.norm(side.X, axis=1))
    )


def _targets(side: Side, neurons: Float64) -> Float64:
    """h_X on each neuron."""
    return side.features(side.X, neurons) @ side.weights


def _nothing(side: Side, beta: float | None) -> Best:
    """Generating nothing where that is feasible, else the data themselves."""
    d, zero = side.X.shape[1], np.zeros((1, side.X.shape[1]))
    best = Best(neurons=side.first_neurons()[:0], multipliers=np.zeros(0))
    dist = float(side.excess(zero, np.ones(1), 1.0).values[0]) if d else 0.0
    dist = max(dist, float(side.excess(zero, np.ones(1), -1.0).values[0]), 0.0)
    if beta is None or dist <= beta:
        best.upper, best.atoms, best.measure = (0.0 if beta is not None else dist), zero, np.ones(1)
        if best.upper == 0.0:
            return best
    cost = side.objective(*_as_atoms(side))
    if cost < best.upper:
        best.upper, (best.atoms, best.measure) = cost, _as_atoms(side)
    return best


def _as_atoms(side: Side) -> tuple[Float64, Float64]:
    """The data as atoms with their measure."""
    if side.has_mass:
        return side.X, side.weights
    lengths = np.linalg.norm(side.X, axis=1)
    kept = lengths > 0.0
    return side.X[kept] / lengths[kept][:, None], (side.weights * lengths)[kept]


def _program(side: Side, beta: float | None, atoms: Float64, neurons: Pool, tangents: tuple[float, ...]) -> Program:
    """The program whose first column is the data themselves, which keeps it feasible."""
    h = _targets(side, neurons.points)
    features = np.column_stack([h, side.features(atoms, neurons.points)])
    costs = np.concatenate([[_data_cost(side)], side.costs(atoms)])
    curved = beta is None and not side.has_mass
    kappa = side.kappa if curved else None
    return Program(features, h, neurons.signs, costs, beta, side.has_mass, kappa, tangents if curved else ())


def _judge(
    side: Side, beta: float | None, atoms: Float64, measure: Float64, on_data: float, best: Best
) -> list[tuple[float, Float64]]:
    """The neurons that tell the measure from the data; a better feasible measure is kept."""
    used = measure > _SMALLEST
    rest, share = _as_atoms(side)
    mixed = np.concatenate([atoms[used], rest]) if on_data > _SMALLEST else atoms[used]
    weights = np.concatenate([measure[used], on_data * share]) if on_data > _SMALLEST else measure[used]
    if len(mixed) == 0:
        mixed, weights = np.zeros((1, atoms.shape[1])), np.ones(1)
    if side.has_mass:
        weights = weights / weights.sum()
    sides = [(sign, side.excess(mixed, weights, sign)) for sign in (1.0, -1.0)]
    dist = max(float(found.values[0]) for _, found in sides)
    upper = side.objective(mixed, weights) + (dist if beta is None else 0.0)
    if beta is not None and dist > beta:
        t = 1.0 - beta / dist
        if not upper > best.upper:  # otherwise mixing cannot help
            mixed, weights = np.concatenate([mixed, rest]), np.concatenate([(1.0 - t) * weights, t * share])
            upper = side.objective(mixed, weights)
        else:
            upper = np.inf
    if upper < best.upper:
        best.upper, best.atoms, best.measure = upper, mixed, weights
    level = dist * (1.0 - 1e-9) if beta is None else beta * (1.0 + 1e-12)
    if beta is None:  # every local maximum near the largest will matter
        level = 0.9 * dist
    if side.has_mass and beta is not None:
        level = beta * (1.0 - 1e-3)
    return [(sign, found.points[found.values > level][:_PER_ROUND]) for sign, found in sides]


def _price(side: Side, beta: float | None, neurons: Float64, point: MasterPoint, best: Best) -> Priced:
    """The atoms that pay; a better discriminator is kept."""
    used = point.multipliers != 0.0
    if not used.any() and not side.has_mass:
        return Priced(np.zeros((0, side.X.shape[1])), np.zeros(0), 0.0)
    U, lam = neurons[used], point.multipliers[used]
    priced = side.price(U, lam, beta)
    if priced.lower > best.lower:
        best.lower, best.neurons, best.multipliers = priced.lower, U, lam
    return priced
