"""Pairs without a theorem: refused with the reason and the nearest pair that works."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from convexwgan import Discriminator, Generator, Latent, Problem, Regularizer, Status
from convexwgan.errors import (
    NotCoveredError,
)
from convexwgan.theory.routes import is_covered

X = np.random.default_rng(0).standard_normal((8, 3)) + 0.3
Z = np.random.default_rng(1).standard_normal((7, 4)) + 0.3


REFUSAL = r"not covered by any theorem here: .+ The nearest pair that works: "


UNCOVERED = (
    Discriminator.quadratic(beta=1.0) + Generator.linear() + Regularizer.norm(1.0),
    Discriminator.quadratic(norm_bound=True) + Generator.free() + Regularizer.norm(2.0),
    Discriminator.quadratic(beta=1.0, skip=True) + Generator.linear() + Regularizer.weights(1.0),
    Discriminator.polynomial(1, 1, 0, beta=1.0) + Generator.linear() + Regularizer.weights(1.0),
    Discriminator.quadratic(beta=1.0) + Generator.free() + Regularizer.custom(lambda G: 0, of="output"),
    Discriminator.quadratic(beta=1.0, skip=True) + Generator.relu() + Regularizer.weights(1.0),
    Discriminator.quadratic(beta=1.0) + Generator.relu() + Regularizer.norm(1.0),
)


RELU = (
    Discriminator.relu(beta=1.0) + Generator.free(),
    Discriminator.relu(beta=1.0, bias=True) + Generator.linear(),
    Discriminator.relu(norm_bound=True) + Generator.relu(),
    Discriminator.quadratic(beta=1.0) + Generator.distribution(),
    Discriminator.relu(beta=1.0) + Generator.distribution(),
)


@pytest.mark.parametrize("wgan", UNCOVERED, ids=repr)
def test_uncovered_pairs_are_refused_with_reason_and_nearest_pair(wgan: Any) -> None:
    problem = Problem(wgan, X, Z if wgan.generator.needs_noise else None)
    for ask in (problem.solve, problem.explain, problem.to_cvxpy, problem.relaxation, problem.route):
        with pytest.raises(NotCoveredError, match=REFUSAL):
            ask()


@pytest.mark.parametrize("wgan", RELU, ids=repr)
def test_relu_pairs_are_refused_with_reason_and_nearest_pair_or_solved(wgan: Any) -> None:
    problem = Problem(wgan, X, Z if wgan.generator.needs_noise else None, normalize="mean")
    if is_covered(wgan):
        assert isinstance(problem.solve(time_limit=1.0).status, Status)
        return
    for ask in (problem.solve, problem.explain, problem.to_cvxpy, problem.route):
        with pytest.raises(NotCoveredError, match=REFUSAL):
            ask()


def test_nearest_pair_of_a_refusal_can_be_solved_as_printed() -> None:
    for wgan in UNCOVERED:
        noise = Z if wgan.generator.needs_noise else None
        with pytest.raises(NotCoveredError) as error:
            Problem(wgan, X, noise).solve()
        text = str(error.value).partition("The nearest pair that works: ")[2].rstrip(".")
        pair = eval(text, {"Discriminator": Discriminator, "Generator": Generator, "Regularizer": Regularizer})
        assert Problem(pair, X, noise).solve().status in (Status.CERTIFIED, Status.INFEASIBLE)


def test_norm_of_the_output_of_a_population_is_refused() -> None:
    pair = Discriminator.linear(beta=1.0) + Generator.linear() + Regularizer.norm(1.0)
    with pytest.raises(NotCoveredError, match="population"):
        Problem(pair, X, Latent.normal(3), normalize="mean").solve()
