"""One door to every solver: limits are checked against the method, then the last form is run."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from convexwgan.arrays import Float64
from convexwgan.errors import InputError
from convexwgan.solvers.search import Search
from convexwgan.spec.validation import count, positive
from convexwgan.theory.candidate import Candidate
from convexwgan.theory.data import GameData
from convexwgan.theory.forms import Form, Stage


@dataclass(frozen=True)
class Limits:
    """What the user asks of a run; what the chosen method cannot honour is an error, never ignored."""

    solver: str | None
    tol: float
    max_iter: int | None
    time_limit: float | None
    verbose: bool
    options: Mapping[str, Any] | None

    def after(self, seconds: float) -> Limits:
        """What is left once so much time is spent, at least a tenth: the weights of a ReLU generator come second."""
        if self.time_limit is None:
            return self
        return replace(self, time_limit=max(self.time_limit - seconds, 0.1 * self.time_limit))

    def check(self, method: str) -> None:
        """Refuse what ``method`` cannot honour.

        Raises:
            InputError: a solver or options for a closed form; limits out of range.
        """
        if self.solver is not None and not isinstance(self.solver, str):
            raise InputError("solver", self.solver, "be a name", 'for example solver="CLARABEL"')
        if self.options is not None and not isinstance(self.options, Mapping):
            raise InputError("options", self.options, "be a mapping of option names to values", "as {'max_iter': 50}")
        if self.max_iter is not None:
            count("max_iter", self.max_iter, "it limits the iterations of the solver")
        if self.time_limit is not None:
            positive("time_limit", self.time_limit, "it is a number of seconds")
        if method == "convex_concave":
            Search.of(self.options)
        if method in ("closed_form", "column_generation", "convex_concave", "saddle", "global"):
            own = "the primal–dual method is its own" if method == "saddle" else "a formula needs no solver"
            is_own = method in ("convex_concave", "global")
            own = "its quadratic programs are solved by its own method" if is_own else own
            remedy = "leave it out" if is_own else 'ask for method="conic"'
            for name in ("solver",) if method == "convex_concave" else ("solver", "options"):
                if getattr(self, name) is not None:
                    raise InputError(
                        name,
                        getattr(self, name),
                        f'not be given for method "{method}"',
                        f"{own}; {remedy}",
                    )


def run_form(
    form: Form,
    data: GameData,
    limits: Limits,
    callback: Callable[[dict[str, Any]], object] | None = None,
    start: Float64 | None = None,
) -> Candidate:
    """The candidate of a last form, by the method that runs it; ``start``: weights that a search may begin with."""
    if form.stage is Stage.MEASURE_GAME:
        from convexwgan.solvers.population.solve import solve_population

        return solve_population(form, data, limits, callback)
    if form.stage is Stage.CONVEX_CONCAVE:
        return _run_convex_concave(form, data, limits, callback, start)
    if form.stage is Stage.GAUSSIAN_PROGRAM:
        from convexwgan.solvers.normal_noise import solve_normal_noise

        return solve_normal_noise(form, data, limits, callback)
    if form.stage is Stage.LINE_CONES:
        from convexwgan.solvers.line_cones import solve_line_cones

        return solve_line_cones(form, data, limits, callback)
    if form.stage is Stage.SECTOR_TREE:
        from convexwgan.solvers.branching.solve import solve_global

        return solve_global(form, data, limits, callback, start)
    if form.method == "conic":
        from convexwgan.solvers.conic_forms import solve_conic_form

        return solve_conic_form(form, data, limits)
    if form.method == "saddle":
        from convexwgan.solvers.saddle import solve_saddle

        return solve_saddle(form, data, limits)
    if form.stage is Stage.JOINT_WEIGHTS:
        from convexwgan.solvers.joint_weights import solve_joint_weights

        return solve_joint_weights(form, data, limits, callback)
    from convexwgan.solvers.closed_form import solve_closed_form

    began = time.perf_counter()
    candidate = solve_closed_form(form, data)
    late = limits.time_limit is not None and time.perf_counter() - began > limits.time_limit
    return candidate.having(stopped="time_limit") if late else candidate


def _run_convex_concave(
    form: Form,
    data: GameData,
    limits: Limits,
    callback: Callable[[dict[str, Any]], object] | None,
    start: Float64 | None,
) -> Candidate:
    """Zonotopes where neurons have no bias and outputs are free under weight decay; features for every other pair."""
    if form.is_free and not form.discriminator.bias and not form.discriminator.norm_bound:
        from convexwgan.solvers.convex_concave import solve_convex_concave

        return solve_convex_concave(form, data, limits, callback, start)
    from convexwgan.solvers.feature_descent import solve_features

    return solve_features(form, data, limits, callback, start)
