"""One feature of real data, ties and unequal counts included: certified, and dist checked by brute force over kinks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from convexwgan import Discriminator, Generator, Problem, Status, verify

datasets = pytest.importorskip("sklearn.datasets")


def column(name: str) -> np.ndarray:
    """One column as shipped with scikit-learn; how often its commonest number repeats is in the name."""
    load, index = {
        "digits, a pixel of 17 values": (datasets.load_digits, 20),
        "iris, petal width, 29 times 0.2": (datasets.load_iris, 3),
        "diabetes, sex, 2 values": (datasets.load_diabetes, 1),
        "diabetes, body mass": (datasets.load_diabetes, 2),
        "wine, proline": (datasets.load_wine, 12),
        "breast cancer, concavity with 13 zeros": (datasets.load_breast_cancer, 6),
    }[name]
    return np.asarray(load().data[:, index], dtype=np.float64)


NAMES = (
    "digits, a pixel of 17 values",
    "iris, petal width, 29 times 0.2",
    "diabetes, sex, 2 values",
    "diabetes, body mass",
    "wine, proline",
    "breast cancer, concavity with 13 zeros",
)


def brute_force_dist(x: np.ndarray, w: np.ndarray) -> float:
    """max over u = ±1 and every kink b of |mean (ux + b)₊ − mean (uw + b)₊|, and the two ends b → ±∞."""
    largest = abs(float(x.mean() - w.mean()))
    for u in (1.0, -1.0):
        kinks = np.unique(np.concatenate([-u * x, -u * w]))
        for b in np.array_split(kinks, max(1, len(kinks) * (len(x) + len(w)) // 4_000_000)):
            real = np.maximum(u * x[None, :] + b[:, None], 0.0).mean(axis=1)
            fake = np.maximum(u * w[None, :] + b[:, None], 0.0).mean(axis=1)
            largest = max(largest, float(np.abs(real - fake).max()))
    return largest


def means(x: np.ndarray, share: float, n_fake: int | None = None) -> Problem:
    """β_d a share of the mean absolute deviation from 0."""
    D = Discriminator.relu(beta=share * float(np.abs(x).mean()), bias=True)
    return Problem(D + Generator.free(), x[:, None], n_fake=n_fake, normalize="mean")


def checked(problem: Problem, x: np.ndarray) -> Any:
    """The certified solution, its dist by brute force within β_d."""
    solution, beta = problem.solve(), problem.wgan.players[0].beta
    assert solution.status is Status.CERTIFIED, str(solution.certificate)
    assert verify(problem, solution).status is Status.CERTIFIED
    output = solution.generator.output
    dist = brute_force_dist(x, output[:, 0])
    assert dist <= beta * (1.0 + 1e-6)
    assert problem.dist(output).value == pytest.approx(dist, abs=1e-9 * float(np.abs(x).mean()))
    return solution


@pytest.mark.parametrize("share", [0.02, 0.3])
@pytest.mark.parametrize("name", NAMES)
def test_columns_of_real_data_with_ties_are_certified_and_within_beta_by_brute_force(name: str, share: float) -> None:
    x = column(name)
    solution = checked(means(x, share), x)
    assert 0.0 < solution.value < 0.5 * float(np.mean(x**2))


@pytest.mark.parametrize("n_fake", [40, 150, 300, 97])
def test_unequal_counts_on_real_data_are_certified_and_never_beat_the_refined_population(n_fake: int) -> None:
    x = column("iris, petal width, 29 times 0.2")
    solution = checked(means(x, 0.1, n_fake), x)
    population = means(np.repeat(x, n_fake), 0.1, n_fake * len(x)).solve()
    assert solution.value >= population.value * (1.0 - 1e-6)


@pytest.mark.parametrize("name", ["iris, petal width, 29 times 0.2", "breast cancer, concavity with 13 zeros"])
def test_bootstrap_of_ten_thousand_tied_numbers_is_certified_within_seconds(name: str) -> None:
    x = np.random.default_rng(0).choice(column(name), size=10_000)
    problem = means(x, 0.1)
    solution = problem.solve()
    assert solution.status is Status.CERTIFIED
    assert solution.stats.seconds < 3.0  # 0.05 s on an idle core
    beta, w = problem.wgan.players[0].beta, solution.generator.output[:, 0]
    kinks = np.unique(np.concatenate([x, w]))
    some = np.random.default_rng(1).choice(kinks, size=min(200, len(kinks)), replace=False)
    gaps = [abs(np.maximum(x - t, 0.0).mean() - np.maximum(w - t, 0.0).mean()) for t in some]
    assert max(gaps) <= beta * (1.0 + 1e-9)


def test_sums_and_means_of_the_same_real_data_are_one_game() -> None:
    x = column("wine, proline")
    D = Discriminator.relu(beta=0.1 * float(np.abs(x).sum()), bias=True)
    sums, averages = Problem(D + Generator.free(), x[:, None]).solve(), means(x, 0.1).solve()
    assert sums.value == pytest.approx(len(x) * averages.value, rel=1e-9)


@pytest.mark.parametrize("name", ["digits, a pixel of 17 values", "diabetes, sex, 2 values"])
def test_bootstrap_with_a_count_that_is_no_multiple_is_certified_within_seconds(name: str) -> None:
    x = np.random.default_rng(2).choice(column(name), size=10_000)
    solution = means(x, 0.1, 7_000).solve()
    assert solution.stats.method == "conic"
    assert solution.status is Status.CERTIFIED
    assert solution.stats.seconds < 3.0  # 0.1 s on an idle core


@pytest.mark.parametrize("seed", range(6))
def test_outputs_that_no_kink_parts_may_share_a_variable(seed: int) -> None:
    """The program with one variable for each output, in the user's units, has the same optimum."""
    rng = np.random.default_rng(seed)
    x = rng.integers(-2, 4, size=int(rng.integers(1, 9))).astype(float)
    problem = means(x + 0.5, float(rng.uniform(0.1, 0.6)), int(rng.integers(2, 14)))
    solution = problem.solve(method="conic")
    full = problem.to_cvxpy()
    value = full.solve(solver="CLARABEL")
    if solution.status is Status.INFEASIBLE:
        assert full.status == "infeasible"
    else:
        assert solution.status is Status.CERTIFIED
        assert value == pytest.approx(solution.value, rel=1e-5, abs=1e-7)
