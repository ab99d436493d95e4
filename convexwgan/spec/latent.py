"""Latent noise: a population (``Latent.normal``) or a sample of it that remembers its recipe (``draw``)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from convexwgan.arrays import Float64
from convexwgan.errors import InputError
from convexwgan.spec import validation

Rng = int | np.random.Generator


@dataclass(frozen=True)
class Latent:
    """The distribution of the noise; use the constructor ``normal``.

    >>> Latent.normal(3).draw(2, rng=0).array.shape
    (2, 3)
    """

    kind: Literal["normal"]
    dim: int

    def __post_init__(self) -> None:
        if self.kind != "normal":
            raise InputError("kind of Latent", self.kind, "be normal", "use Latent.normal(dim)")
        object.__setattr__(
            self, "dim", validation.count("dim of Latent.normal", self.dim, "it is the latent dimension d_f")
        )

    @classmethod
    def normal(cls, dim: int) -> Latent:
        """z ~ N(0, I) in ``dim`` dimensions; as a population it needs ``normalize="mean"``."""
        return cls("normal", dim)

    def sample(self, n: int, rng: Rng) -> Float64:
        """``n`` fresh draws, shape (n, dim), by NumPy, so that every device gets the same noise.

        Raises:
            MemoryLimitError: more of them than the machine can hold.
        """
        n = validation.count("n of Latent.sample", n, "it is the number of samples")
        validation.within_memory("n × dim of Latent.sample", n, self.dim)
        return as_rng(rng).standard_normal((n, self.dim))

    def draw(self, n: int, rng: Rng) -> DrawnNoise:
        """A sampled Z, shape (n, dim), that remembers its recipe."""
        seed = int(rng) if isinstance(rng, (int, np.integer)) and not isinstance(rng, bool) else None
        return DrawnNoise(self.sample(n, rng), self, seed)

    def __repr__(self) -> str:
        return f"Latent.normal({self.dim})"

    def __str__(self) -> str:
        return f"z ~ N(0, I_{self.dim})"

    def _repr_latex_(self) -> str:
        return rf"$z \sim \mathcal{{N}}(0, I_{{{self.dim}}})$"


@dataclass(frozen=True, eq=False)
class DrawnNoise:
    """A sampled Z with the recipe it was drawn by; ``seed`` is None when a Generator object was given."""

    array: Float64
    latent: Latent
    seed: int | None

    @property
    def shape(self) -> tuple[int, ...]:
        """(n_f, d_f)."""
        return self.array.shape

    def __array__(
        self, dtype: object = None, copy: bool | None = None
    ) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
        return np.array(self.array, dtype=dtype, copy=copy)  # type: ignore[call-overload, no-any-return]


def as_rng(rng: Rng) -> np.random.Generator:
    """An int seed or a Generator as a Generator; anything else is refused.

    >>> int(as_rng(0).integers(10))
    8
    """
    given: Any = rng
    if isinstance(given, np.random.Generator):
        return given
    if isinstance(given, (int, np.integer)) and not isinstance(given, bool) and int(given) >= 0:
        return np.random.default_rng(int(given))
    raise InputError("rng", rng, "be a whole number >= 0 or a numpy.random.Generator", "give a seed, as rng=0")
