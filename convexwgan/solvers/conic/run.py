"""Run a conic model and report what the solver says: a candidate and its multipliers, never a verdict."""

from __future__ import annotations

import copy
import time
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from types import SimpleNamespace
from typing import Any

import numpy as np

from convexwgan.errors import InputError
from convexwgan.solvers.conic.availability import canonical_name, require_solver
from convexwgan.solvers.conic.model import ConicModel, Values, load_cvxpy, warnings_logged
from convexwgan.solvers.conic.options import solver_options


class ConicStatus(Enum):
    """What the solver says about its own answer."""

    OPTIMAL = "optimal"
    INACCURATE = "inaccurate"  # values, but the solver could not reach its tolerance
    INFEASIBLE = "infeasible"  # the multipliers are a ray
    UNBOUNDED = "unbounded"
    LIMIT = "limit"  # stopped by max_iter or time_limit; the values are the last iterate
    FAILED = "failed"


@dataclass(frozen=True)
class ConicResult:
    """A solver's answer in the user's units; believe it only after certificates/ has checked it.

    Attributes:
        values: primal arrays by name; empty for INFEASIBLE, UNBOUNDED and FAILED.
        multipliers: dual arrays by name (for INFEASIBLE a ray, where the solver gives one).
        objective: the primal objective at ``values``; nan where there are none.
        seconds: wall-clock time, building of the standard form included; ``solver_seconds`` without.
        stopped: "max_iter", "time_limit" or None.
        solver_status: the solver's own word.
    """

    status: ConicStatus
    values: Values
    multipliers: Values
    objective: float
    iterations: int
    seconds: float
    solver_seconds: float
    solver: str
    stopped: str | None
    solver_status: str


@dataclass(frozen=True)
class _Outcome:
    """A raw solver answer, read: how far it got, and the raw answer that CVXPY shall invert."""

    status: ConicStatus
    raw: Any
    iterations: int
    stopped: str | None
    word: str


def run(
    model: ConicModel,
    *,
    solver: str | None = None,
    tol: float | None = None,
    max_iter: int | None = None,
    time_limit: float | None = None,
    verbose: bool = False,
    options: Mapping[str, Any] | None = None,
) -> ConicResult:
    """Run ``model`` with the named solver (Clarabel unless said), never falling back to another.

    Args:
        model: from one of the builders.
        solver: CLARABEL, SCS or MOSEK, in any case of letters.
        tol: accuracy wanted of the result (default 1e-6); interior-point solvers get tighter ones.
        max_iter, time_limit: limits; the last iterate is returned with status LIMIT.
        verbose: let the solver write its log.
        options: the solver's own options, by its own names; they win over the above.

    Raises:
        InputError: unknown solver or option, or a cone that the solver does not have.
        SolverUnavailableError: not installed, or no licence.
    """
    name = canonical_name(solver)
    require_solver(name)
    own = {**(model.clarabel if name == "CLARABEL" else {}), **(options or {})}
    settings = solver_options(name, tol=tol, max_iter=max_iter, time_limit=time_limit, options=own)
    start = time.perf_counter()
    data, chain, inverse = _standard_form(model, name, settings)
    compiled = time.perf_counter()
    outcome = _outcome(model, name, chain, data, verbose, settings)
    end = time.perf_counter()
    return _result(model, name, outcome, chain, inverse, end - start, end - compiled)


def _standard_form(model: ConicModel, solver: str, settings: Mapping[str, Any]) -> tuple[Any, Any, Any]:
    cp = load_cvxpy()

    try:
        with warnings_logged():
            data, chain, inverse = model.problem.get_problem_data(solver=solver, solver_opts=dict(settings))
            return data, chain, inverse
    except cp.error.SolverError as error:
        remedy = f"take CLARABEL, which has every cone that the programs use ({error})"
        raise InputError("solver", solver, f"have the cones of the {model.name} program", remedy) from error
    except (cp.error.DCPError, cp.error.DGPError, cp.error.ParameterError) as error:
        raise InputError(f"the {model.name} program", "not convex", "follow CVXPY's rules (DCP)", str(error)) from error


def _outcome(
    model: ConicModel, name: str, chain: Any, data: Any, verbose: bool, settings: Mapping[str, Any]
) -> _Outcome:
    try:
        with warnings_logged():
            raw = chain.solve_via_data(
                model.problem, data, warm_start=False, verbose=verbose, solver_opts=copy.deepcopy(dict(settings))
            )
        return _READERS[name](raw, settings)
    except _errors(name) as error:
        return _Outcome(ConicStatus.FAILED, None, 0, None, f"{type(error).__name__}: {error}")


