"""Degenerate inputs, one named test each: exact, proven infeasible, or refused; never wrong, never NaN."""

from __future__ import annotations

import math
import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from convexwgan import Discriminator, Generator, Latent, Problem, Regularizer, Solution, Status, verify
from convexwgan.errors import InputError

Array = np.ndarray[Any, np.dtype[Any]]


def data(seed: int, n: int = 12, d: int = 3) -> Array:
    return np.random.default_rng(seed).standard_normal((n, d)) @ np.diag(np.arange(d, 0, -1.0)) + 0.4


def noise(seed: int, n: int = 10, p: int = 4) -> Array:
    return np.random.default_rng(900 + seed).standard_normal((n, p)) + 0.5


def solved(problem: Problem, status: Status = Status.CERTIFIED) -> Solution:
    """The solution, with what must hold of every one: no NaN, bounds in order, a judge who agrees."""
    solution = problem.solve()
    assert solution.status is status, str(solution.certificate)
    assert not any(math.isnan(x) for x in (solution.value, solution.bound, solution.gap, solution.relative_gap))
    assert verify(problem, solution).status is status, str(verify(problem, solution))
    if status is Status.CERTIFIED:
        assert solution.relative_gap <= solution.tol
        assert solution.generator is not None
        assert np.isfinite(np.asarray(solution.generator.weights)).all()
    return solution


def everything(X: Array, Z: Array, *, normalize: Any = "sum", beta: float | None = None) -> list[Problem]:
    """One problem of every covered kind on the same data."""
    w_r = 1.0 if normalize == "sum" else 1.0 / len(X)
    size = float(np.linalg.norm(X, 2) ** 2) * w_r or 1.0
    length = float(np.linalg.norm(X.sum(axis=0))) * w_r or 1.0
    quadratic, linear = beta or 0.3 * size, beta or 0.3 * length
    R, D, linear_g, free = Regularizer, Discriminator, Generator.linear(), Generator.free()
    wgans: list[tuple[Any, bool]] = [
        (D.linear(beta=linear) + free, False),
        (D.linear(beta=linear) + linear_g, True),
        (D.linear(beta=linear) + linear_g + R.weights(1.0), True),
        (D.linear(beta=linear) + linear_g + R.norm(1.0), True),
        (D.linear(norm_bound=True) + linear_g, True),
        (D.quadratic(beta=quadratic) + free, False),
        (D.quadratic(beta=quadratic) + linear_g, True),
        (D.quadratic(beta=quadratic) + linear_g + R.weights(1.0), True),
        (D.quadratic(beta=quadratic) + Generator.polynomial(0.5, 1.0, 0.3), True),
        (D.quadratic(beta=quadratic, skip=True) + free, False),
        (D.quadratic(norm_bound=True) + linear_g, True),
        (D.quadratic(norm_bound=True) + linear_g + R.weights(1.0), True),
        (D.quadratic(norm_bound=True, skip=True) + free, False),
        (D.quadratic(components=1) + linear_g, True),
        (D.polynomial(1.0, 0.3, 0.1, beta=quadratic) + free, False),
        (D.polynomial(1.0, 0.3, 0.1, norm_bound=True) + linear_g, True),
    ]
    return [Problem(wgan, X, Z if needs else None, normalize=normalize) for wgan, needs in wgans]


def orthonormal(n: int, d: int, seed: int = 0) -> Array:
    return np.asarray(np.linalg.qr(np.random.default_rng(seed).standard_normal((n, d)))[0])


# ---- spectra -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kept", [4.0, 1.0])
def test_repeated_singular_values_are_all_kept_or_all_dropped(kept: float) -> None:
    X = orthonormal(9, 4) @ np.diag([3.0, 2.0, 2.0, 2.0]) @ orthonormal(4, 4, 1)
    solution = solved(Problem(Discriminator.quadratic(beta=kept - 0.5) + Generator.linear(), X, noise(0)))
    expected = 0.5 * float(np.maximum(np.array([9.0, 4, 4, 4]) - kept + 0.5, 0).sum())
    assert solution.value == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("strength", [1.0, 2 / 3, 0.5, 0.4])
