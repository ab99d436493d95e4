"""Every shipped problem file solves to the status and the value that it expects, and a fresh judge agrees."""

from __future__ import annotations

import pytest

from convexwgan import Status, verify
from convexwgan.errors import NotCoveredError
from convexwgan.load import load_problem
from convexwgan.spec.instance import instance_names, load_instance
from convexwgan.theory.laws import check_weak_duality

NAMES = instance_names()


def expects(name: str, *statuses: str) -> bool:
    expected = load_instance(name).expected
    return expected is not None and expected.status in statuses


@pytest.mark.parametrize("name", [name for name in NAMES if not expects(name, "refused")])
def test_problem_file_solves_to_what_it_expects(name: str) -> None:
    if "faces" in name:
        pytest.importorskip("skimage", reason="the faces ship with scikit-image")
    expected = load_instance(name).expected
    problem = load_problem(name)
    solution = problem.solve()
    assert expected is not None
    assert expected.status is not None
    assert solution.status is Status[expected.status.upper()], str(solution.certificate)
    if expected.value is not None:
        size = max(abs(expected.value), 1e-6 * solution.certificate.scale)
        assert abs(solution.value - expected.value) <= expected.tolerance * size
        assert abs(solution.bound - expected.value) <= expected.tolerance * size
    if solution.status is Status.CERTIFIED:
        check_weak_duality(problem, solution)
    assert verify(problem, solution).status is solution.status


@pytest.mark.parametrize("name", [name for name in NAMES if expects(name, "refused")])
def test_problem_file_outside_the_theorems_is_refused_with_the_nearest_pair(name: str) -> None:
    problem = load_problem(name)
    with pytest.raises(NotCoveredError, match=r"not covered by any theorem here: .+ The nearest pair that works: "):
        problem.solve()
    with pytest.raises(NotCoveredError, match="not covered"):
        problem.explain()


def test_every_status_a_file_may_expect_occurs() -> None:
    found = {load_instance(name).expected.status for name in NAMES}  # type: ignore[union-attr]
    assert {"certified", "infeasible", "refused"} <= found
