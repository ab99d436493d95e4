"""Convex–concave procedure for outputs G = FY: ReLU neurons with or without bias, both regularisations (MATH 4).

Serves every pair of sampled outputs that ``convex_concave`` does not: a bias, a norm bound, and generators whose
outputs are linear in their weights (linear, polynomial, and ReLU by Theorem 2.1).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from convexwgan.arrays import Float64
from convexwgan.solvers.feature_bounds import in_units, measure_candidate, moment_table
from convexwgan.solvers.feature_game import FeatureGame, feature_game
from convexwgan.solvers.feature_starts import data_points, starts
from convexwgan.solvers.linearised_neurons import Gaps, descend
from convexwgan.solvers.run import Limits
from convexwgan.solvers.search import Search
from convexwgan.theory.candidate import Candidate
from convexwgan.theory.data import GameData
from convexwgan.theory.forms import Form

logger = logging.getLogger("convexwgan")

Callback = Callable[[dict[str, Any]], object]

_MAX_STEPS = 200
_SHARE_OF_OUTPUT = 0.6
"""Of the time limit, where the weights of a ReLU generator come second."""


@dataclass
class _Run:
    """The best feasible point so far and what has to be reported."""

    game: FeatureGame
    lower: float
    deadline: float
    callback: Callback | None
    tol: float
    began: float
    best: Float64 | None = None
    value: float = np.inf
    steps: int = 0
    starts: int = 0

    def offer(self, Y: Float64, gaps: Gaps) -> None:
        """Keep Y, which is feasible, where it is cheaper, and say so."""
        value = self.game.value(Y, gaps)
        if self.best is None or value < self.value * (1.0 - 1e-12):
            self.best, self.value = Y, value
            if self.callback is not None:
                seconds = time.perf_counter() - self.began
                self.callback({"stage": "convex_concave", "lower": self.lower, "upper": value, "seconds": seconds})

    @property
    def is_over(self) -> bool:
        """Whether the bracket is closed or the time is up."""
        closed = self.best is not None and self.value - self.lower <= self.tol * self.value
        return closed or time.perf_counter() > self.deadline


def solve_features(
    form: Form, data: GameData, limits: Limits, callback: Callback | None = None, start: Float64 | None = None
) -> Candidate:
    """min R_g s.t. |h_X − h_G| ≤ β_d on all neurons [or + dist]: feasible weights, and two kinds of proof from below.

    Above, descents from many starts; below, the population game, whose measures contain every output, and for noise
    the semidefinite bound, whose multipliers are "H".

    Args:
        form: at the stage CONVEX_CONCAVE. start: weights on the features (G where there are none) to begin with.

    Returns:
        Candidate with weights and neurons; ``stopped`` is "interrupt" or "time_limit" where that ended it, and the
        best weights so far are returned.

    Reference:
        MATH 4.
    """
    began = time.perf_counter()
    search, game = Search.of(limits.options), feature_game(data)
    found, table, lower = _from_below(data, game, limits)
    share = _SHARE_OF_OUTPUT if form.generator.kind == "relu" else 1.0
    deadline = np.inf if limits.time_limit is None else began + share * limits.time_limit
    run = _Run(game, lower, deadline, callback, limits.tol, began)
    stopped = found.stopped if found.stopped == "interrupt" else None
    given = None if start is None else game.coordinates(start)
    points = starts(game.target, in_units(found, game.basis, game.length), given, search)
    try:
        for Y in _cheap_first(run, points):
            if run.starts and (stopped == "interrupt" or run.is_over):
                break
            run.starts += 1
            run.steps += descend(game.target, Y, run.offer, limits.max_iter or _MAX_STEPS, deadline)
            logger.debug("start %d: %.9g ≤ value ≤ %.9g", run.starts, run.lower, run.value)
    except KeyboardInterrupt:
        stopped = "interrupt"
    if stopped is None and time.perf_counter() > deadline:
        stopped = "time_limit"
    weights = None if run.best is None else game.weights(run.best)
    stats = {"steps": run.steps, "starts": run.starts, "rng": search.rng}
    stats["neurons"] = 0 if found.neurons is None else len(found.neurons.v)
    multipliers = {} if table is None else {"H": table}
    return Candidate(weights=weights, neurons=found.neurons, multipliers=multipliers, stopped=stopped, stats=stats)


def _from_below(data: GameData, game: FeatureGame, limits: Limits) -> tuple[Candidate, Float64 | None, float]:
    """The population game's candidate, the semidefinite multipliers, and the better of what the two prove."""
    found, table, lower = Candidate(), None, 0.0
    try:
        moments = moment_table(data, game.basis, game.length)
        if moments is not None:
            table, lower = moments
        found, other = measure_candidate(data, limits)
        lower = max(lower, other)
    except KeyboardInterrupt:
        found = found.having(stopped="interrupt")
    return found, table, lower


def _cheap_first(run: _Run, points: Iterable[Float64]) -> Iterable[Float64]:
    """The starts, none where generating nothing is feasible, which costs nothing; the data are offered as they are."""
    target = run.game.target
    for Y in (np.zeros(target.shape), *data_points(target)):
        gaps = target.gaps(target.output(Y))
        if target.is_feasible(gaps):
            run.offer(Y, gaps)
            if target.beta is not None and not Y.any():
                return ()
    return points
