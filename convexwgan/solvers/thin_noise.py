"""Gaussian noise of fewer dimensions than S has rank: a feasible W by the convex–concave procedure, from above."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from convexwgan.arrays import Float64
from convexwgan.solvers.conic import run
from convexwgan.solvers.conic.normal_noise import thin_noise_program
from convexwgan.solvers.run import Limits

Look = Callable[[Float64, int], tuple[Float64, float]]
"""W and how many starts a search takes ↦ the neurons that W does not satisfy, and dist."""
_STARTS, _STEPS, _PENALTY = 3, 60, 1e2
_FEW, _MANY = 24, 200


@dataclass
class Search:
    """What the procedure knows: the neurons so far, and the cheapest W (p, d) with dist ≤ limit."""

    U: Float64
    h: Float64
    support: Callable[[Float64], Float64]
    look: Look
    limit: float
    beta: float
    limits: Limits
    deadline: float
    best: Float64 | None = None
    cost: float = np.inf

    def descend(self, W: Float64) -> None:
        """Steps from W until it stays, at a feasible place or at one that misses the constraints."""
        size = float(np.linalg.norm(W)) or 1.0
        for _ in range(_STEPS):
            if time.perf_counter() > self.deadline:
                return
            model = thin_noise_program(self.U, self.h, beta=self.beta, W0=W, penalty=_PENALTY)
            result = run(model, solver=self.limits.solver, tol=1e-8, options=self.limits.options)
            if not result.values:
                return
            before, W = W, result.values["W"]
            points, dist = self.look(W, _FEW)
            self._offer(W, dist)
            moved = float(np.linalg.norm(W - before)) / size
            if moved <= 1e-4 and (len(points) == 0 or float(result.values["t"].max(initial=0.0)) > 1e-3 * self.beta):
                return
            self.U, self.h = np.concatenate([self.U, points]), np.concatenate([self.h, self.support(points)])

    def _offer(self, W: Float64, dist: float) -> None:
        cost = float(np.vdot(W, W))
        if dist <= self.limit and cost < self.cost and self.look(W, _MANY)[1] <= self.limit:
            self.best, self.cost = W, cost


def thin_weights(search: Search, start: Float64) -> Float64 | None:
    """The cheapest W (p, d) found with dist ≤ β, or None, which proves nothing.

    Each step linearises h_X − c‖Wu‖ ≤ β at the W before it, which is stricter since ‖Wu‖ is convex, and adds the
    neurons that the new W does not satisfy. Starts: the best approximation of S, and random W of its size.
    """
    rng, size = np.random.default_rng(0), float(np.linalg.norm(start)) or 1.0
    for number in range(_STARTS):
        search.descend(start if number == 0 else size * rng.standard_normal(start.shape) / np.sqrt(start.size))
    return search.best