def test_repeated_singular_values_under_a_norm_bound_share_the_budget(strength: float) -> None:
    X = orthonormal(9, 4) @ np.diag([3.0, 2.0, 2.0, 2.0]) @ orthonormal(4, 4, 1)
    pair = Discriminator.quadratic(norm_bound=True) + Generator.linear() + Regularizer.output(strength)
    solution = solved(Problem(pair, X, noise(0)))
    grid = np.linspace(0, 9, 90001)
    values = grid + strength / 2 * sum(np.maximum(x - grid, 0) for x in (9.0, 4.0, 4.0, 4.0))
    assert solution.value == pytest.approx(float(values.min()), rel=1e-9)


@pytest.mark.parametrize("beta", [9.0, 4.0, 1.0])
@pytest.mark.parametrize("generator", ["free", "linear"])
def test_beta_equal_to_a_squared_singular_value_drops_that_component(beta: float, generator: str) -> None:
    X = np.diag([3.0, 2.0, 1.0])
    part = Generator.free() if generator == "free" else Generator.linear()
    solution = solved(Problem(Discriminator.quadratic(beta=beta) + part, X, None if generator == "free" else noise(1)))
    assert solution.value == pytest.approx(0.5 * float(np.maximum(np.array([9.0, 4, 1]) - beta, 0).sum()), abs=1e-12)


def test_beta_equal_to_a_rotated_squared_singular_value_is_certified() -> None:
    X = orthonormal(9, 3) @ np.diag([3.0, 2.0, 1.0]) @ orthonormal(3, 3, 1)
    exact = float(np.linalg.svd(X)[1][1] ** 2)
    for beta in (exact, np.nextafter(exact, 9), np.nextafter(exact, 0), exact * (1 + 1e-13), exact * (1 - 1e-13)):
        solution = solved(Problem(Discriminator.quadratic(beta=float(beta)) + Generator.linear(), X, noise(1)))
        assert solution.value == pytest.approx(2.5, rel=1e-10)


def test_beta_equal_to_a_singular_value_with_noise_of_just_that_rank_is_feasible() -> None:
    """k = #{σ² > β} is strict: β = σ_2² needs one direction, a hair less needs two."""
    X, Z = np.diag([3.0, 2.0, 1.0]), np.ones((5, 1))
    solved(Problem(Discriminator.quadratic(beta=4.0) + Generator.linear(), X, Z))
    solved(Problem(Discriminator.quadratic(beta=4.0 - 1e-6) + Generator.linear(), X, Z), Status.INFEASIBLE)


@pytest.mark.parametrize("normalize", ["sum", "mean"])
def test_beta_above_everything_makes_the_zero_generator_optimal(normalize: Any) -> None:
    for problem in everything(data(2), noise(2), normalize=normalize, beta=1e6):
        discriminator = problem.wgan.players[0]
        if discriminator.norm_bound or discriminator.components or discriminator.skip:
            continue
        solution = solved(problem)
        assert solution.value == pytest.approx(0.0, abs=1e-9)
        assert solution.bound == pytest.approx(0.0, abs=1e-9)


def test_beta_far_below_everything_is_certified_or_proven_infeasible() -> None:
    X = data(2)
    for scale in (1e-3, 1e-6, 1e-9, 1e-12):
        free = Problem(Discriminator.quadratic(beta=scale * float(np.linalg.norm(X, 2) ** 2)) + Generator.free(), X)
        assert free.solve().status in (Status.CERTIFIED, Status.UNVERIFIED)
        assert verify(free, free.solve()).status is free.solve().status