def _result(
    model: ConicModel, name: str, outcome: _Outcome, chain: Any, inverse: Any, seconds: float, solving: float
) -> ConicResult:
    status, values, multipliers, objective = outcome.status, {}, {}, float("nan")
    if outcome.raw is not None:
        solution = chain.invert(outcome.raw, inverse)
        model.problem.unpack(solution)
        if status is ConicStatus.INFEASIBLE:
            multipliers = _finite(model.multipliers) or {}
        elif status is not ConicStatus.UNBOUNDED:
            found, prices = _finite(model.unpack), _finite(model.multipliers)
            if found is None or prices is None:
                status = ConicStatus.FAILED
            else:
                values, multipliers = found, prices
                objective = model.value_unit * float(model.problem.objective.value)
    return ConicResult(
        status,
        values,
        multipliers,
        objective,
        outcome.iterations,
        seconds,
        solving,
        name,
        outcome.stopped,
        outcome.word,
    )


def _finite(read: Any) -> Values | None:
    """The arrays, or None where the solver left one out (CVXPY's None becomes nan) or not finite."""
    values: Values = read()
    return values if all(np.all(np.isfinite(array)) for array in values.values()) else None


def _read_clarabel(raw: Any, settings: Mapping[str, Any]) -> _Outcome:
    word = str(raw.status)
    status, stopped = {
        "Solved": (ConicStatus.OPTIMAL, None),
        "AlmostSolved": (ConicStatus.INACCURATE, None),
        "InsufficientProgress": (ConicStatus.INACCURATE, None),
        "PrimalInfeasible": (ConicStatus.INFEASIBLE, None),
        "DualInfeasible": (ConicStatus.UNBOUNDED, None),
        "MaxIterations": (ConicStatus.LIMIT, "max_iter"),
        "MaxTime": (ConicStatus.LIMIT, "time_limit"),
    }.get(word, (ConicStatus.FAILED, None))
    if status is ConicStatus.FAILED:
        return _Outcome(status, None, raw.iterations, None, word)
    if status in (ConicStatus.LIMIT, ConicStatus.INACCURATE):
        # CVXPY drops the iterate of a run that was stopped; under this word it keeps it.
        fields = ("x", "z", "obj_val", "solve_time", "iterations")
        raw = SimpleNamespace(status="AlmostSolved", **{field: getattr(raw, field) for field in fields})
    return _Outcome(status, raw, raw.iterations, stopped, word)


def _read_scs(raw: Any, settings: Mapping[str, Any]) -> _Outcome:
    info = raw["info"]
    status = {
        1: ConicStatus.OPTIMAL,
        2: ConicStatus.INACCURATE,
        -1: ConicStatus.UNBOUNDED,
        -2: ConicStatus.INFEASIBLE,
    }.get(info["status_val"], ConicStatus.FAILED)
    stopped = None
    if status is ConicStatus.INACCURATE:  # SCS says 2 exactly when a limit stopped it
        status = ConicStatus.LIMIT
        stopped = "max_iter" if info["iter"] >= settings["max_iters"] else "time_limit"
    word = str(info["status"])
    return _Outcome(status, None if status is ConicStatus.FAILED else raw, int(info["iter"]), stopped, word)


def _read_mosek(raw: Any, settings: Mapping[str, Any]) -> _Outcome:
    """CVXPY hands MOSEK the dual program: infeasible there is unbounded here, and the reverse."""
    import mosek

    task = raw["task"]
    word, iterations = task.getsolsta(mosek.soltype.itr), int(task.getintinf(mosek.iinfitem.intpnt_iter))
    limits = settings["mosek_params"]
    stopped = None
    if word == mosek.solsta.unknown:
        if iterations >= limits.get("MSK_IPAR_INTPNT_MAX_ITERATIONS", np.inf):
            stopped = "max_iter"
        elif task.getdouinf(mosek.dinfitem.optimizer_time) >= limits.get("MSK_DPAR_OPTIMIZER_MAX_TIME", np.inf):
            stopped = "time_limit"
    status = {
        mosek.solsta.optimal: ConicStatus.OPTIMAL,
        mosek.solsta.unknown: ConicStatus.INACCURATE if stopped is None else ConicStatus.LIMIT,
        mosek.solsta.prim_infeas_cer: ConicStatus.UNBOUNDED,
        mosek.solsta.dual_infeas_cer: ConicStatus.INFEASIBLE,
    }.get(word, ConicStatus.FAILED)
    return _Outcome(status, None if status is ConicStatus.FAILED else raw, iterations, stopped, str(word))


_READERS = {"CLARABEL": _read_clarabel, "SCS": _read_scs, "MOSEK": _read_mosek}


def _errors(solver: str) -> tuple[type[Exception], ...]:
    """What a solver raises when it breaks down, as opposed to when this package has a bug."""
    cp = load_cvxpy()

    if solver != "MOSEK":
        return (cp.error.SolverError, ValueError, ArithmeticError)
    import mosek

    return (cp.error.SolverError, ValueError, ArithmeticError, mosek.Error)
