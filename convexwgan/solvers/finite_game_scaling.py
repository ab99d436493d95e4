"""Units for finite games: the program that a conic solver sees has distances, features and outputs of size one."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from convexwgan.arrays import Float64
from convexwgan.spec.divergence import Divergence
from convexwgan.spec.finite_discriminator import (
    FeatureDiscriminator,
    FiniteDiscriminator,
    LipschitzDiscriminator,
    NeuronDiscriminator,
)

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class FiniteGameData:
    """p_d (n,), f₀ and f₁, the class, the generator's support (n,), and p_g where it is given."""

    p_data: Float64
    divergence: Divergence
    discriminator: FiniteDiscriminator | None
    support: Bools
    against: Float64 | None = None


@dataclass(frozen=True)
class Units:
    """D = ``output`` D', and each part of the class = ``parts[name]`` times the scaled part (broadcast)."""

    output: float
    parts: dict[str, Float64]

    def undo(self, values: dict[str, Float64]) -> dict[str, Float64]:
        """The values in the user's units; multipliers have the same in both."""
        units = {"D": np.asarray(self.output)} | self.parts
        return {name: array * units.get(name, np.asarray(1.0)) for name, array in values.items()}


def scaled(game: FiniteGameData) -> tuple[FiniteGameData, Units]:
    """The same game in units of its own, with how to undo them.

    Features and points are divided by their sizes. For Wasserstein outputs have no unit of their own: with D = uD'
    and ε' = εu both f₀ and f₁ are u times those of D', and all multipliers stay.

    >>> metric = LipschitzDiscriminator.of_points([[0.0], [1e6]])
    >>> ones, both = np.full(2, 0.5), np.ones(2, dtype=bool)
    >>> small, units = scaled(FiniteGameData(ones, Divergence.named("wasserstein", epsilon=0.0), metric, both))
    >>> units.output, float(small.discriminator.distances.max()), small.discriminator.constant
    (1000000.0, 1.0, 1.0)
    """
    size = _size(game.discriminator)
    unit = _unit(game.divergence, _reach(game.discriminator, size))
    divergence = game.divergence
    if divergence.epsilon:
        divergence = Divergence.named("wasserstein", epsilon=divergence.epsilon * unit)
    discriminator, parts = _scaled_class(game.discriminator, size, unit)
    return replace(game, divergence=divergence, discriminator=discriminator), Units(unit, parts)


def _size(discriminator: FiniteDiscriminator | None) -> float:
    match discriminator:
        case LipschitzDiscriminator(distances=table) | FeatureDiscriminator(features=table):
            return float(np.abs(table).max()) or 1.0
        case NeuronDiscriminator():
            return float(np.abs(discriminator.points).max()) or 1.0
    return 1.0


def _power(discriminator: NeuronDiscriminator) -> int:
    return 2 if discriminator.discriminator.kind == "quadratic" else 1


def _reach(discriminator: FiniteDiscriminator | None, size: float) -> float:
    """The size of D that the class allows."""
    match discriminator:
        case LipschitzDiscriminator(constant=L):
            return L * size
        case FeatureDiscriminator(bound=bound) if bound is not None:
            return bound * size
        case NeuronDiscriminator(bound=B):
            return float(B * size ** _power(discriminator))
    return np.inf


def _unit(divergence: Divergence, reach: float) -> float:
    if divergence.name != "wasserstein":
        return 1.0
    unit = min(reach, 1 / (4 * divergence.epsilon) if divergence.epsilon else np.inf)
    return unit if np.isfinite(unit) else 1.0


def _scaled_class(
    discriminator: FiniteDiscriminator | None, size: float, unit: float
) -> tuple[FiniteDiscriminator | None, dict[str, Float64]]:
    match discriminator:
        case LipschitzDiscriminator(distances=d, constant=L):
            return LipschitzDiscriminator(d / size, L * size / unit), {}
        case FeatureDiscriminator(features=features, bound=None):
            sizes = np.abs(features).max(axis=0)
            sizes = np.where(sizes > 0, sizes, 1.0)
            return FeatureDiscriminator(features / sizes), {"w": unit / sizes}
        case FeatureDiscriminator(features=features, bound=bound):
            return FeatureDiscriminator(features / size, (bound or 0.0) * size / unit), {"w": np.asarray(unit / size)}
        case NeuronDiscriminator():
            return _scaled_neurons(discriminator, size, unit)
    return None, {}


def _scaled_neurons(
    discriminator: NeuronDiscriminator, size: float, unit: float
) -> tuple[NeuronDiscriminator, dict[str, Float64]]:
    """Neurons of the points over ``size``; a bias is one more coordinate, of size 1: it keeps the points' unit."""
    if discriminator.discriminator.bias:  # (x, 1) scales as a whole only
        return discriminator, {}
    bound = discriminator.bound * size ** _power(discriminator) / unit
    weight = np.asarray(unit / size)
    free = np.full(max(discriminator.free_features.shape[1], 1), unit)
    if discriminator.discriminator.skip:
        free[1 if discriminator.intercept else 0 :] /= size
    parts = {"w": weight, "a": weight, "b": weight, "free": free}
    parts |= {"Q_plus": np.asarray(unit / size**2), "Q_minus": np.asarray(unit / size**2)}
    return replace(discriminator, points=discriminator.points / size, bound=bound), parts
