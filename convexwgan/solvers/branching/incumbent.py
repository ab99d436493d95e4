"""The best feasible samples so far: offered by descents, disturbed for new ones, reported with the lower bound."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from convexwgan.arrays import Float64
from convexwgan.geometry.rounding import rounded_measure
from convexwgan.solvers.convex_concave import evenly_cut, heaviest
from convexwgan.solvers.linearised_zonotopes import Target, improved

_STEPS = 60
_SIZES = (0.02, 0.05, 0.1)
"""By how much of their mean length the best samples are disturbed, in turn."""
Callback = Callable[[dict[str, Any]], object]


class BestSamples:
    """min ½‖G‖_F² s.t. dist ≤ β from above, in the units of ``Target``."""

    def __init__(self, target: Target, unit: float, deadline: float, callback: Callback | None) -> None:
        """``unit``: the user's value of ½‖G‖_F² = 1."""
        self.target, self.unit, self.deadline, self.callback = target, unit, deadline, callback
        self.G: Float64 | None = None
        self.cost, self.lower = np.inf, 0.0
        self._began, self._rng, self._turn = time.perf_counter(), np.random.default_rng(0), 0

    def offer(self, G: Float64) -> None:
        """Keep G, which is feasible, where it is cheaper."""
        cost = 0.5 * float(np.sum(G * G))
        if cost < self.cost * (1.0 - 1e-12):
            self.G, self.cost = G, cost
            self.report(self.lower)

    def report(self, lower: float) -> None:
        """Both bounds to the user's callback."""
        self.lower = min(max(lower, self.lower), self.cost)
        if self.callback is not None:
            bounds = {"lower": self.lower * self.unit, "upper": self.cost * self.unit}
            self.callback({"stage": "global", **bounds, "seconds": time.perf_counter() - self._began})

    def descend(self, start: Float64 | None) -> None:
        """From a start, or from the best samples after a disturbance."""
        if start is None:
            if self.G is None:
                return
            size = _SIZES[self._turn % len(_SIZES)] * float(np.linalg.norm(self.G, axis=1).mean())
            self._turn += 1
            start = self.G + size * self._rng.standard_normal(self.G.shape)
        improved(self.target, start, self.offer, _STEPS, self.deadline)

    def first(self, measure: Float64, enough: float, until: float) -> None:
        """Nothing, where that is feasible; else the measure and the data as starts, until the cost is ``enough``."""
        nothing = np.zeros((self.target.n_fake, 2))
        if self.target.is_feasible(nothing):
            self.offer(nothing)
            return
        for start in _starts(self.target, measure):
            if self.G is not None and (self.cost <= enough or time.perf_counter() > until):
                return
            if time.perf_counter() > self.deadline:
                return
            self.descend(start)


def _starts(target: Target, measure: Float64) -> Iterator[Float64]:
    """The measure, rounded or evenly cut, then the data."""
    n, X = target.n_fake, target.X
    if 0 < len(measure) <= n:
        yield rounded_measure(measure, n)
    if len(measure):
        yield from (evenly_cut(measure, n, shift) for shift in (0.0, 0.25, 0.5, 0.75))
    yield heaviest(X, n) if len(X) > n else rounded_measure(X, n)