@pytest.mark.parametrize("gap", [1e-6, 1e-9, 1e-12, 1e-15])
def test_near_equal_singular_values_are_certified_on_both_sides_of_beta(gap: float) -> None:
    X = orthonormal(9, 3) @ np.diag(np.sqrt([4.0 + gap, 4.0, 1.0])) @ orthonormal(3, 3, 1)
    for beta in (4.0 + gap / 2, 4.0 - 1e-9, 3.0):
        solution = solved(Problem(Discriminator.quadratic(beta=beta) + Generator.linear(), X, noise(3)))
        expected = 0.5 * float(np.maximum(np.array([4.0 + gap, 4.0, 1.0]) - beta, 0).sum())
        assert solution.value == pytest.approx(expected, rel=1e-6, abs=1e-13)


@pytest.mark.parametrize("components", [3, 4, 5, 12, 1000])
def test_components_at_or_above_the_rank_keep_everything(components: int) -> None:
    X = data(4, d=3)
    for skip in (False, True):
        pair = Discriminator.quadratic(components=components, skip=skip) + Generator.free()
        solution = solved(Problem(pair, X))
        assert solution.value == pytest.approx(0.5 * float(np.sum(X**2)), rel=1e-9)


@pytest.mark.parametrize("components", [1, 2])
def test_components_keep_exactly_that_many(components: int) -> None:
    X = data(4, d=3)
    solution = solved(Problem(Discriminator.quadratic(components=components) + Generator.linear(), X, noise(4)))
    assert solution.generator is not None
    assert np.linalg.matrix_rank(np.asarray(solution.generator.output)) == components
    sigma = np.linalg.svd(X)[1] ** 2
    assert solution.value == pytest.approx(0.5 * float((sigma[:components] - sigma[components]).sum()), rel=1e-9)


def test_components_of_rank_deficient_data_are_certified() -> None:
    X = np.outer(np.arange(1.0, 7.0), [1.0, 2.0, 3.0])
    for components in (1, 2, 3):
        solved(Problem(Discriminator.quadratic(components=components) + Generator.linear(), X, noise(4)))


def test_components_of_all_zero_data_are_refused_or_certified_zero() -> None:
    problem = Problem(Discriminator.quadratic(components=1) + Generator.free(), np.zeros((4, 3)))
    try:
        solution = problem.solve()
    except InputError:
        return
    assert solution.value == 0.0


# ---- shapes ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("normalize", ["sum", "mean"])
def test_fewer_real_samples_than_features_are_certified(normalize: Any) -> None:
    X = np.random.default_rng(5).standard_normal((4, 9)) + 0.3
    for problem in everything(X, noise(5, n=15, p=11), normalize=normalize):
        solved(problem)


@pytest.mark.parametrize("normalize", ["sum", "mean"])
def test_fewer_noise_samples_than_noise_features_are_certified(normalize: Any) -> None:
    for problem in everything(data(6), noise(6, n=5, p=9), normalize=normalize):
        solved(problem)


def test_more_generated_than_real_samples_and_the_reverse_are_certified() -> None:
    X = data(7, n=8)
    for n_fake in (4, 5, 7, 8, 9, 50):
        for normalize in ("sum", "mean"):
            for discriminator in (
                Discriminator.linear(beta=1.0),
                Discriminator.quadratic(beta=3.0),
                Discriminator.polynomial(1.0, 0.5, 0.1, beta=8.0),
            ):
                problem = Problem(discriminator + Generator.free(), X, n_fake=n_fake, normalize=normalize)  # type: ignore[arg-type]
                solution = solved(problem)
                assert solution.generator is not None
                assert np.asarray(solution.generator.output).shape == (n_fake, 3)


@pytest.mark.parametrize("n_fake", [1, 2])
def test_too_few_generated_samples_are_infeasible_by_weyl(n_fake: int) -> None:
    X = np.diag([3.0, 2.0, 1.5])
    solution = solved(
        Problem(Discriminator.quadratic(beta=2.0) + Generator.free(), X, n_fake=n_fake),
        Status.INFEASIBLE if n_fake < 3 else Status.CERTIFIED,
    )
    assert solution.certificate.infeasibility is not None
    assert solution.certificate.infeasibility.kind == "weyl"


