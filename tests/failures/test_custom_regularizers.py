"""Custom regularisers: no convex scalar, functions that raise, values and conjugates that are wrong."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from convexwgan import Discriminator, Generator, Problem, Regularizer, Status
from convexwgan.errors import (
    ConvexWGANError,
    InputError,
)

X = np.random.default_rng(0).standard_normal((8, 3)) + 0.3
Z = np.random.default_rng(1).standard_normal((7, 4)) + 0.3


@pytest.mark.parametrize("raised", [ZeroDivisionError("no"), KeyError("no"), AssertionError("no"), OSError("no")])
def test_custom_functions_may_raise_anything_and_are_refused(raised: Exception, refuses: Any) -> None:
    def function(_: Any) -> Any:
        raise raised

    pair = Discriminator.linear(beta=1.0) + Generator.linear() + Regularizer.custom(function, of="weights")
    with pytest.raises(InputError) as error:
        Problem(pair, X, Z).solve()
    refuses(error, "Regularizer.custom", type(raised).__name__)


def custom(f: Any, **functions: Any) -> Problem:
    pair = Discriminator.linear(beta=0.5) + Generator.linear() + Regularizer.custom(f, of="weights", **functions)
    return Problem(pair, X, Z)


def not_convex(W: Any) -> Any:
    import cvxpy as cp

    return -cp.sum_squares(W)


def a_vector(W: Any) -> Any:
    import cvxpy as cp

    return cp.abs(W)


def an_error(W: Any) -> Any:
    raise RuntimeError("broken by its author")


def a_numpy_call(W: Any) -> Any:
    return np.linalg.norm(W)


BAD_CUSTOM = {
    "not convex": not_convex,
    "a vector": a_vector,
    "raises": an_error,
    "returns None": lambda W: None,
    "returns text": lambda W: "f(W)",
    "returns nan": lambda W: math.nan,
    "calls NumPy": a_numpy_call,
    "takes no argument": lambda: 0.0,
    "division by zero": lambda W: W / 0,
}


@pytest.mark.parametrize("name", BAD_CUSTOM)
def test_custom_regularisers_that_are_no_convex_scalar_are_refused(name: str) -> None:
    with pytest.raises(ConvexWGANError) as error:
        custom(BAD_CUSTOM[name]).solve()
    message = str(error.value)
    assert "custom" in message
    assert "must" in message


@pytest.mark.parametrize("role", ["value", "conjugate"])
@pytest.mark.parametrize("wrong", [lambda W: math.nan, lambda W: "much", lambda W: W, an_error])
def test_custom_value_or_conjugate_that_is_wrong_never_certifies(role: str, wrong: Any) -> None:
    import cvxpy as cp

    functions = {"value": lambda W: float(np.sum(W**2)), "conjugate": lambda H: 0.25 * float(np.sum(H**2))}
    try:
        solution = custom(cp.sum_squares, **{**functions, role: wrong}).solve()
    except ConvexWGANError:
        return
    assert solution.status is not Status.CERTIFIED
    assert not math.isnan(solution.value)
    assert not math.isnan(solution.bound)


def test_custom_whose_value_belies_its_function_is_not_better_than_its_own_value() -> None:
    """value and conjugate are taken on trust, but they must at least not contradict each other (bound ≤ value)."""
    import cvxpy as cp

    solution = custom(cp.sum_squares, value=lambda W: -1.0, conjugate=lambda H: 0.0).solve()
    assert solution.status is not Status.CERTIFIED
