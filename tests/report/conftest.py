"""One small problem, solved once: four features, two eigenvalues above β_d = 2."""

from __future__ import annotations

import pytest

from convexwgan.load import load_problem
from convexwgan.problem import Problem
from convexwgan.solution import Solution


@pytest.fixture(scope="session")
def problem() -> Problem:
    return load_problem("quadratic_linear_output")


@pytest.fixture(scope="session")
def solution(problem: Problem) -> Solution:
    return problem.solve()
