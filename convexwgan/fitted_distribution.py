"""A solved distribution: atoms with probabilities, the population limit of a free generator."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from convexwgan.arrays import Array, Float64, like, namespace, to_numpy64
from convexwgan.errors import InputError
from convexwgan.fitted import FittedGenerator
from convexwgan.geometry.moments import Moments
from convexwgan.spec.latent import Latent, Rng, as_rng
from convexwgan.spec.validation import count


@dataclass(frozen=True, eq=False)
class FittedDistribution(FittedGenerator):
    """The distribution ν/N_f = Σ_k p_kδ(g_k) of a solved population game.

    Attributes:
        atoms: g_k as rows, (k, d_r).
        weights: probabilities p_k, (k,), of sum 1.
        mass: N_f = n_f under sums, 1 under means.
    """

    atoms: Array = field(default_factory=lambda: np.zeros((1, 1)))
    mass: float = 1.0

    def __call__(self, Z: Array) -> Array:
        """Raises InputError: a distribution is no function of noise."""
        remedy = "use .atoms and .weights, or .sample(n, rng)"
        raise InputError("Z of Generator.distribution", Z, "not be given", remedy)

    @property
    def output(self) -> Array:
        """Raises InputError: a distribution has no samples of its own."""
        remedy = "use .atoms and .weights, .moments, or .sample(n, rng)"
        raise InputError("output of the distribution", None, "be asked of a generator with samples", remedy)

    @property
    def table(self) -> Float64:
        """[atoms | probabilities], shape (k, d_r + 1): the form that certificates read."""
        return np.column_stack([to_numpy64(self.atoms), to_numpy64(self.weights)])

    @property
    def moments(self) -> Moments:
        """Mass, s = N_f Σ p_kg_k and S = N_f Σ p_kg_kg_kᵀ."""
        G, p = to_numpy64(self.atoms), to_numpy64(self.weights)
        return Moments(self.mass, self.mass * (p @ G), self.mass * (G.T * p) @ G)

    def sample(self, n: int, rng: Rng, latent: Latent | None = None) -> Any:
        """``n`` atoms drawn with their probabilities, shape (n, d_r); a DataFrame when the data came as one.

        Raises:
            InputError: noise was given.
        """
        n = count("n of sample", n, "it is the number of samples")
        if latent is not None:
            raise InputError("latent of sample", latent, "not be given for a distribution", "it takes no noise")
        p = to_numpy64(self.weights)
        rows = as_rng(rng).choice(len(p), size=n, p=p / p.sum())
        xp = namespace(self.atoms)
        return self._as_table(xp.take(self.atoms, like(self.atoms, rows, dtype=xp.int64), axis=0))
