"""Fewer outputs than dimensions: infeasibility by a neuron that sees no output, never claimed wrongly."""

from __future__ import annotations

import numpy as np
import pytest

from convexwgan import Discriminator, Generator, Problem, Status, verify
from convexwgan.certificates.few_outputs import too_few_outputs
from convexwgan.geometry.relu_distances import relu_distance


def threshold(X: np.ndarray, rank: int) -> float:
    """The largest β_d that is proven infeasible, by bisection on the test itself."""
    low, high = 0.0, 2.0 * float(np.linalg.norm(X, axis=1).sum())
    for _ in range(60):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if too_few_outputs(X, 1.0, rank, middle) else (low, middle)
    return low


@pytest.mark.parametrize(("d", "n_fake"), [(1, 0), (2, 1), (3, 1), (3, 2), (4, 3)])
@pytest.mark.parametrize("seed", range(2))
def test_no_random_output_is_nearer_than_what_is_proven(d: int, n_fake: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((d + 3, d)).round(1)
    least = threshold(X, n_fake)
    assert least > 0.0
    for _ in range(60):
        G = rng.standard_normal((max(n_fake, 1), d)) * rng.uniform(0.1, 4) * (n_fake > 0)
        u = np.linalg.svd(G)[2][-1]  # a neuron that sees no output
        told = max(float(np.maximum(sign * (X @ u), 0.0).sum()) for sign in (1.0, -1.0))
        assert told >= least * (1.0 - 1e-9)
        if d < 4:
            assert relu_distance(X, G).value >= told * (1.0 - 1e-9)


def test_two_orthogonal_samples_and_one_output_are_half_a_sample_apart() -> None:
    assert threshold(np.eye(2), 1) == pytest.approx(0.5)
    scan = [0.5 * np.abs([np.cos(a), np.sin(a)]).sum() for a in np.linspace(0, np.pi, 1001)]
    assert threshold(np.eye(2), 1) == pytest.approx(min(scan))


@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_the_proof_does_not_depend_on_units(scale: float) -> None:
    X = np.random.default_rng(3).standard_normal((5, 3))
    assert threshold(scale * X, 2) == pytest.approx(scale * threshold(X, 2), rel=1e-9)


@pytest.mark.parametrize("X", [np.zeros((3, 2)), np.ones((4, 1)), np.array([[1.0, 2.0], [2.0, 4.0], [-1.0, -2.0]])])
def test_data_on_a_line_or_at_zero_are_no_proof_against_one_output(X: np.ndarray) -> None:
    assert too_few_outputs(X, 1.0, 1, 1e-9) is None


@pytest.mark.parametrize(("n_fake", "status"), [(1, Status.INFEASIBLE), (6, Status.BRACKETED)])
@pytest.mark.parametrize("normalize", ["sum", "mean"])
def test_one_free_output_in_the_plane_is_infeasible_and_as_many_as_samples_are_not(
    n_fake: int, status: Status, normalize: str
) -> None:
    X = np.random.default_rng(8).standard_normal((6, 2))
    beta = 0.2 if normalize == "sum" else 0.2 / 6
    problem = Problem(Discriminator.relu(beta=beta) + Generator.free(), X, n_fake=n_fake, normalize=normalize)
    solution = problem.solve(time_limit=1.0)
    assert solution.status is status
    assert verify(problem, solution).status is status


def test_two_outputs_in_the_plane_may_be_too_few_and_are_not_called_infeasible() -> None:
    X = np.random.default_rng(8).standard_normal((6, 2))
    solution = Problem(Discriminator.relu(beta=0.2) + Generator.free(), X, n_fake=2).solve(time_limit=1.0)
    assert solution.status is Status.FAILED
    assert 0.0 < solution.bound < np.inf
