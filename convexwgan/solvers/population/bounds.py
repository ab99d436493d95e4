"""Both bounds of the population game from any measure and any discriminator, and the best of each so far."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from convexwgan.arrays import Float64
from convexwgan.geometry.relu_sums import Maxima
from convexwgan.solvers.population.sides import Priced, Side

SMALLEST = 1e-13
PER_ROUND = 120
_NEAR_LARGEST = 0.9
_NEAR_BETA = 1e-3
Cuts = list[tuple[float, Float64]]
"""Per sign of h_X − h_μ the neurons (k, d [+ 1]) that tell the measure from the data."""


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


def without_search(side: Side, beta: float | None) -> Best:
    """Generating nothing where that is feasible, else the data themselves."""
    d, zero = side.X.shape[1], np.zeros((1, side.X.shape[1]))
    best = Best(neurons=side.first_neurons()[:0], multipliers=np.zeros(0))
    dist = float(side.excess(zero, np.ones(1), 1.0).values[0]) if d else 0.0
    dist = max(dist, float(side.excess(zero, np.ones(1), -1.0).values[0]), 0.0)
    if beta is None or dist <= beta:
        best.upper, best.atoms, best.measure = (0.0 if beta is not None else dist), zero, np.ones(1)
        if best.upper == 0.0:
            return best
    cost = side.objective(*as_atoms(side))
    if cost < best.upper:
        best.upper, (best.atoms, best.measure) = cost, as_atoms(side)
    return best


def as_atoms(side: Side) -> tuple[Float64, Float64]:
    """The data as atoms with their measure."""
    if side.has_mass:
        return side.X, side.weights
    lengths = np.linalg.norm(side.X, axis=1)
    kept = lengths > 0.0
    return side.X[kept] / lengths[kept][:, None], (side.weights * lengths)[kept]


@dataclass(frozen=True, eq=False)
class _Judged:
    """Atoms and weights without the small ones, max (h_X − h_μ) and max (h_μ − h_X), and the larger of the two."""

    atoms: Float64
    weights: Float64
    sides: list[tuple[float, Maxima]]
    dist: float


def judge(side: Side, beta: float | None, atoms: Float64, measure: Float64, on_data: float, best: Best) -> Cuts:
    """The neurons that tell Σ measure_jδ(atom_j) + on_data·μ_X from the data; a better feasible measure is kept."""
    found = _measured(side, *_gathered(side, atoms, measure, on_data))
    upper, mixed, weights = _feasible(side, beta, found, best.upper)
    if upper < best.upper:
        best.upper, best.atoms, best.measure = upper, mixed, weights
    level = _level(side, beta, found.dist)
    return [(sign, maxima.points[maxima.values > level][:PER_ROUND]) for sign, maxima in found.sides]


def _gathered(side: Side, atoms: Float64, measure: Float64, on_data: float) -> tuple[Float64, Float64]:
    """Atoms and weights of the whole measure; one atom at 0 where there are none."""
    used = measure > SMALLEST
    atoms, weights = atoms[used], measure[used]
    if on_data > SMALLEST:
        rest, share = as_atoms(side)
        atoms, weights = np.concatenate([atoms, rest]), np.concatenate([weights, on_data * share])
    if len(atoms) == 0:
        return np.zeros((1, side.X.shape[1])), np.ones(1)
    return atoms, weights / weights.sum() if side.has_mass else weights


def _measured(side: Side, atoms: Float64, weights: Float64) -> _Judged:
    sides = [(sign, side.excess(atoms, weights, sign)) for sign in (1.0, -1.0)]
    return _Judged(atoms, weights, sides, max(float(maxima.values[0]) for _, maxima in sides))


def _feasible(side: Side, beta: float | None, found: _Judged, to_beat: float) -> tuple[float, Float64, Float64]:
    """Cost, atoms and weights of the measure, mixed with the data's where it is not feasible and mixing may help."""
    upper = side.objective(found.atoms, found.weights)
    if beta is None:
        return upper + found.dist, found.atoms, found.weights
    if found.dist <= beta:
        return upper, found.atoms, found.weights
    if upper > to_beat:  # mixing makes it no cheaper
        return np.inf, found.atoms, found.weights
    t, (rest, share) = 1.0 - beta / found.dist, as_atoms(side)
    atoms = np.concatenate([found.atoms, rest])
    weights = np.concatenate([(1.0 - t) * found.weights, t * share])
    return side.objective(atoms, weights), atoms, weights


def _level(side: Side, beta: float | None, dist: float) -> float:
    """Which neurons will matter: all above β; with bias those near it too, under a norm bound those near the top."""
    if beta is None:
        return _NEAR_LARGEST * dist
    return beta * (1.0 - _NEAR_BETA) if side.has_mass else beta * (1.0 + 1e-12)


def price(side: Side, beta: float | None, neurons: Float64, multipliers: Float64, best: Best) -> Priced:
    """The atoms that pay; a better discriminator is kept."""
    used = multipliers != 0.0
    if not used.any() and not side.has_mass:
        return Priced(np.zeros((0, side.X.shape[1])), np.zeros(0), 0.0)
    U, lam = neurons[used], multipliers[used]
    priced = side.price(U, lam, beta)
    if priced.lower > best.lower:
        best.lower, best.neurons, best.multipliers = priced.lower, U, lam
    return priced
