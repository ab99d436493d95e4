"""The two players of the population game: what atoms and neurons look like, and the exact oracle of each side.

Both games are solved in units where the data's size is 1 and masses are 1. Without bias an atom is a direction θ of
the sphere and its cost 1; with bias it is a point g and its cost (κ/2)‖g‖², and the weights sum to 1 (MATH 4).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from convexwgan.arrays import Float64
from convexwgan.geometry.relu_planes import affine_maxima, lifted, quadratic_maxima
from convexwgan.geometry.relu_sums import Maxima, relu_sum, sphere_maxima


@dataclass(frozen=True, eq=False)
class Priced:
    """Atoms that pay, the largest of their values, and the lower bound that the multipliers prove."""

    atoms: Float64
    values: Float64
    lower: float


class Side(Protocol):
    """What the exchange loop asks of a game."""

    @property
    def X(self) -> Float64: ...
    @property
    def weights(self) -> Float64: ...
    @property
    def kappa(self) -> float: ...
    @property
    def has_mass(self) -> bool: ...
    @property
    def exact_dimension(self) -> int: ...
    def features(self, atoms: Float64, neurons: Float64) -> Float64: ...
    def costs(self, atoms: Float64) -> Float64: ...
    def objective(self, atoms: Float64, measure: Float64) -> float: ...
    def first_neurons(self) -> Float64: ...
    def excess(self, atoms: Float64, measure: Float64, sign: float) -> Maxima: ...
    def price(self, neurons: Float64, multipliers: Float64, beta: float | None) -> Priced: ...


@dataclass(frozen=True, eq=False)
class Directions:
    """No bias: μ on the sphere, cost (κ/2)μ(S)²; Σ_i w_i‖x_i‖ = 1."""

    X: Float64
    weights: Float64
    kappa: float = 1.0
    has_mass: bool = False
    exact_dimension: int = 3

    def features(self, atoms: Float64, neurons: Float64) -> Float64:
        return np.maximum(neurons @ atoms.T, 0.0)

    def costs(self, atoms: Float64) -> Float64:
        return np.ones(len(atoms))

    def objective(self, atoms: Float64, measure: Float64) -> float:
        return 0.5 * self.kappa * float(measure.sum()) ** 2

    def first_neurons(self) -> Float64:
        d = self.X.shape[1]
        return np.concatenate([sphere_maxima(self.X, self.weights).points[:40], np.eye(d), -np.eye(d)])

    def excess(self, atoms: Float64, measure: Float64, sign: float) -> Maxima:
        rows = np.concatenate([self.X, atoms])
        return sphere_maxima(rows, sign * np.concatenate([self.weights, -measure]))

    def price(self, neurons: Float64, multipliers: Float64, beta: float | None) -> Priced:
        found = sphere_maxima(neurons, multipliers)
        gain = float(multipliers @ relu_sum(self.X, self.weights, neurons))
        variation = float(np.abs(multipliers).sum())
        top = max(float(found.values[0]), 0.0)
        slope, most = (gain - beta * variation, np.inf) if beta is not None else (gain, 1.0 / max(variation, 1e-300))
        return Priced(found.points, found.values, best_scaled(slope, top**2 / self.kappa, most))


def best_scaled(slope: float, curvature: float, most: float) -> float:
    """max of s·slope − s²·curvature/2 over 0 ≤ s ≤ most."""
    if slope <= 0.0:
        return 0.0
    s = min(slope / curvature, most) if curvature > 0.0 else most
    return s * slope - 0.5 * s * s * curvature if np.isfinite(s) else 0.0


@dataclass(frozen=True, eq=False)
class Points:
    """With bias: ν on ℝ^d of mass 1, cost (κ/2)∫‖g‖²dν; max‖x_i‖ = 1, Σw_i = 1."""

    X: Float64
    weights: Float64
    kappa: float = 1.0
    has_mass: bool = True
    exact_dimension: int = 2

    def features(self, atoms: Float64, neurons: Float64) -> Float64:
        return np.maximum(neurons @ lifted(atoms).T, 0.0)

    def costs(self, atoms: Float64) -> Float64:
        return np.asarray(0.5 * self.kappa * np.einsum("ij,ij->i", atoms, atoms))

    def objective(self, atoms: Float64, measure: Float64) -> float:
        return float(measure @ self.costs(atoms))

    def first_neurons(self) -> Float64:
        d = self.X.shape[1]
        U = np.concatenate([np.eye(d), -np.eye(d)])
        return np.concatenate([np.column_stack([U, np.full(2 * d, b)]) for b in (0.0, 1.0)])

    def excess(self, atoms: Float64, measure: Float64, sign: float) -> Maxima:
        rows = np.concatenate([self.X, atoms])
        return affine_maxima(rows, sign * np.concatenate([self.weights, -measure]))

    def price(self, neurons: Float64, multipliers: Float64, beta: float | None) -> Priced:
        found = quadratic_maxima(neurons, multipliers, self.kappa)
        gain = float(multipliers @ relu_sum(lifted(self.X), self.weights, neurons))
        variation = float(np.abs(multipliers).sum())
        paid = gain - (0.0 if beta is None else beta * variation)
        if beta is None and variation > 1.0:
            return Priced(
                found.points,
                found.values,
                0.0 if variation > 1.0 + 1e-6 else (paid - float(found.values[0])) / variation,
            )
        return Priced(found.points, found.values, max(paid - float(found.values[0]), 0.0))
