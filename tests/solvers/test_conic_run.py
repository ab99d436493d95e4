"""Running a conic model: solvers, limits, options, failures."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest

from convexwgan.errors import InputError, SolverUnavailableError
from convexwgan.solvers.conic import SOLVERS, ConicStatus, covariance_program, mean_program, run, solver_status
from convexwgan.solvers.conic import availability as availability_module
from convexwgan.solvers.conic.model import ConicModel
from convexwgan.spec.regularizer import Regularizer


def model() -> ConicModel:
    return covariance_program(np.diag([4.0, 3.0, 1.0]), beta=1.5, strength=1.25)


def expected() -> float:
    return 1.25 / 2 * (2.5 + 1.5)  # (β_g/2) Σ(σ − β)₊


@pytest.mark.parametrize("name", [None, "CLARABEL", "clarabel", "Clarabel"])
def test_clarabel_is_the_default_and_its_name_may_be_in_any_case(name):
    result = run(model(), solver=name)
    assert result.solver == "CLARABEL"
    assert result.status is ConicStatus.OPTIMAL
    assert result.objective == pytest.approx(expected(), rel=1e-8)
    assert result.iterations > 0
    assert result.seconds >= result.solver_seconds > 0
    assert result.stopped is None


def test_scs_agrees_loosely():
    result = run(model(), solver="scs")
    assert result.solver == "SCS"
    assert result.status is ConicStatus.OPTIMAL
    assert result.objective == pytest.approx(expected(), rel=1e-3)
    R = result.multipliers["R"]
    assert np.sum(R * np.diag([4.0, 3.0, 1.0])) - 1.5 * np.abs(np.linalg.eigvalsh(R)).sum() == pytest.approx(
        expected(), rel=1e-3
    )


@pytest.mark.parametrize("name", ["ECOS", "", "mosek ", 3])
def test_unknown_solver_is_refused_with_the_names_that_work(name):
    with pytest.raises(InputError, match="CLARABEL, SCS, MOSEK"):
        run(model(), solver=name)


@pytest.mark.parametrize("solver", ["CLARABEL", "SCS"])
def test_iteration_limit_returns_the_last_iterate(solver):
    result = run(model(), solver=solver, max_iter=2)
    assert result.status is ConicStatus.LIMIT
    assert result.stopped == "max_iter"
    assert result.iterations <= 2
    assert result.values["S"].shape == (3, 3)
    assert np.isfinite(result.objective)


@pytest.mark.parametrize("solver", ["CLARABEL", "SCS"])
def test_time_limit_returns_the_last_iterate(solver):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 12))
    big = covariance_program(X.T @ X, beta=5.0, strength=1.0)
    result = run(big, solver=solver, time_limit=1e-6, tol=1e-12)
    assert result.status is ConicStatus.LIMIT
    assert result.stopped == "time_limit"


@pytest.mark.parametrize(
    ("argument", "value"),
    [("tol", 0.0), ("tol", float("nan")), ("max_iter", 0), ("max_iter", 1.5), ("time_limit", -1.0)],
)
def test_limits_out_of_range_are_refused(argument, value):
    with pytest.raises(InputError, match=argument):
        run(model(), **{argument: value})


@pytest.mark.parametrize("solver", ["CLARABEL", "SCS"])
@pytest.mark.parametrize("options", [{"no_such_option": 1}, {"verbose": "loud"}, {"eps_abs": -1.0, "max_iter": "many"}])
def test_options_that_the_solver_does_not_know_are_refused(solver, options):
    with pytest.raises(InputError, match="option"):
        run(model(), solver=solver, options=options)


def test_own_options_win_over_the_general_ones():
    limited = run(model(), max_iter=50, options={"max_iter": 1})
    assert limited.stopped == "max_iter"
    assert limited.iterations == 1
    assert run(model(), solver="SCS", max_iter=10**5, options={"max_iters": 3}).iterations == 3


def test_tighter_tolerance_takes_more_iterations():
    loose = run(model(), solver="SCS", tol=1e-2)
    tight = run(model(), solver="SCS", tol=1e-8)
    assert loose.iterations < tight.iterations


def test_infeasible_mean_matching_is_reported_as_infeasible():
    program = mean_program(
        np.ones(2), np.zeros(3), beta=0.5, regularizer=Regularizer.weights(1.0), mass=3.0, weight=1.0
    )
    for solver in ("CLARABEL", "SCS"):
        result = run(program, solver=solver)
        ray = result.multipliers["y"]
        assert result.status is ConicStatus.INFEASIBLE
        assert not result.values
        assert ray @ np.ones(2) - 0.5 * np.linalg.norm(ray) > 0


def test_unbounded_program_is_reported_as_unbounded():
    import cvxpy as cp

    x = cp.Variable(name="x")
    unbounded = ConicModel("test", cp.Problem(cp.Minimize(x), [x <= 1]), {"x": x}, dict, dict)
    assert run(unbounded).status is ConicStatus.UNBOUNDED


def test_numerical_breakdown_is_a_status_and_not_a_traceback():
    program = covariance_program(np.full((2, 2), np.nan), beta=None, strength=1.0, natural=True)
    result = run(program)
    assert result.status is ConicStatus.FAILED
    assert not result.values


def test_cone_that_the_solver_lacks_is_refused(monkeypatch):
    import cvxpy as cp

    def unsupported(*args, **kwargs):
        raise cp.error.SolverError("no such cone")

    program = model()
    monkeypatch.setattr(program.problem, "get_problem_data", unsupported)
    with pytest.raises(InputError, match="have the cones"):
        run(program, solver="SCS")


def test_insufficient_accuracy_is_not_called_optimal():
    result = run(model(), tol=1e-9, options={"tol_gap_abs": 0.0, "tol_gap_rel": 0.0, "tol_feas": 0.0})
    assert result.status is ConicStatus.INACCURATE
    assert result.objective == pytest.approx(expected(), rel=1e-6)


# ------------------------------------------------------------------------------------ availability


@pytest.mark.parametrize("name", ["CLARABEL", "SCS"])
def test_required_solvers_are_usable(name):
    status = solver_status(name)
    assert status.usable
    assert status.version is not None
    assert status.reason == "ready"


def test_every_solver_has_a_status_with_a_reason():
    assert [solver_status(name).name for name in SOLVERS] == list(SOLVERS)
    assert all(solver_status(name).reason for name in SOLVERS)


def test_missing_mosek_names_the_extra(monkeypatch):
    monkeypatch.setitem(availability_module._PACKAGES, "MOSEK", "no_such_package_mosek")
    status = solver_status.__wrapped__("MOSEK")
    assert not status.usable
    assert "convexwgan[mosek]" in status.reason


@pytest.mark.skipif(importlib.util.find_spec("mosek") is None, reason="mosek is not installed")
def test_unlicensed_mosek_says_where_the_licence_is_looked_for_and_never_falls_back():
    status = solver_status("MOSEK")
    if status.usable:
        assert run(model(), solver="mosek").objective == pytest.approx(expected(), rel=1e-6)
        return
    assert "MOSEKLM_LICENSE_FILE" in status.reason
    assert "~/mosek/mosek.lic" in status.reason
    with pytest.raises(SolverUnavailableError, match="MOSEKLM_LICENSE_FILE"):
        run(model(), solver="mosek")


@pytest.mark.skipif(importlib.util.find_spec("mosek") is None, reason="mosek is not installed")
def test_mosek_options_are_checked_by_mosek():
    from convexwgan.solvers.conic.options import solver_options

    limits = {"tol": 1e-6, "max_iter": 7, "time_limit": 3.0}
    options = solver_options("MOSEK", options={"MSK_IPAR_NUM_THREADS": 1}, **limits)
    assert options["mosek_params"]["MSK_IPAR_INTPNT_MAX_ITERATIONS"] == 7
    assert options["mosek_params"]["MSK_DPAR_OPTIMIZER_MAX_TIME"] == 3.0
    with pytest.raises(InputError, match="MSK_IPAR_NONSENSE"):
        solver_options("MOSEK", options={"MSK_IPAR_NONSENSE": 1}, **limits)