@pytest.mark.parametrize("shift", [0.0, 3.0, 10.0, 30.0])
def test_infeasible_polynomial_problem_is_proven_so_wherever_its_data_lie(shift: float) -> None:
    """s ≈ m on four samples forces S ⪰ mmᵀ/4, far above M; off centre the conic solver itself breaks down."""
    X = data(2, n=20) + shift
    pair = Discriminator.polynomial(1.0, 0.5, 0.0, beta=1.0) + Generator.free()
    solved(Problem(pair, X, n_fake=4), Status.INFEASIBLE)


def test_one_real_sample_is_certified() -> None:
    for problem in everything(np.array([[2.0, -1.0, 0.5]]), noise(8)):
        solved(problem)


def test_one_generated_sample_reaches_one_direction() -> None:
    X = np.array([[2.0, -1.0], [2.0, -1.0]])
    pair = Discriminator.quadratic(beta=1.0) + Generator.free()
    assert solved(Problem(pair, X, n_fake=1)).value == pytest.approx(4.5)
    skip = Discriminator.quadratic(beta=1.0, skip=True) + Generator.free()
    solution = Problem(skip, X, n_fake=1).solve()
    assert solution.status is Status.INFEASIBLE  # s = m = 2x: S = 4xxᵀ, ‖M − S‖ = 10
    assert solved(Problem(skip, X, n_fake=1, normalize="mean")).value == pytest.approx(2.5)


def test_one_dimension_is_certified() -> None:
    for problem in everything(data(9, d=1), noise(9, p=1)):
        solved(problem)


def test_one_sample_in_one_dimension_is_certified() -> None:
    for problem in everything(np.array([[3.0]]), np.array([[2.0]])):
        if problem.wgan.players[1].kind == "polynomial":
            continue
        solved(problem)


def test_more_features_than_both_counts_are_certified() -> None:
    for problem in everything(np.random.default_rng(3).standard_normal((3, 40)) + 0.1, noise(3, n=4, p=30)):
        if problem.wgan.players[0].kind == "polynomial":
            continue  # rank n_f = 4 < d + 1: its program is a lower bound only
        solved(problem)


# ---- noise -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("regularizer", [Regularizer.output(1.0), Regularizer.weights(1.0)])
def test_rank_deficient_latent_is_infeasible_with_weyl_certificate(regularizer: Regularizer) -> None:
    X = np.diag([3.0, 2.0, 1.0])
    Z = np.outer(np.arange(1.0, 8.0), [1.0, -2.0, 0.5])
    solution = solved(
        Problem(Discriminator.quadratic(beta=2.0) + Generator.linear() + regularizer, X, Z), Status.INFEASIBLE
    )
    proof = solution.certificate.infeasibility
    assert proof is not None
    assert proof.kind == "weyl"
    assert "rank(Z) = 1" in proof.text
    assert "singular values above" in proof.text
    assert solution.value == math.inf
    assert solution.generator is None


@pytest.mark.parametrize("regularizer", [Regularizer.output(1.0), Regularizer.weights(1.0)])
def test_rank_deficient_latent_is_feasible_when_k_is_at_most_its_rank(regularizer: Regularizer) -> None:
    rng = np.random.default_rng(10)
    X = np.diag([3.0, 2.0, 1.0])
    Z = rng.standard_normal((9, 2)) @ rng.standard_normal((2, 5))
    solution = solved(Problem(Discriminator.quadratic(beta=2.0) + Generator.linear() + regularizer, X, Z))
    if regularizer.kind == "output":
        assert solution.value == pytest.approx(4.5, rel=1e-9)


def test_latent_of_ambiguous_rank_is_not_called_infeasible_without_doubt() -> None:
    X = np.diag([3.0, 2.0, 1.0])
    Z = orthonormal(9, 2) @ np.diag([1.0, 1e-14]) @ orthonormal(2, 2, 1)
    problem = Problem(Discriminator.quadratic(beta=2.0) + Generator.linear(), X, Z)
    solution = problem.solve()
    assert solution.status in (Status.UNVERIFIED, Status.CERTIFIED)
    assert verify(problem, solution).status is solution.status


