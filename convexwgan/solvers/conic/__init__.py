"""The conic path: programs built with CVXPY, run by Clarabel, SCS or MOSEK; no other part imports CVXPY."""

from __future__ import annotations

from convexwgan.solvers.conic.availability import SOLVERS, SolverStatus, solver_status
from convexwgan.solvers.conic.covariance import covariance_program
from convexwgan.solvers.conic.mean import mean_program
from convexwgan.solvers.conic.model import ConicModel
from convexwgan.solvers.conic.polynomial import phase_one, polynomial_program
from convexwgan.solvers.conic.run import ConicResult, ConicStatus, run

__all__ = [
    "SOLVERS",
    "ConicModel",
    "ConicResult",
    "ConicStatus",
    "SolverStatus",
    "covariance_program",
    "mean_program",
    "phase_one",
    "polynomial_program",
    "run",
    "solver_status",
]
