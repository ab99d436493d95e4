"""One door to every solver: limits are checked against the method, then the last form is run."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from convexwgan.errors import InputError
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
        if method in ("closed_form", "column_generation", "convex_concave", "saddle", "global"):
            own = "the primal–dual method is its own" if method == "saddle" else "a formula needs no solver"
            own = "its programs are solved by its own method" if method in ("convex_concave", "global") else own
            for name in ("solver", "options"):
                if getattr(self, name) is not None:
                    raise InputError(
                        name,
                        getattr(self, name),
                        f'not be given for method "{method}"',
                        f'{own}; ask for method="conic"',
                    )


def run_form(
    form: Form, data: GameData, limits: Limits, callback: Callable[[dict[str, Any]], object] | None = None
) -> Candidate:
    """The candidate of a last form, by the method that runs it."""
    if form.stage is Stage.MEASURE_GAME:
        from convexwgan.solvers.population.solve import solve_population

        return solve_population(form, data, limits, callback)
    if form.stage is Stage.CONVEX_CONCAVE:
        from convexwgan.solvers.convex_concave import solve_convex_concave

        return solve_convex_concave(form, data, limits, callback)
    if form.stage is Stage.SECTOR_TREE:
        from convexwgan.solvers.branching.solve import solve_global

        return solve_global(form, data, limits, callback)
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

    start = time.perf_counter()
    candidate = solve_closed_form(form, data)
    late = limits.time_limit is not None and time.perf_counter() - start > limits.time_limit
    return candidate.having(stopped="time_limit") if late else candidate