def test_all_zero_noise_generates_zero() -> None:
    X, Z = np.diag([3.0, 2.0, 1.0]), np.zeros((5, 2))
    solved(Problem(Discriminator.quadratic(beta=2.0) + Generator.linear(), X, Z), Status.INFEASIBLE)
    assert solved(Problem(Discriminator.quadratic(beta=9.5) + Generator.linear(), X, Z)).value == 0.0
    solved(Problem(Discriminator.linear(beta=1.0) + Generator.linear(), X, Z), Status.INFEASIBLE)
    assert solved(Problem(Discriminator.quadratic(norm_bound=True) + Generator.linear(), X, Z)).value == pytest.approx(
        9
    )


def test_zero_rows_of_data_and_noise_change_nothing_but_the_counts() -> None:
    X, Z = data(11), noise(11)
    for discriminator in (Discriminator.quadratic(beta=10.0), Discriminator.linear(beta=2.0)):
        plain = solved(Problem(discriminator + Generator.linear(), X, Z))
        padded = solved(
            Problem(
                discriminator + Generator.linear(), np.vstack([X, np.zeros((3, 3))]), np.vstack([np.zeros((2, 4)), Z])
            )
        )
        assert padded.value == pytest.approx(plain.value, rel=1e-10)


def test_zero_columns_of_data_stay_zero_in_the_output() -> None:
    X = data(12)
    X[:, 1] = 0.0
    for problem in everything(X, noise(12)):
        solution = solved(problem)
        assert solution.generator is not None
        size = float(np.abs(np.asarray(solution.generator.output)).max())
        assert np.abs(np.asarray(solution.generator.output)[:, 1]).max() <= 1e-4 * size  # conic: the root of 1e-9


def test_all_zero_data_are_matched_by_the_zero_generator() -> None:
    for problem in everything(np.zeros((5, 3)), noise(13), beta=1.0):
        if problem.wgan.players[0].components:
            continue
        solution = solved(problem)
        discriminator = problem.wgan.players[0]
        # A polynomial neuron at u = 0 sees c(n_r − n_f) whatever is generated; only a norm bound pays for it.
        unavoidable = abs(discriminator.activation[2] * (5 - problem.n_fake)) if discriminator.norm_bound else 0.0
        assert solution.value == pytest.approx(unavoidable, rel=1e-9, abs=1e-12)


def test_constant_column_in_the_noise_gives_rho_equal_to_the_count() -> None:
    X = data(14)
    Z = np.column_stack([noise(14, n=12), np.ones(12)])
    for discriminator in (
        Discriminator.linear(beta=2.0),
        Discriminator.quadratic(beta=10.0, skip=True),
        Discriminator.polynomial(1.0, 0.5, 0.0, beta=10.0),
    ):
        linear = solved(Problem(discriminator + Generator.linear(), X, Z))
        free = solved(Problem(discriminator + Generator.free(), X))
        assert linear.value == pytest.approx(free.value, rel=1e-6)


def test_centred_noise_cannot_move_the_mean_and_says_so() -> None:
    X = data(15)
    Z = noise(15) - noise(15).mean(axis=0)
    solution = solved(Problem(Discriminator.linear(beta=1.0) + Generator.linear(), X, Z), Status.INFEASIBLE)
    assert solution.certificate.infeasibility is not None
    assert solution.certificate.infeasibility.kind == "zero_mean"
    for regularizer in (Regularizer.weights(1.0), Regularizer.norm(1.0), Regularizer.norm(2.0, of="weights")):
        pair = Discriminator.linear(beta=1.0) + Generator.linear() + regularizer
        solved(Problem(pair, X, Z), Status.INFEASIBLE)
    solved(Problem(Discriminator.quadratic(beta=9.0, skip=True) + Generator.linear(), X, Z), Status.INFEASIBLE)
    assert solved(Problem(Discriminator.linear(beta=100.0) + Generator.linear(), X, Z)).value == 0.0


