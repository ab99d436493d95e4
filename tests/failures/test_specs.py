"""Specs out of range: strengths, powers, coefficients, and what their messages carry."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from convexwgan import Discriminator, Generator, Latent, Problem, Regularizer
from convexwgan.errors import (
    InputError,
)

X = np.random.default_rng(0).standard_normal((8, 3)) + 0.3
Z = np.random.default_rng(1).standard_normal((7, 4)) + 0.3


BAD_SPECS = {
    "no rule": lambda: Discriminator.quadratic(),
    "two rules": lambda: Discriminator.quadratic(beta=1.0, norm_bound=True),
    "negative beta": lambda: Discriminator.linear(beta=-1.0),
    "zero beta": lambda: Discriminator.linear(beta=0.0),
    "nan beta": lambda: Discriminator.linear(beta=math.nan),
    "infinite beta": lambda: Discriminator.linear(beta=math.inf),
    "text beta": lambda: Discriminator.linear(beta="1"),  # type: ignore[arg-type]
    "boolean beta": lambda: Discriminator.linear(beta=True),
    "array beta": lambda: Discriminator.linear(beta=np.ones(2)),  # type: ignore[arg-type]
    "zero components": lambda: Discriminator.quadratic(components=0),
    "fractional components": lambda: Discriminator.quadratic(components=1.5),  # type: ignore[arg-type]
    "components of linear": lambda: Discriminator("linear", components=2),
    "constant activation": lambda: Discriminator.polynomial(0.0, 0.0, 1.0, beta=1.0),
    "nan activation": lambda: Generator.polynomial(math.nan, 1.0, 0.0),
    "skip of linear": lambda: Discriminator("linear", beta=1.0, skip=True),
    "negative strength": lambda: Regularizer.output(-1.0),
    "zero strength": lambda: Regularizer.weights(0.0),
    "p below one": lambda: Regularizer.norm(0.5),
    "nan p": lambda: Regularizer.norm(math.nan),
    "text p": lambda: Regularizer.norm("1"),  # type: ignore[arg-type]
    "wrong target": lambda: Regularizer.norm(1.0, of="neurons"),  # type: ignore[arg-type]
    "custom that is no function": lambda: Regularizer.custom(3, of="output"),  # type: ignore[arg-type]
    "zero dimension": lambda: Latent.normal(0),
    "negative count": lambda: Latent.normal(2).draw(-1, rng=0),
    "negative seed": lambda: Latent.normal(2).draw(3, rng=-1),
    "text seed": lambda: Latent.normal(2).draw(3, rng="0"),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("name", BAD_SPECS)
def test_specs_out_of_range_are_refused(name: str, refuses: Any) -> None:
    with pytest.raises(InputError) as error:
        BAD_SPECS[name]()
    refuses(error)


def test_messages_carry_subject_value_range_and_remedy() -> None:
    with pytest.raises(InputError) as error:
        Discriminator.quadratic(beta=-1.0)
    assert str(error.value) == (
        "beta of Discriminator.quadratic = -1.0 must be > 0: it is the weight-decay strength β_d."
    )


EXTREME: dict[str, Callable[[float], Any]] = {
    "beta": lambda size: Discriminator.quadratic(beta=size * size),
    "strength": lambda size: Regularizer.output(size),
    "discriminator": lambda size: Discriminator.polynomial(size, 1, 0, beta=1.0),
    "generator": lambda size: Generator.polynomial(0, size, 0),
}


@pytest.mark.parametrize("size", [1e-150, 1e-101, 1e101, 1.7e150])
@pytest.mark.parametrize("name", EXTREME)
def test_strengths_and_coefficients_that_leave_float64_are_refused(name: str, size: float, refuses: Any) -> None:
    with pytest.raises(InputError) as error:
        EXTREME[name](size)
    refuses(error, "rescale")


@pytest.mark.parametrize("size", [1e-100, 1e100])
def test_strengths_and_coefficients_at_the_ends_of_their_range_stay_in_float64(size: float) -> None:
    """Warnings are errors here: an overflow would show."""
    output = Regularizer.output(size)
    for pair in (
        Discriminator.quadratic(beta=1 / size) + Generator.linear() + output,
        Discriminator.quadratic(beta=size, skip=True) + Generator.linear() + output,
        Discriminator.linear(beta=1 / size) + Generator.linear() + Regularizer.weights(size),
        Discriminator.polynomial(1, 0.1, 0, beta=1 / size) + Generator.linear() + output,
        Discriminator.polynomial(size, 1, 0, norm_bound=True) + Generator.linear(),
        Discriminator.polynomial(1, size, 0, beta=3.0) + Generator.linear(),
        Discriminator.quadratic(beta=3.0) + Generator.polynomial(size, 1, 0),
        Discriminator.linear(beta=3.0) + Generator.polynomial(0, size, 0),
    ):
        solution = Problem(pair, X, Z).solve()
        assert not math.isnan(solution.value)
        assert not math.isnan(solution.bound)
