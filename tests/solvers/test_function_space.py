"""Function-space training: it reaches p_d below its stability bound and not above, for every row of the table."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

from convexwgan.errors import InputError
from convexwgan.solvers.function_space import StabilityWarning, function_space, primal_dual_bound
from convexwgan.spec.divergence import NAMES, Divergence

P = np.array([0.35, 0.0, 0.15, 0.1, 0.4])


def total_variation(p: Any, q: Any) -> float:
    return float(np.abs(np.asarray(p) - np.asarray(q)).sum()) / 2


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("share", [0.3, 0.9])
def test_dual_method_reaches_the_data_below_the_stability_bound(name: str, share: float) -> None:
    d = Divergence.named(name)
    run = function_space(P, d, step=share * d.stability_bound(P))
    assert run.converged
    assert total_variation(run.generated, P) <= 1e-6
    assert run.total_variation[-1] == total_variation(run.generated, P)


@pytest.mark.parametrize("name", NAMES)
def test_dual_method_does_not_settle_above_the_stability_bound(name: str) -> None:
    d = Divergence.named(name)
    near = P * (1 + 1e-6 * np.array([1.0, 0.0, -1.0, 1.0, -1.0]))
    with pytest.warns(StabilityWarning, match="does not contract"):
        run = function_space(P, d, step=1.1 * d.stability_bound(P), start=near, n_iter=2000)
    assert not run.converged
    assert run.total_variation[-1] > 100 * total_variation(near, P)


@pytest.mark.parametrize("name", NAMES)
def test_primal_dual_method_reaches_the_data_below_its_bound_and_not_above(name: str) -> None:
    d = Divergence.named(name)
    run = function_space(P, d, method="primal-dual", n_iter=20_000)
    assert run.converged
    assert total_variation(run.generated, P) <= 1e-6
    slope, alpha = float(d.df1(np.array([d.optimum]))[0]) ** 2, d.stability_bound(P) / 2
    eta = 4 / (2 * (d.stability_factor * slope / 2) * P.max() + alpha * slope)
    assert primal_dual_bound(P, d, eta) == pytest.approx(alpha)
    stable = function_space(P, d, method="primal-dual", step=alpha, primal_step=0.9 * eta)
    assert total_variation(stable.generated, P) <= 1e-6
    with pytest.warns(StabilityWarning):
        beyond = function_space(P, d, method="primal-dual", step=alpha, primal_step=1.1 * eta, n_iter=2000)
    assert not beyond.converged
    assert beyond.total_variation[-1] > 1e-4


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("method", ["dual", "primal-dual"])
def test_mass_moves_to_points_where_the_generator_started_with_none(name: str, method: Any) -> None:
    start = np.eye(5)[1]  # all of it where there is no data: f₁ = −∞ elsewhere for five rows
    run = function_space(P, Divergence.named(name), method=method, start=start, n_iter=30_000)
    assert total_variation(run.generated, P) <= 1e-6
    assert np.all(np.isfinite(run.trajectory))


def test_diminishing_steps_converge_and_averages_follow() -> None:
    d = Divergence.named("least-squares")
    run = function_space(P, d, schedule="diminishing", step=d.stability_bound(P), n_iter=4000)
    assert total_variation(run.generated, P) <= 1e-6
    assert 0 < total_variation(run.averaged, P) < 0.05


def test_averages_of_an_oscillating_run_are_closer_than_its_iterates() -> None:
    d = Divergence.named("kullback-leibler")
    with pytest.warns(StabilityWarning):
        run = function_space(P, d, step=1.3 * d.stability_bound(P), n_iter=4000)
    assert total_variation(run.averaged, P) < 0.5 * run.total_variation[-1]


def test_trajectory_begins_at_the_start_and_ends_at_the_result() -> None:
    run = function_space(P, Divergence.named("pearson"), n_iter=7, start=P[::-1])
    np.testing.assert_array_equal(run.trajectory[0], P[::-1])
    np.testing.assert_array_equal(run.trajectory[-1], run.generated)
    assert run.trajectory.shape == (8, 5)
    assert run.recorded[-1] == run.iterations == 7


def test_stable_steps_do_not_warn() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run = function_space(np.array([1.0]), Divergence.named("hellinger"))
    assert run.generated[0] == pytest.approx(1.0, abs=1e-9)


def test_custom_divergence_runs_through_its_bisected_best_response() -> None:
    row = Divergence.named("kullback-leibler")
    own = Divergence.custom(row.f0, row.f1, 1.0, domain=row.domain, derivatives=(row.df0, row.df1))
    run = function_space(np.array([0.6, 0.4]), own, n_iter=200, tol=1e-9)
    assert total_variation(run.generated, [0.6, 0.4]) <= 1e-6


@pytest.mark.parametrize(
    "options",
    [
        {"method": "primal"},
        {"schedule": "never"},
        {"step": -1.0},
        {"step": float("nan")},
        {"primal_step": 1.0},
        {"n_iter": 0},
        {"tol": 0.0},
        {"start": np.ones(3)},
        {"start": -P},
        {"start": P * np.nan},
        {"clip": (0.6, 0.9)},
        {"clip": (0.0, 1.0)},
        {"clip": 0.5},
    ],
)
def test_bad_settings_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        function_space(P, Divergence.named("jensen-shannon"), **options)


def test_wasserstein_without_penalty_has_no_function_space_method() -> None:
    with pytest.raises(InputError, match="ε > 0"):
        function_space(P, Divergence.named("wasserstein", epsilon=0.0))
