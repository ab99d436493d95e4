"""Arguments of solve, path and options: what the chosen path cannot honour is an error."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from convexwgan import Discriminator, Generator, Problem
from convexwgan.errors import (
    ConvexWGANError,
    InputError,
)

X = np.random.default_rng(0).standard_normal((8, 3)) + 0.3
Z = np.random.default_rng(1).standard_normal((7, 4)) + 0.3
PAIR = Discriminator.quadratic(beta=2.0) + Generator.linear()


@pytest.mark.parametrize("method", ["newton", "", "CONIC", None, 3, ["auto"], "global", "column_generation"])
def test_unknown_or_inapplicable_methods_are_refused(method: Any, refuses: Any) -> None:
    with pytest.raises(InputError) as error:
        Problem(PAIR, X, Z).solve(method=method)
    refuses(error, "method")


@pytest.mark.parametrize("solver", ["GUROBI", "", "ECOS", 3, ["SCS"], True])
def test_unknown_solvers_are_refused(solver: Any, refuses: Any) -> None:
    with pytest.raises(InputError) as error:
        Problem(PAIR, X, Z).solve(method="conic", solver=solver)
    refuses(error, "solver", "CLARABEL")


@pytest.mark.parametrize("method", ["closed_form", "conic"])
@pytest.mark.parametrize(
    "given",
    [
        {"tol": 0.0},
        {"tol": -1e-6},
        {"tol": math.nan},
        {"tol": "1e-6"},
        {"tol": math.inf},
        {"tol": True},
        {"max_iter": 0},
        {"max_iter": 2.5},
        {"max_iter": "3"},
        {"time_limit": 0.0},
        {"time_limit": -1.0},
        {"time_limit": math.nan},
        {"time_limit": "10"},
        {"device": "cuda"},
        {"device": "no such device"},
        {"warm_start": 3},
    ],
)
def test_limits_out_of_range_are_refused_on_every_method(method: str, given: dict[str, Any], refuses: Any) -> None:
    with pytest.raises(InputError) as error:
        Problem(PAIR, X, Z).solve(method=method, **given)
    refuses(error, next(iter(given)))


@pytest.mark.parametrize("options", [{"no_such_option": 1}, {"max_iter": "many"}, {"verbose": [1]}])
@pytest.mark.parametrize("solver", ["CLARABEL", "SCS"])
def test_options_that_the_solver_lacks_are_refused(solver: str, options: dict[str, Any], refuses: Any) -> None:
    if solver == "SCS" and "verbose" in options:
        options = {"max_iters": -4}
    with pytest.raises(InputError) as error:
        Problem(PAIR, X, Z).solve(method="conic", solver=solver, options=options)
    refuses(error, "option")


@pytest.mark.parametrize("options", ["max_iter=3", 3, [("max_iter", 3)]])
def test_options_that_are_no_mapping_are_refused(options: Any) -> None:
    with pytest.raises(ConvexWGANError):
        Problem(PAIR, X, Z).solve(method="conic", options=options)


def test_a_callback_that_cannot_be_called_is_refused() -> None:
    with pytest.raises(ConvexWGANError):
        Problem(PAIR, X, Z).solve(callback=3)  # type: ignore[arg-type]


@pytest.mark.parametrize("tol", [0.0101, 0.5, 1.0, 10.0])
def test_a_tolerance_above_one_hundredth_is_refused(tol: float, refuses: Any) -> None:
    with pytest.raises(InputError) as error:
        Problem(PAIR, X, Z).solve(tol=tol)
    refuses(error, "tol", "at most 0.01", "BRACKETED")


def test_unknown_methods_are_refused_with_those_of_this_pair_only(refuses: Any) -> None:
    with pytest.raises(InputError) as error:
        Problem(PAIR, X, Z).solve(method="foo")
    refuses(error, "be one of auto, closed_form, conic, saddle:")
    assert "column_generation" not in str(error.value)


@pytest.mark.parametrize("betas", [5.0, None, "12", np.array(3.0), [1.0, -1.0], [1e300]])
def test_a_path_of_anything_but_several_numbers_is_refused_at_once(betas: Any, refuses: Any) -> None:
    with pytest.raises(InputError) as error:
        Problem(PAIR, X, Z).path(betas)
    refuses(error, "path")


@pytest.mark.parametrize("normalize", [np.array(["sum", "mean"]), ["sum"], None, 1, "SUM"])
def test_a_convention_that_is_neither_sum_nor_mean_is_refused(normalize: Any, refuses: Any) -> None:
    with pytest.raises(InputError) as error:
        Problem(PAIR, X, Z, normalize=normalize)
    refuses(error, "normalize", "sum", "mean")


def test_options_whose_names_are_no_texts_are_refused(refuses: Any) -> None:
    with pytest.raises(InputError) as error:
        Problem(PAIR, X, Z).solve(method="conic", options={5: 1})  # type: ignore[dict-item]
    refuses(error, "option")