def test_centred_noise_and_centred_data_with_skip_are_certified() -> None:
    X, Z = data(16) - data(16).mean(axis=0), noise(16) - noise(16).mean(axis=0)
    solution = solved(Problem(Discriminator.quadratic(beta=9.0, skip=True) + Generator.linear(), X, Z))
    plain = solved(Problem(Discriminator.quadratic(beta=9.0) + Generator.linear(), X, Z))
    assert solution.value == pytest.approx(plain.value, rel=1e-9)


def test_population_noise_cannot_move_the_mean_and_says_so() -> None:
    pair = Discriminator.linear(beta=0.1) + Generator.linear()
    solved(Problem(pair, data(17), Latent.normal(3), normalize="mean"), Status.INFEASIBLE)
    skip = Discriminator.quadratic(beta=3.0, skip=True) + Generator.linear()
    solved(Problem(skip, data(17), Latent.normal(3), normalize="mean"), Status.INFEASIBLE)
    centred = data(17) - data(17).mean(axis=0)
    solved(Problem(skip, centred, Latent.normal(3), normalize="mean"))


def test_norm_bound_with_skip_and_immovable_mean_is_infeasible() -> None:
    Z = noise(15) - noise(15).mean(axis=0)
    pair = Discriminator.quadratic(norm_bound=True, skip=True) + Generator.linear()
    solved(Problem(pair, data(15), Z), Status.INFEASIBLE)


def test_duplicated_rows_double_the_moments() -> None:
    X, Z = data(18), noise(18)
    for normalize, factor in (("sum", 2.0), ("mean", 1.0)):
        single = solved(Problem(Discriminator.quadratic(beta=4.0) + Generator.linear(), X, Z, normalize=normalize))  # type: ignore[arg-type]
        twice = solved(
            Problem(
                Discriminator.quadratic(beta=4.0 * factor) + Generator.linear(),
                np.vstack([X, X]),
                np.vstack([Z, Z]),
                normalize=normalize,  # type: ignore[arg-type]
            )
        )
        assert twice.value == pytest.approx(factor * single.value, rel=1e-10)


def test_identical_rows_are_certified() -> None:
    for problem in everything(np.tile([1.0, -2.0, 0.5], (6, 1)), noise(19)):
        solved(problem)


def test_identical_noise_rows_are_certified_or_proven_infeasible() -> None:
    for problem in everything(np.tile([1.0, -2.0, 0.5], (6, 1)), np.tile([1.0, 2.0], (5, 1))):
        solution = problem.solve()
        assert solution.status in (Status.CERTIFIED, Status.INFEASIBLE), f"{problem.wgan!r} {solution.certificate}"
        assert verify(problem, solution).status is solution.status


# ---- storage -----------------------------------------------------------------------------------------------------


def same_answers(X: Any, Z: Any, reference_X: Array, reference_Z: Array, rel: float) -> None:
    size = float(np.linalg.norm(reference_X, 2) ** 2)
    for wgan, needs in (
        (Discriminator.linear(beta=2.0) + Generator.linear(), True),
        (Discriminator.quadratic(beta=0.2 * size) + Generator.linear(), True),
        (Discriminator.quadratic(beta=0.2 * size) + Generator.linear() + Regularizer.weights(1.0), True),
        (Discriminator.quadratic(beta=0.2 * size, skip=True) + Generator.free(), False),
        (Discriminator.polynomial(1.0, 0.5, 0.0, beta=0.3 * size) + Generator.free(), False),
    ):
        found = solved(Problem(wgan, X, Z if needs else None))
        expected = solved(Problem(wgan, reference_X, reference_Z if needs else None))
        assert found.value == pytest.approx(expected.value, rel=rel), wgan


def test_integer_data_and_noise_give_the_float_answer() -> None:
    rng = np.random.default_rng(20)
    X, Z = rng.integers(-5, 6, (12, 3)), rng.integers(-3, 5, (10, 4))
    for kind in (np.int8, np.int16, np.int64):
        same_answers(X.astype(kind), Z.astype(kind), X.astype(float), Z.astype(float), 1e-12)
    same_answers((X + 5).astype(np.uint8), (Z + 3).astype(np.uint8), X + 5.0, Z + 3.0, 1e-12)


