"""Restricted discriminators on a finite support: Lipschitz on a metric, linear in features, the package's neurons."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from convexwgan.arrays import Float64, as_samples, to_numpy64
from convexwgan.errors import InputError
from convexwgan.spec import validation
from convexwgan.spec.discriminator import Discriminator


@dataclass(frozen=True, eq=False)
class LipschitzDiscriminator:
    """Every D with |D_i − D_j| ≤ L·d_ij: Wasserstein's discriminators.

    Args:
        distances: d_ij ≥ 0, shape (n, n), symmetric, zero diagonal; the triangle inequality is not needed.
        constant: L > 0.

    Raises:
        InputError: not such a table.

    >>> LipschitzDiscriminator.of_points([[0.0], [3.0]]).distances
    array([[0., 3.],
           [3., 0.]])
    """

    distances: Float64 = field(repr=False)
    constant: float = 1.0

    def __post_init__(self) -> None:
        subject = "distances of LipschitzDiscriminator"
        d = to_numpy64(as_samples(self.distances, subject))
        if d.shape[0] != d.shape[1]:
            raise InputError(subject, d, "be square", "d_ij is the distance of points i and j of the support")
        size = float(d.max())
        if float(d.min()) < 0 or np.any(np.diag(d) != 0) or float(np.abs(d - d.T).max()) > 1e-12 * size:
            raise InputError(subject, d, "be ≥ 0, symmetric and zero on the diagonal", "see scipy.spatial.distance")
        object.__setattr__(self, "distances", (d + d.T) / 2)
        L = validation.strength("constant of LipschitzDiscriminator", self.constant, "it is the Lipschitz constant L")
        object.__setattr__(self, "constant", L)

    @classmethod
    def of_points(cls, points: Any, constant: float = 1.0) -> LipschitzDiscriminator:
        """Euclidean distances between the rows of ``points``, shape (n, d)."""
        X = to_numpy64(as_samples(points, "points"))
        return cls(np.linalg.norm(X[:, None, :] - X[None, :, :], axis=2), constant)

    @property
    def size(self) -> int:
        """The number of points of the support."""
        return len(self.distances)

    def __str__(self) -> str:
        return f"|D_i − D_j| ≤ {self.constant:g}·d_ij"


@dataclass(frozen=True, eq=False)
class FeatureDiscriminator:
    """Every D = Φw, with ‖w‖₂ ≤ B where a bound is given: moment matching.

    A constant is available only if a column of Φ holds one.

    Args:
        features: Φ, shape (n, k).
        bound: B > 0, or None for any w.

    >>> str(FeatureDiscriminator(np.eye(3)))
    'D = Φw, Φ (3, 3)'
    """

    features: Float64 = field(repr=False)
    bound: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "features", to_numpy64(as_samples(self.features, "features of FeatureDiscriminator")))
        object.__setattr__(self, "bound", _bound("FeatureDiscriminator", self.bound, "‖w‖₂ ≤ B"))

    @property
    def size(self) -> int:
        """The number of points of the support."""
        return len(self.features)

    def __str__(self) -> str:
        ball = "" if self.bound is None else f", ‖w‖₂ ≤ {self.bound:g}"
        return f"D = Φw, Φ {self.features.shape}{ball}"


@dataclass(frozen=True, eq=False)
class NeuronDiscriminator:
    """The package's two-layer discriminators: D(x) = c + Σ_j σ(xᵀu_j) v_j, ‖u_j‖ ≤ 1, Σ|v_j| ≤ B, any width.

    Args:
        points: the support, shape (n, d).
        discriminator: linear, quadratic (with or without skip) or relu (with or without bias), ``norm_bound=True``.
        bound: B > 0.
        intercept: whether the free constant c is there; without it D* is out of reach unless D* = 0.

    Raises:
        InputError: weight decay or a polynomial activation; a bad bound.

    >>> str(NeuronDiscriminator([[1.0], [2.0]], Discriminator.quadratic(norm_bound=True), bound=3.0))
    'D(x) = c + Σ_j (xᵀu_j)² v_j, Σ|v_j| ≤ 3'
    """

    points: Float64 = field(repr=False)
    discriminator: Discriminator
    bound: float = 1.0
    intercept: bool = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "points", to_numpy64(as_samples(self.points, "points of NeuronDiscriminator")))
        given: Any = self.discriminator
        if not isinstance(given, Discriminator) or given.kind == "polynomial" or not given.norm_bound:
            must = "be Discriminator.linear, .quadratic or .relu with norm_bound=True"
            raise InputError("discriminator of NeuronDiscriminator", given, must, "bound= scales its ball Σ|v_j| ≤ B")
        B = validation.strength("bound of NeuronDiscriminator", self.bound, "it is B in Σ|v_j| ≤ B")
        object.__setattr__(self, "bound", B)
        validation.flag("intercept of NeuronDiscriminator", self.intercept, "True adds a free constant")

    @property
    def size(self) -> int:
        """The number of points of the support."""
        return len(self.points)

    @property
    def inputs(self) -> Float64:
        """The points, with a column of ones where the neurons have a bias, shape (n, d) or (n, d+1)."""
        return np.column_stack([self.points, np.ones(self.size)]) if self.discriminator.bias else self.points

    @property
    def free_features(self) -> Float64:
        """What costs nothing: the constant and the skip connection, shape (n, 0), (n, 1), (n, d) or (n, d+1)."""
        columns = [np.ones((self.size, 1))] if self.intercept else []
        columns += [self.points] if self.discriminator.skip else []
        return np.hstack([np.empty((self.size, 0)), *columns])

    def __str__(self) -> str:
        sigma = {"linear": "xᵀu_j", "quadratic": "(xᵀu_j)²", "relu": "(xᵀu_j)₊"}[self.discriminator.kind]
        sigma = "(xᵀu_j + b_j)₊" if self.discriminator.bias else sigma
        rest = " + xᵀq" if self.discriminator.skip else ""
        return f"D(x) = {'c + ' if self.intercept else ''}Σ_j {sigma} v_j{rest}, Σ|v_j| ≤ {self.bound:g}"


FiniteDiscriminator = LipschitzDiscriminator | FeatureDiscriminator | NeuronDiscriminator


def _bound(name: str, bound: float | None, meaning: str) -> float | None:
    return None if bound is None else validation.strength(f"bound of {name}", bound, f"it is B in {meaning}")
