"""The conic path: programs built with CVXPY, run by Clarabel, SCS or MOSEK; no other part imports CVXPY."""

from __future__ import annotations

from convexwgan.solvers.conic.availability import SOLVERS, SolverStatus, solver_status
from convexwgan.solvers.conic.covariance import covariance_program
from convexwgan.solvers.conic.export import export
from convexwgan.solvers.conic.line import line_program
from convexwgan.solvers.conic.mean import mean_program
from convexwgan.solvers.conic.memory import available_bytes, check_memory, predict_bytes
from convexwgan.solvers.conic.model import ConicModel
from convexwgan.solvers.conic.polynomial import phase_one, polynomial_program
from convexwgan.solvers.conic.run import ConicResult, ConicStatus, run

__all__ = [
    "SOLVERS",
    "ConicModel",
    "ConicResult",
    "ConicStatus",
    "SolverStatus",
    "available_bytes",
    "check_memory",
    "covariance_program",
    "export",
    "line_program",
    "mean_program",
    "phase_one",
    "polynomial_program",
    "predict_bytes",
    "run",
    "solver_status",
]