def test_boolean_data_give_the_float_answer() -> None:
    X = np.random.default_rng(21).uniform(size=(15, 3)) < 0.6
    same_answers(X, noise(21), X.astype(float), noise(21), 1e-12)


def test_lists_give_the_array_answer() -> None:
    same_answers(data(22).tolist(), noise(22).tolist(), data(22), noise(22), 1e-12)


def test_float32_data_are_certified_at_float32_tolerance() -> None:
    same_answers(data(23).astype(np.float32), noise(23).astype(np.float32), data(23), noise(23), 1e-4)


def test_float16_data_become_float32() -> None:
    X, Z = data(23).astype(np.float16), noise(23).astype(np.float16)
    same_answers(X, Z, X.astype(float), Z.astype(float), 1e-4)


def test_fortran_order_gives_the_same_answer() -> None:
    same_answers(np.asfortranarray(data(24)), np.asfortranarray(noise(24)), data(24), noise(24), 1e-12)


def test_non_contiguous_views_give_the_same_answer() -> None:
    X, Z = np.repeat(np.repeat(data(25), 2, axis=0), 3, axis=1), np.repeat(noise(25), 2, axis=1)
    same_answers(X[::2, ::3], Z[:, ::2], data(25), noise(25), 1e-12)
    same_answers(data(25)[::-1, ::-1], noise(25)[::-1, ::-1], data(25)[:, ::-1].copy(), noise(25).copy(), 1e-6)


def test_read_only_and_byte_swapped_arrays_give_the_same_answer() -> None:
    X, Z = data(26), noise(26)
    X.setflags(write=False)
    same_answers(X, Z, data(26), noise(26), 1e-12)
    same_answers(X.astype(">f8"), Z.astype(">f8"), data(26), noise(26), 1e-12)


def test_torch_views_and_gradients_give_the_same_answer() -> None:
    torch = pytest.importorskip("torch")
    X, Z = torch.tensor(data(27)), torch.tensor(noise(27))
    same_answers(X.T.contiguous().T, Z, data(27), noise(27), 1e-12)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        same_answers(X.clone().requires_grad_(True), Z, data(27), noise(27), 1e-12)


def test_the_data_are_not_changed_by_a_solve() -> None:
    X, Z = data(28), noise(28)
    kept_X, kept_Z = X.copy(), Z.copy()
    for problem in everything(X, Z):
        problem.solve()
    np.testing.assert_array_equal(X, kept_X)
    np.testing.assert_array_equal(Z, kept_Z)


# ---- scales ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", [1e-8, 1e-4, 1e4, 1e8])
def test_status_and_relative_gap_do_not_depend_on_the_scale_of_the_data(scale: float) -> None:
    X, Z = data(29), noise(29)
    size, length = float(np.linalg.norm(X, 2) ** 2), float(np.linalg.norm(X.sum(axis=0)))
    for make in (
        lambda c: Discriminator.linear(beta=0.3 * length * c) + Generator.linear(),
        lambda c: Discriminator.linear(beta=0.3 * length * c) + Generator.linear() + Regularizer.weights(1.0),
        lambda c: Discriminator.quadratic(beta=0.3 * size * c**2) + Generator.linear(),
        lambda c: Discriminator.quadratic(beta=0.3 * size * c**2, skip=True) + Generator.free(),
        lambda c: Discriminator.quadratic(beta=0.3 * size * c**2) + Generator.linear() + Regularizer.weights(1.0),
        lambda c: Discriminator.quadratic(norm_bound=True) + Generator.linear() + Regularizer.output(0.7),
        lambda c: Discriminator.quadratic(components=1) + Generator.linear(),
        lambda c: Discriminator.polynomial(1.0, 0.4 * c, 0.1 * c**2, beta=0.3 * size * c**2) + Generator.free(),
    ):
        pair, moved = make(1.0), make(scale)
        free = pair.players[1].kind == "free"
        plain = solved(Problem(pair, X, None if free else Z))
        scaled = solved(Problem(moved, scale * X, None if free else Z))
        assert scaled.value == pytest.approx(scale**2 * plain.value, rel=1e-6)
        assert scaled.relative_gap <= 1e-7 + 10 * abs(plain.relative_gap)


