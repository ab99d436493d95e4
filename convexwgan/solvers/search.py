"""How a search over many starts is to be run: its seed and how many starts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from convexwgan.errors import InputError
from convexwgan.spec.validation import count

NAMES = ("rng", "starts")


@dataclass(frozen=True)
class Search:
    """``options`` of the method "convex_concave".

    Attributes:
        rng: seed of the random starts, a whole number, which a generator gives.
        starts: how many starts; None for the method's own number.

    >>> Search.of({"rng": 3})
    Search(rng=3, starts=None)
    """

    rng: int = 0
    starts: int | None = None

    @classmethod
    def of(cls, options: Mapping[str, Any] | None) -> Search:
        """The search that ``options`` describe.

        Raises:
            InputError: an unknown name, a seed that is no whole number ≥ 0, or no start at all.
        """
        given = dict(options or {})
        for name in given:
            if name not in NAMES:
                raise InputError("options", name, "be rng or starts", 'as {"rng": 1, "starts": 40}')
        seed = given.get("rng", 0)
        if isinstance(seed, np.random.Generator):
            seed = int(seed.integers(2**32))
        if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
            raise InputError(
                "options['rng']", seed, "be a whole number >= 0 or a numpy Generator", "it seeds the random starts"
            )
        starts = given.get("starts")
        if starts is not None:
            starts = count("options['starts']", starts, "it is the number of starts of the descent")
        return cls(int(seed), starts)

    def generator(self) -> np.random.Generator:
        """A fresh generator of this seed."""
        return np.random.default_rng(self.rng)
