"""Which conic solvers can run here, and the reason when one cannot."""

from __future__ import annotations

import functools
import importlib
import importlib.metadata
from dataclasses import dataclass

from convexwgan.errors import InputError, SolverUnavailableError

SOLVERS = ("CLARABEL", "SCS", "MOSEK")
_PACKAGES = {"CLARABEL": "clarabel", "SCS": "scs", "MOSEK": "mosek"}
_LICENCE_SEARCH = "it is looked for where MOSEKLM_LICENSE_FILE points, then in ~/mosek/mosek.lic"


@dataclass(frozen=True)
class SolverStatus:
    """Whether a solver can run here: ``reason`` says why not, or "ready"."""

    name: str
    usable: bool
    version: str | None
    reason: str


def canonical_name(solver: str | None) -> str:
    """The solver's name in capitals; None is Clarabel.

    Raises:
        InputError: not one of Clarabel, SCS, MOSEK.

    >>> canonical_name(None), canonical_name("scs")
    ('CLARABEL', 'SCS')
    """
    name = "CLARABEL" if solver is None else str(solver).upper()
    if name not in SOLVERS:
        remedy = "CLARABEL is the default; MOSEK needs a licence; SCS is for large programs at low accuracy"
        raise InputError("solver", solver, f"be one of {', '.join(SOLVERS)} or None", remedy)
    return name


@functools.cache
def solver_status(name: str) -> SolverStatus:
    """Probe a solver once: import it and, for MOSEK, solve a tiny program, which is what checks the licence.

    >>> solver_status("CLARABEL").usable
    True
    """
    name = canonical_name(name)
    package = _PACKAGES[name]
    try:
        importlib.import_module(package)
    except ImportError as error:
        extra = "convexwgan[mosek]" if name == "MOSEK" else package
        return SolverStatus(name, False, None, f"not importable ({error}): pip install '{extra}'")
    reason = _mosek_obstacle() if name == "MOSEK" else None
    return SolverStatus(name, reason is None, importlib.metadata.version(package), reason or "ready")


def require_solver(name: str) -> None:
    """Raise SolverUnavailableError, with the reason, where the solver cannot run; never fall back."""
    status = solver_status(name)
    if not status.usable:
        raise SolverUnavailableError(f"solver={name} cannot run here: {status.reason}.")


def _mosek_obstacle() -> str | None:
    """None where MOSEK can optimise; else its own complaint and where the licence is looked for."""
    import mosek

    try:
        with mosek.Env() as environment, environment.Task() as task:
            task.appendvars(1)
            task.putvarbound(0, mosek.boundkey.lo, 0.0, 0.0)
            task.optimize()
    except mosek.Error as error:
        return f"MOSEK has no valid licence ({' '.join(str(error.msg).split())}): {_LICENCE_SEARCH}"
    return None
