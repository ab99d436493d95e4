"""Tolerances and limits in each solver's own words; the user's own options win and are checked by the solver."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from convexwgan.errors import InputError
from convexwgan.spec import validation

DEFAULT_TOLERANCE = 1e-6
Options = dict[str, Any]


def solver_options(
    solver: str,
    *,
    tol: float | None,
    max_iter: int | None,
    time_limit: float | None,
    options: Mapping[str, Any] | None,
) -> Options:
    """The options to hand to ``solver`` (canonical name).

    Raises:
        InputError: tol or time_limit not positive, max_iter not a positive integer, unknown option.

    >>> solver_options("SCS", tol=1e-4, max_iter=10, time_limit=None, options=None)
    {'eps_abs': 0.0001, 'eps_rel': 0.0001, 'max_iters': 10}
    """
    tol = validation.positive("tol", DEFAULT_TOLERANCE if tol is None else tol, "it is the accuracy of the result")
    if max_iter is not None:
        max_iter = validation.count("max_iter", max_iter, "it is the largest number of solver iterations")
    if time_limit is not None:
        time_limit = validation.positive("time_limit", time_limit, "it is a limit in seconds")
    own = dict(options or {})
    for name in own:
        if not isinstance(name, str):
            raise InputError("name of an option", name, "be a text", "as options={'max_iter': 50}")
    if solver == "CLARABEL":
        return _clarabel(tol, max_iter, time_limit, own)
    if solver == "SCS":
        return _scs(tol, max_iter, time_limit, own)
    return _mosek(tol, max_iter, time_limit, own)


def _clarabel(tol: float, max_iter: int | None, time_limit: float | None, own: Options) -> Options:
    import clarabel

    _check_clarabel(clarabel.DefaultSettings(), own)
    # The certificate divides by small numbers: ask for more than is promised, call "almost" what is promised.
    tight = min(tol / 100, 1e-9)
    names = ("tol_gap_abs", "tol_gap_rel", "tol_feas")
    chosen: Options = dict.fromkeys(names, tight) | {f"reduced_{name}": max(tol, tight) for name in names}
    if max_iter is not None:
        chosen["max_iter"] = max_iter
    if time_limit is not None:
        chosen["time_limit"] = time_limit
    return chosen | own


def _check_clarabel(settings: Any, own: Options) -> None:
    for name, value in own.items():
        if not hasattr(settings, name) or name.startswith("_"):
            raise _unknown(name, "Clarabel", "see clarabel.DefaultSettings() for the names")
        try:
            setattr(settings, name, value)
        except (TypeError, ValueError, OverflowError, AttributeError) as error:
            default = getattr(settings, name)
            remedy = f"its default is {default!r} ({error})"
            raise InputError(f"option {name} of Clarabel", value, f"be a {type(default).__name__}", remedy) from error


def _scs(tol: float, max_iter: int | None, time_limit: float | None, own: Options) -> Options:
    chosen: Options = {"eps_abs": tol, "eps_rel": tol, "max_iters": 100_000 if max_iter is None else max_iter}
    if time_limit is not None:
        chosen["time_limit_secs"] = time_limit
    _check_scs(own)
    return chosen | own


def _check_scs(own: Options) -> None:
    """Let SCS itself judge the options, on min x s.t. x >= 0."""
    import numpy as np
    import scipy.sparse as sp
    import scs

    tiny = {"A": sp.csc_matrix([[-1.0]]), "b": np.zeros(1), "c": np.ones(1)}
    for name, value in own.items():
        try:
            scs.SCS(tiny, {"l": 1}, **({"verbose": False} | {name: value}))
        except (TypeError, ValueError, ImportError) as error:
            remedy = f"see www.cvxgrp.org/scs/api/settings.html ({error})"
            raise InputError(f"option {name} of SCS", value, "be an option of SCS, in its range", remedy) from error


def _mosek(tol: float, max_iter: int | None, time_limit: float | None, own: Options) -> Options:
    _check_mosek(own)
    names = ("DFEAS", "PFEAS", "REL_GAP", "MU_RED")
    chosen: Options = {f"MSK_DPAR_INTPNT_CO_TOL_{name}": min(tol / 100, 1e-9) for name in names}
    if max_iter is not None:
        chosen["MSK_IPAR_INTPNT_MAX_ITERATIONS"] = max_iter
    if time_limit is not None:
        chosen["MSK_DPAR_OPTIMIZER_MAX_TIME"] = time_limit
    # A run that a limit stopped has solution status "unknown"; accept_unknown keeps its iterate.
    return {"mosek_params": chosen | own, "accept_unknown": True}


def _check_mosek(own: Options) -> None:
    import mosek

    with mosek.Env() as environment, environment.Task() as task:
        for name, value in own.items():
            try:
                task.putparam(str(name), str(value))
            except mosek.Error as error:
                raise _unknown(name, "MOSEK", f"as MSK_DPAR_INTPNT_CO_TOL_REL_GAP ({error.msg})") from error


def _unknown(name: str, solver: str, remedy: str) -> InputError:
    return InputError(f"option of {solver}", name, f"be one of {solver}'s own options", remedy)
