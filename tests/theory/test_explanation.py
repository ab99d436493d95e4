"""Explanations: the conditions of each theorem with the numbers of the data, or without ever looking at them."""

from __future__ import annotations

import re
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from convexwgan import Discriminator, Generator, Latent, Problem, Regularizer
from convexwgan.errors import NotCoveredError
from convexwgan.theory.data import GameData

SKIP = Discriminator.quadratic(beta=2.0, skip=True)


def with_spectrum(values: Any, n: int, rng: np.random.Generator) -> Any:
    """X (n, d) whose squared singular values are ``values``."""
    d = len(values)
    L = np.linalg.qr(rng.standard_normal((n, d)))[0]
    V = np.linalg.qr(rng.standard_normal((d, d)))[0]
    return (L * np.sqrt(values)) @ V.T


def conditions(problem: Problem) -> list[str]:
    return [str(condition) for step in problem.explain().steps for condition in step.conditions]


@pytest.fixture
def forty_eight(rng: np.random.Generator) -> Problem:
    """60 features of which 20 lie above β_d = 100, and noise of rank 48."""
    X = with_spectrum(np.concatenate([np.linspace(400, 101, 20), np.linspace(99, 1, 40)]), 90, rng)
    wgan = Discriminator.quadratic(beta=100.0) + Generator.linear()
    return Problem(wgan, X, rng.standard_normal((90, 48)))


def test_rank_and_number_of_components_are_printed_with_their_true_values(forty_eight: Problem) -> None:
    assert conditions(forty_eight) == ["rank(Z) = 48 ≥ k = #{σ_i² > β_d = 100} = 20 ✓"]
    assert forty_eight.explain().holds
    assert "rank(Z) = 48 ≥ k = #{σ_i² > β_d = 100} = 20 ✓" in str(forty_eight.explain())


def test_a_condition_that_fails_is_crossed_out(rng: np.random.Generator) -> None:
    X = with_spectrum(np.linspace(10, 1, 10), 30, rng)
    Z = rng.standard_normal((30, 2)) @ rng.standard_normal((2, 6))
    problem = Problem(Discriminator.quadratic(beta=4.5) + Generator.linear(), X, Z)
    assert conditions(problem) == ["rank(Z) = 2 ≥ k = #{σ_i² > β_d = 4.5} = 6 ✗"]
    assert not problem.explain().holds


@pytest.mark.parametrize("beta_at_an_eigenvalue", [4.0, 9.0])
def test_an_eigenvalue_equal_to_beta_d_is_not_counted(beta_at_an_eigenvalue: float) -> None:
    X = np.diag([4.0, 3.0, 2.0, 1.0])
    problem = Problem(Discriminator.quadratic(beta=beta_at_an_eigenvalue) + Generator.free(), X)
    k = {4.0: 2, 9.0: 1}[beta_at_an_eigenvalue]
    assert conditions(problem) == [f"n_f = 4 ≥ k = #{{σ_i² > β_d = {beta_at_an_eigenvalue:.4g}}} = {k} ✓"]


def test_components_print_the_beta_d_that_the_data_gave(rng: np.random.Generator) -> None:
    X = with_spectrum(np.array([64.0, 36.0, 16.0, 4.0]), 9, rng)
    problem = Problem(Discriminator.quadratic(components=2) + Generator.free(), X)
    assert conditions(problem) == ["n_f = 9 ≥ k = #{σ_i² > β_d = 16} = 2 ✓"]


def test_a_polynomial_generator_prints_its_lift_and_the_lifted_rank(rng: np.random.Generator) -> None:
    X, Z = with_spectrum(np.array([9.0, 4.0, 1.0]), 30, rng), rng.standard_normal((30, 2))
    problem = Problem(Discriminator.quadratic(beta=2.0) + Generator.polynomial(1, 1, 1), X, Z)
    assert conditions(problem) == [
        "the noise is lifted to 6 features; rank(Z̃) = 6 ✓",
        "rank(Z̃) = 6 ≥ k = #{σ_i² > β_d = 2} = 2 ✓",
    ]


def test_a_mean_that_the_noise_cannot_move_is_named_with_both_numbers() -> None:
    X, Z = np.array([[3.0, 4.0]]), np.array([[1.0], [-1.0]])
    problem = Problem(Discriminator.linear(beta=2.0) + Generator.linear(), X, Z)
    assert conditions(problem) == ["z̄ = 0, so ‖m‖ = 5 ≤ β_d = 2 ✗"]
    feasible = Problem(Discriminator.linear(beta=6.0) + Generator.linear(), X, Z)
    assert conditions(feasible) == ["z̄ = 0, so ‖m‖ = 5 ≤ β_d = 6 ✓"]


def test_the_skip_prints_the_smallest_centred_eigenvalue_and_the_rank_that_is_left(rng: np.random.Generator) -> None:
    X, Z = rng.standard_normal((20, 3)) + 1.0, rng.standard_normal((25, 4)) + 0.5
    m, M = X.sum(0), X.T @ X
    z_bar, A = Z.sum(0), Z.T @ Z
    gamma = np.linalg.eigvalsh(M - np.outer(m, m) / (z_bar @ np.linalg.solve(A, z_bar)))
    problem = Problem(SKIP + Generator.linear(), X, Z)
    lowest, rank = conditions(problem)
    assert lowest == f"γ_min = {gamma[0]:.4g} ≥ −β_d = -2 {'✓' if gamma[0] >= -2 else '✗'}"
    assert rank == f"rank − 1 = 3 ≥ k = #{{γ_i > β_d}} = {(gamma > 2).sum()} ✓"


