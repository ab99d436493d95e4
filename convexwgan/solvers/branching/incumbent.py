"""The best feasible samples so far: offered by descents, disturbed for new ones, reported with the lower bound."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from convexwgan.arrays import Float64
from convexwgan.geometry.rounding import rounded_measure
from convexwgan.solvers.branching.anchored import anchored
from convexwgan.solvers.convex_concave import evenly_cut, heaviest
from convexwgan.solvers.linearised_zonotopes import Target, improved

_STEPS = 60
_STARTS = 24
_LONGEST = 0.05
"""Of the time limit: what one descent may take."""
_SIZES = (0.02, 0.05, 0.1, 0.005)
"""By how much of their mean length the best samples are disturbed, in turn."""
_ANYWHERE = (0.5, 1.0, 2.0)
"""Of Σ‖x_i‖/n_f: how long samples at random are."""
Callback = Callable[[dict[str, Any]], object]


class BestSamples:
    """min ½‖G‖_F² s.t. dist ≤ β from above, in the units of ``Target``."""

    def __init__(self, target: Target, unit: float, deadline: float, callback: Callback | None) -> None:
        """``unit``: the user's value of ½‖G‖_F² = 1."""
        self.target, self.unit, self.deadline, self.callback = target, unit, deadline, callback
        self.G: Float64 | None = None
        self.cost, self.lower = np.inf, 0.0
        self._began, self._rng, self._turn = time.perf_counter(), np.random.default_rng(0), 0
        self._longest = _LONGEST * max(deadline - self._began, 0.0)

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
        """From a start, or from the best samples after a disturbance; from anywhere while there are none."""
        if start is None and self.G is None:
            start = _ANYWHERE[self._turn % len(_ANYWHERE)] * self._rng.standard_normal((self.target.n_fake, 2))
            start, self._turn = start / self.target.n_fake, self._turn + 1
        if start is None:
            assert self.G is not None
            self._turn += 1
            if self._turn % 2 and len(self.G) > 1:
                start = regrouped(self.G, self._rng)
            else:
                size = _SIZES[self._turn // 2 % len(_SIZES)] * float(np.linalg.norm(self.G, axis=1).mean())
                start = self.G + size * self._rng.standard_normal(self.G.shape)
        deadline = min(self.deadline, time.perf_counter() + self._longest)
        if not anchored(self.target, start, self.offer, self.cost, deadline):
            found = _Last()
            improved(self.target, start, found.offer, _STEPS, deadline)
            if found.G is not None:
                self.offer(found.G)
                anchored(self.target, found.G, self.offer, self.cost, deadline)

    def first(self, measure: Float64, enough: float, until: float) -> None:
        """Nothing, where that is feasible; else the data, and descents until the cost is ``enough``."""
        nothing, rows = np.zeros((self.target.n_fake, 2)), self.target.X
        if self.target.is_feasible(nothing):
            self.offer(nothing)
            return
        if len(rows) <= self.target.n_fake and self.target.is_feasible(copies := rounded_measure(rows, len(nothing))):
            self.offer(copies)
        for start in _starts(self.target, measure, self._rng):
            if self.cost <= enough or time.perf_counter() > until:
                return
            self.descend(start)


class _Last:
    """The last feasible output of one descent, which is its best."""

    G: Float64 | None = None

    def offer(self, G: Float64) -> None:
        self.G = G


def regrouped(G: Float64, rng: np.random.Generator) -> Float64:
    """Two neighbours in angle become their sum, and one sample becomes two: the short are joined, the long are cut.

    >>> regrouped(np.array([[1.0, 0.0], [1.0, 0.1], [0.0, 5.0]]), np.random.default_rng(0)).shape
    (3, 2)
    """
    n = len(G)
    G = G[np.argsort(np.arctan2(G[:, 1], G[:, 0]), kind="stable")]
    sums = G + np.roll(G, -1, axis=0)
    i = rng.choice(n, p=_shares(1.0 / (np.linalg.norm(sums, axis=1) + 1e-9 * np.abs(G).max())))
    joined = np.vstack([np.delete(G, [i, (i + 1) % n], axis=0), sums[i]])
    k = rng.choice(n - 1, p=_shares(np.linalg.norm(joined, axis=1)))
    part, aside = rng.uniform(0.3, 0.7), 0.5 * rng.uniform(0.0, 0.15) * np.array([-joined[k, 1], joined[k, 0]])
    return np.vstack([np.delete(joined, k, axis=0), part * joined[k] + aside, (1.0 - part) * joined[k] - aside])


def _shares(sizes: Float64) -> Float64:
    """Probabilities in proportion to the fourth power."""
    scaled = (sizes / sizes.max()) ** 4
    return np.asarray(scaled / scaled.sum())


def _starts(target: Target, measure: Float64, rng: np.random.Generator) -> Iterator[Float64]:
    """The measure, rounded or evenly cut, and the data; then all of these, disturbed."""
    n, X = target.n_fake, target.X
    fixed = [rounded_measure(measure, n)] if 0 < len(measure) <= n else []
    if len(measure):
        fixed += [evenly_cut(measure, n, shift) for shift in (0.75, 0.25, 0.5, 0.0)]
    fixed.append(heaviest(X, n) if len(X) > n else rounded_measure(X, n))
    yield from fixed
    for k in range(_STARTS - len(fixed)):
        base = fixed[k % len(fixed)]
        yield base + (0.1, 0.3, 1.0)[k % 3] / n * rng.standard_normal(base.shape)
