"""What a Problem does when its data change under it, and what cannot be changed afterwards."""

from __future__ import annotations

import numpy as np
import pytest

from convexwgan import Discriminator, Generator, Latent, Problem, Regularizer, Status, verify
from convexwgan.errors import NotConicError


def test_data_changed_in_place_are_factored_again() -> None:
    X = np.diag([3.0, 2.0, 1.0])
    problem = Problem(Discriminator.quadratic(beta=2.0) + Generator.free(), X)
    before = problem.solve()
    X *= 10.0
    after = problem.solve()
    assert before.value == pytest.approx(4.5)
    assert after.value == pytest.approx(0.5 * (898 + 398 + 98))
    assert before.fingerprint != after.fingerprint == problem.fingerprint()
    assert verify(problem, before).status is not Status.CERTIFIED
    assert verify(problem, after).status is Status.CERTIFIED


def test_the_weights_of_a_solution_cannot_be_changed_in_place() -> None:
    problem = Problem(Discriminator.linear(beta=1.0) + Generator.linear(), np.ones((3, 2)), np.eye(4))
    generator = problem.solve().generator
    assert generator is not None
    with pytest.raises(ValueError, match="read-only"):
        generator.weights[:] = 0.0


def test_a_badly_scaled_column_of_noise_is_not_taken_for_zero() -> None:
    rng = np.random.default_rng(0)
    X, Z = rng.standard_normal((30, 3)) + 1.0, np.column_stack([rng.standard_normal(40), np.full(40, 1e-18)])
    solution = Problem(Discriminator.linear(beta=1.0) + Generator.linear(), X, Z).solve()
    m = X.sum(axis=0)
    length = np.linalg.norm(m) - 1.0
    assert solution.status is Status.CERTIFIED
    assert solution.value == pytest.approx(length**2 / (2 * 40), rel=1e-9)  # the column is constant: ρ = n_f


def test_a_claim_of_infeasibility_within_rounding_is_left_to_the_judge() -> None:
    Z = np.array([[1.0], [-1.0]])
    solution = Problem(Discriminator.linear(beta=4.0 * (1 - 1e-15)) + Generator.linear(), [[4.0]], Z).solve()
    assert solution.status is Status.CERTIFIED
    assert solution.value == 0.0


def test_drawn_noise_is_remembered() -> None:
    Z = Latent.normal(2).draw(10, rng=0)
    solution = Problem(Discriminator.quadratic(beta=1.0) + Generator.linear(), np.eye(2), Z).solve()
    assert solution.generator is not None
    assert solution.generator.sample(3, rng=1).shape == (3, 2)


@pytest.mark.parametrize(
    ("discriminator", "n_fake"),
    [
        (Discriminator.quadratic(norm_bound=True), 1),
        (Discriminator.quadratic(beta=0.5), 1),
        (Discriminator.quadratic(beta=0.5, skip=True), 2),
        (Discriminator.polynomial(1.0, 0.5, 0.0, beta=50.0), 3),
    ],
    ids=repr,
)
def test_a_program_that_the_rank_makes_a_relaxation_is_never_called_exact(
    discriminator: Discriminator, n_fake: int
) -> None:
    X = np.random.default_rng(3).standard_normal((6, 3)) + 1.0
    problem = Problem(discriminator + Generator.free() + Regularizer.output(0.25), X, n_fake=n_fake)
    with pytest.raises(NotConicError, match="rank"):
        problem.to_cvxpy()
    relaxation = problem.relaxation()
    relaxation.solve(solver="CLARABEL")
    assert relaxation.value <= problem.solve().value * (1 + 1e-6) + 1e-6


def test_a_program_with_enough_rank_is_exact_and_needs_no_relaxation() -> None:
    X = np.random.default_rng(3).standard_normal((6, 3))
    problem = Problem(Discriminator.quadratic(beta=0.5) + Generator.free(), X)
    program = problem.to_cvxpy()
    program.solve(solver="CLARABEL")
    assert program.value == pytest.approx(problem.solve().value, rel=1e-6)
    with pytest.raises(NotConicError, match="needs no relaxation"):
        problem.relaxation()


def test_the_stats_record_times_threads_versions_and_the_seed_of_drawn_noise() -> None:
    Z = Latent.normal(2).draw(10, rng=7)
    stats = Problem(Discriminator.quadratic(beta=1.0) + Generator.linear(), np.eye(2), Z).solve().stats
    assert {"run", "invert", "certify"} <= set(stats.times)
    assert stats.extra["seed"] == 7
    assert stats.extra["threads"] >= 1
    assert stats.extra["convexwgan"]
    assert stats.extra["numpy"] == np.__version__