def test_the_norm_bound_prints_how_many_components_one_over_beta_g_keeps(rng: np.random.Generator) -> None:
    X, Z = rng.standard_normal((20, 6)), rng.standard_normal((20, 4))
    wgan = Discriminator.quadratic(norm_bound=True) + Generator.linear() + Regularizer.output(0.3)
    assert conditions(Problem(wgan, X, Z)) == ["⌊2/β_g⌋ = 6, rank available 4: j = 4 ✓"]


def test_a_conic_route_prints_the_size_of_its_blocks_and_more_memory(rng: np.random.Generator) -> None:
    X = rng.standard_normal((20, 3))
    explanation = Problem(Discriminator.polynomial(1, 1, 0, beta=5.0) + Generator.free(), X).explain()
    assert explanation.method == "conic"
    assert explanation.is_convex
    assert explanation.predicted_memory > Problem(SKIP + Generator.free(), X).explain().predicted_memory > 0


def test_the_text_holds_the_game_each_theorem_its_citation_and_the_method(forty_eight: Problem) -> None:
    text = str(forty_eight.explain())
    assert text.startswith("min_G max_D 1ᵀD(X) − 1ᵀD(G) + (1/2)‖ZW‖_F² − 100 Σ_j |v_j|")
    for number, citation in enumerate(("Lemma 3.1", "Corollary 3.2", "Theorem 4.1 and eq 15"), start=1):
        assert re.search(rf"^{number}\. .*\[Sahiner et al. 2022, {citation}.*; exact\]$", text, re.MULTILINE)
    assert re.search(r"Solved by closed_form \(.*\); about .* [KM]iB beyond the data\.$", text)


def test_predicted_memory_grows_with_the_dimension(rng: np.random.Generator) -> None:
    wgan = Discriminator.quadratic(beta=1.0) + Generator.linear()
    sizes = [
        Problem(wgan, rng.standard_normal((5, d)), rng.standard_normal((5, 2))).explain(data=False).predicted_memory
        for d in (10, 100, 1000)
    ]
    assert sizes == sorted(sizes)
    assert sizes[-1] >= 8 * 1000**2


# ---- data=False ------------------------------------------------------------------------------------------------


class Poison:
    """An array that may be held, but whose numbers nobody may see."""

    ndim, dtype = 2, np.dtype(np.float64)

    def __init__(self, *shape: int) -> None:
        self.shape = shape

    def __getattr__(self, name: str) -> object:
        raise AssertionError(f"data=False looked at the data: {name}")


def test_without_data_nothing_is_factored_and_no_number_is_read(
    forty_eight: Problem, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("data=False gathered the data")

    monkeypatch.setattr(GameData, "__init__", refuse)
    forty_eight.X, forty_eight.Z = Poison(90, 60), Poison(90, 48)
    explanation = forty_eight.explain(data=False)
    assert all(step.conditions == () for step in explanation.steps)
    assert explanation.holds
    assert "data" not in forty_eight.__dict__
    with pytest.raises(AssertionError, match="the data"):
        forty_eight.explain()


def test_with_and_without_data_the_steps_are_the_same(forty_eight: Problem) -> None:
    with_data, without = forty_eight.explain(), forty_eight.explain(data=False)
    assert [step.name for step in with_data.steps] == [step.name for step in without.steps]
    assert (with_data.game, with_data.predicted_memory) == (without.game, without.predicted_memory)


def test_explaining_twice_factors_once(forty_eight: Problem, monkeypatch: pytest.MonkeyPatch) -> None:
    first = forty_eight.explain()
    monkeypatch.setattr(np.linalg, "eigh", None)
    monkeypatch.setattr(np.linalg, "svd", None)
    monkeypatch.setattr(np.linalg, "qr", None)
    assert forty_eight.explain() == first


def test_an_uncovered_pair_is_refused_by_explain_without_looking_at_the_data() -> None:
    pair = Discriminator.relu(beta=1.0) + Generator.linear() + Regularizer.norm(1.0)
    problem = Problem(pair, np.ones((2, 2)), np.ones((2, 2)))
    problem.X = Poison(2, 2)
    with pytest.raises(NotCoveredError, match="The nearest pair that works"):
        problem.explain(data=False)


# ---- array libraries -------------------------------------------------------------------------------------------

PAIRS = [
    Discriminator.linear(beta=1.0) + Generator.linear(),
    Discriminator.linear(norm_bound=True) + Generator.linear() + Regularizer.weights(1.0),
    Discriminator.quadratic(beta=3.0) + Generator.linear(),
    Discriminator.quadratic(beta=3.0) + Generator.linear() + Regularizer.weights(1.0),
    Discriminator.quadratic(norm_bound=True) + Generator.polynomial(1, 1, 1),
    SKIP + Generator.linear(),
    Discriminator.polynomial(1, 1, 0, beta=3.0) + Generator.linear(),
]


@pytest.mark.parametrize("wgan", PAIRS, ids=repr)
def test_conditions_are_the_same_on_each_array_library(
    wgan: object, array_library: ModuleType, rng: np.random.Generator
) -> None:
    X, Z = rng.standard_normal((12, 3)), rng.standard_normal((14, 4)) + 0.3
    moved = Problem(wgan, array_library.asarray(X), array_library.asarray(Z))  # type: ignore[arg-type]
    assert conditions(moved) == conditions(Problem(wgan, X, Z))  # type: ignore[arg-type]


@pytest.mark.parametrize("wgan", PAIRS, ids=repr)
def test_population_noise_is_explained_on_each_array_library(
    wgan: object, array_library: ModuleType, rng: np.random.Generator
) -> None:
    X = rng.standard_normal((12, 3))
    problem = Problem(wgan, array_library.asarray(X), Latent.normal(4), normalize="mean")  # type: ignore[arg-type]
    assert conditions(problem) == conditions(Problem(wgan, X, Latent.normal(4), normalize="mean"))  # type: ignore[arg-type]