@pytest.mark.parametrize("scale", [1e-8, 1e8])
def test_the_scale_of_the_noise_does_not_matter_for_the_output(scale: float) -> None:
    X, Z = data(30), noise(30)
    for discriminator in (
        Discriminator.linear(beta=2.0),
        Discriminator.quadratic(beta=15.0),
        Discriminator.quadratic(norm_bound=True),
        Discriminator.polynomial(1.0, 0.4, 0.1, beta=15.0),
    ):
        plain = solved(Problem(discriminator + Generator.linear(), X, Z))
        scaled = solved(Problem(discriminator + Generator.linear(), X, scale * Z))
        assert scaled.value == pytest.approx(plain.value, rel=1e-6)


@pytest.mark.parametrize("scale", [1e-8, 1e8])
def test_infeasibility_does_not_depend_on_the_scale(scale: float) -> None:
    X, Z = np.diag([3.0, 2.0, 1.0]), np.outer(np.arange(1.0, 8.0), [1.0, -2.0, 0.5])
    pair = Discriminator.quadratic(beta=2.0 * scale**2) + Generator.linear()
    solved(Problem(pair, scale * X, Z), Status.INFEASIBLE)
    solved(Problem(pair, scale * X, scale * Z), Status.INFEASIBLE)


@pytest.mark.parametrize("mean", [1e-2, 1e-3, 1e-4, 1e-6, 1e-8])
def test_polynomial_with_noise_of_a_small_mean_is_certified_near_the_value_of_centred_noise(mean: float) -> None:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, 2)) + np.array([1.0, 0.5])
    Z = rng.standard_normal((40, 3))
    Z -= Z.mean(axis=0)
    for discriminator in (
        Discriminator.polynomial(1, 0.01, 0, beta=10.0),
        Discriminator.polynomial(1, 0.01, 0, norm_bound=True),
    ):
        centred, moved = (solved(Problem(discriminator + Generator.linear(), X, Z + e)) for e in (0.0, mean))
        assert moved.value == pytest.approx(centred.value, rel=1e-6 + 1e-2 * mean)


@pytest.mark.parametrize("scale", [1e-200, 1e-160, 1e153, 1e200])
def test_scales_whose_squares_leave_float64_are_refused_or_correct(scale: float) -> None:
    X = scale * data(31)
    for discriminator in (
        Discriminator.quadratic(norm_bound=True),
        Discriminator.quadratic(components=1),
        Discriminator.linear(norm_bound=True),
        Discriminator.quadratic(beta=1.0),
    ):
        try:
            solution = Problem(discriminator + Generator.free(), X).solve()
        except InputError:
            continue
        assert not math.isnan(solution.value)
        assert not math.isnan(solution.bound)


@pytest.mark.parametrize("strength", [1e-100, 1e-12, 1e12, 1e100])
def test_extreme_regularisation_is_refused_or_correct(strength: float) -> None:
    for discriminator in (Discriminator.quadratic(norm_bound=True), Discriminator.quadratic(beta=3.0)):
        for skip in (False, True):
            pair = replace(discriminator, skip=skip) + Generator.free() + Regularizer.output(strength)
            solution = Problem(pair, data(32)).solve()
            assert not math.isnan(solution.value)
            assert solution.status in (Status.CERTIFIED, Status.UNVERIFIED)


def test_smallest_strength_does_not_overflow_the_count_of_components() -> None:
    pair = Discriminator.quadratic(norm_bound=True) + Generator.free() + Regularizer.output(1e-100)
    for skip in (False, True):
        wgan = replace(pair, discriminator=Discriminator.quadratic(norm_bound=True, skip=skip))
        problem = Problem(wgan, data(32))
        problem.explain()
        assert not math.isnan(problem.solve().value)
