"""Stored multipliers out of all proportion: they prove nothing, and they do not raise."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from convexwgan import Discriminator, Generator, Problem, Regularizer, Status, verify


@pytest.mark.parametrize("factor", [1e-150, 1e150, 1e250])
def test_moment_multipliers_of_any_size_neither_raise_nor_prove_more(factor: float) -> None:
    rng = np.random.default_rng(0)
    pair = Discriminator.relu(norm_bound=True) + Generator.linear() + Regularizer.weights(1.0)
    problem = Problem(pair, rng.standard_normal((5, 2)), rng.standard_normal((5, 2)), normalize="mean")
    solution = problem.solve(time_limit=2.0)
    table = np.array(solution.dual["output_multiplier"])
    table[:, 2:] *= factor
    found = verify(problem, replace(solution, dual={"output_multiplier": table}))
    assert found.status is not Status.INFEASIBLE
    assert found.lower <= solution.value


@pytest.mark.filterwarnings("ignore:overflow encountered")
@pytest.mark.parametrize("factors", [(1e-160, 1.0), (1e-160, 1e150), (1e160, 1e-155), (1e-161, 1e-161)])
def test_a_tree_on_an_absurd_basis_neither_raises_nor_proves_more(factors: tuple[float, float]) -> None:
    rng = np.random.default_rng(1)
    pair = Discriminator.relu(beta=0.3, bias=True) + Generator.linear() + Regularizer.weights(2.0)
    problem = Problem(pair, rng.standard_normal((6, 1)), rng.standard_normal((5, 2)), normalize="mean")
    solution = problem.solve()
    assert solution.status is Status.CERTIFIED
    table = np.array(solution.dual["output_multiplier"])
    table[:2] *= np.array(factors)[:, None]
    found = verify(problem, replace(solution, dual={"output_multiplier": table}))
    assert found.status is not Status.INFEASIBLE
    assert found.lower <= solution.value * (1.0 + 1e-9)
