"""Finite games: p_g = p_d from the multipliers of the solve; words, programs and bad input."""

from __future__ import annotations

import math
from typing import Any

import cvxpy as cp
import numpy as np
import pytest

from convexwgan import (
    Discriminator,
    Divergence,
    FeatureDiscriminator,
    FiniteGame,
    LipschitzDiscriminator,
    NeuronDiscriminator,
    Status,
)
from convexwgan.errors import InputError, NotConicError
from convexwgan.models.finite_game import FiniteGameSolution
from convexwgan.spec.divergence import NAMES

RNG = np.random.default_rng(11)
W0 = Divergence.named("wasserstein", epsilon=0.0)
N = 9
X = RNG.standard_normal((N, 2))
P = RNG.dirichlet(np.ones(N))
P[2] = 0.0
P /= P.sum()
Q = RNG.dirichlet(np.ones(N))
S = np.arange(N) % 3 != 0  # the generator may not go to points 0, 3, 6


def distribution(n: int, seed: int) -> np.ndarray[Any, Any]:
    p = np.random.default_rng(seed).dirichlet(np.ones(n))
    p[np.random.default_rng(seed + 1).random(n) < 0.25] = 0.0
    p[0] += p.sum() == 0
    return p / p.sum()


def is_certified(solution: FiniteGameSolution) -> bool:
    return solution.status is Status.CERTIFIED and abs(solution.gap) <= 1e-7 * max(1.0, abs(solution.value))


# ---- any discriminator -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("n", [1, 3, 40, 200])
def test_multipliers_are_the_data_distribution_zeros_included(name: str, n: int) -> None:
    p = distribution(n, n)
    solution = FiniteGame(p, name).solve()
    assert is_certified(solution)
    assert np.abs(solution.generated - p).max() <= 1e-6
    d = Divergence.named(name)
    assert solution.value == pytest.approx(d.value, abs=1e-7)
    np.testing.assert_allclose(solution.discriminator[p > 0], d.optimum, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_multipliers_come_out_of_the_solver_and_newton_only_adds_digits(name: str) -> None:
    raw = FiniteGame(P, name).solve(polish=False)
    assert is_certified(raw)
    assert np.abs(raw.generated - P).max() <= 1e-4
    polished = FiniteGame(P, name).solve()
    assert np.abs(polished.generated - P).max() <= max(1e-12, np.abs(raw.generated - P).max())
    assert "polished by" in polished.stats.extra


@pytest.mark.parametrize("name", NAMES)
def test_tiny_probabilities_are_found(name: str) -> None:
    p = np.array([1e-12, 1e-9, 1e-6, 1 - 1e-6 - 1e-9 - 1e-12])
    solution = FiniteGame(p, name).solve()
    assert is_certified(solution)
    assert np.abs(solution.generated - p).max() <= 1e-9


def closed_form(name: str, a: Any, b: Any) -> float:
    """sup_D Σ a f₀(D) + b f₁(D) as a divergence of distributions, from the textbooks."""
    on, both = a > 0, a + b > 0
    kl = float(np.sum(a[on] * np.log(a[on] / b[on])))
    m = (a + b) / 2
    js = (kl_of(a, m) + kl_of(b, m)) / 2
    return {
        "jensen-shannon": 2 * js - math.log(2),
        "kullback-leibler": kl,
        "reverse-kl": kl_of(b, a) - 1,
        "pearson": float(np.sum((a - b) ** 2 / b)),
        "hellinger": float(np.sum((np.sqrt(a) - np.sqrt(b)) ** 2)),
        "least-squares": float(np.sum((a - b)[both] ** 2 / (a + b)[both])) / 4 - 0.25,
        "wasserstein": float(np.sum((a - b) ** 2 / a)),  # 4ε = 1
    }[name]


def kl_of(a: Any, b: Any) -> float:
    on = a > 0
    return float(np.sum(a[on] * np.log(a[on] / b[on])))


@pytest.mark.parametrize("name", NAMES)
def test_value_of_a_given_generator_is_the_divergence_of_the_textbooks(name: str) -> None:
    p = np.array([0.2, 0.5, 0.3])
    q = np.array([0.4, 0.25, 0.35])
    solution = FiniteGame(p, name).evaluate(q)
    assert is_certified(solution)
    assert solution.value == pytest.approx(closed_form(name, p, q), abs=1e-8)


@pytest.mark.parametrize("name", NAMES)
def test_generator_without_access_to_data_points_pays_or_is_proven_infinitely_far(name: str) -> None:
    p, support = np.array([0.3, 0.5, 0.2]), np.array([False, True, True])
    solution = FiniteGame(p, name, support=support).solve()
    if name in ("kullback-leibler", "pearson"):
        assert solution.status is Status.INFEASIBLE
        assert solution.value == solution.bound == math.inf
        return
    assert is_certified(solution)
    d, top = Divergence.named(name), {"reverse-kl": 0.0, "least-squares": 0.0, "jensen-shannon": 0.0}.get(name, 1.0)
    assert solution.value == pytest.approx(0.7 * d.value + 0.3 * top, abs=1e-7)  # sup f₀ = top where p_g = 0
    assert solution.generated[0] == 0.0
    np.testing.assert_allclose(solution.generated[1:], p[1:], atol=1e-6)


def test_custom_divergence_is_solved_like_the_row_that_it_copies() -> None:
    row = Divergence.named("kullback-leibler")
    own = Divergence.custom(
        row.f0, row.f1, 1.0, domain=(0.0, math.inf), expressions=(lambda D: cp.log(D), lambda D: 1 - D)
    )
    solution = FiniteGame(P, own).solve()
    assert is_certified(solution)
    assert np.abs(solution.generated - P).max() <= 1e-6


def test_custom_divergence_without_expressions_has_no_conic_form() -> None:
    own = Divergence.custom(np.log, lambda D: 1 - D, 1.0, domain=(0.0, math.inf))
    with pytest.raises(NotConicError, match="expressions"):
        FiniteGame(P, own).solve()
    assert FiniteGame([0.5, 0.5], own).iterate(n_iter=50).generated.sum() == pytest.approx(1.0, abs=1e-6)


# ---- words, programs, bad input ----------------------------------------------------------------------------------


def test_to_cvxpy_is_the_program_whose_first_multiplier_is_the_generated_distribution() -> None:
    problem = FiniteGame(P, "pearson").to_cvxpy()
    problem.solve(solver="CLARABEL")
    np.testing.assert_allclose(problem.constraints[0].dual_value, P, atol=1e-5)
    relu = NeuronDiscriminator(X[:, :1], Discriminator.relu(norm_bound=True, bias=True))
    full = FiniteGame(P, W0, relu, S)
    assert full.to_cvxpy().solve(solver="CLARABEL") == pytest.approx(full.solve().value, abs=1e-6)


def test_explain_says_what_the_class_can_tell_apart() -> None:
    assert "p_g = p_d" in str(FiniteGame(P).explain())
    moments = FiniteGame(P, "pearson", FeatureDiscriminator(np.column_stack([np.ones(N), X]))).explain()
    assert "features match" in moments.conclusion
    away = FiniteGame(P, W0, LipschitzDiscriminator.of_points(X), S).explain()
    assert [holds for _, holds in away.conditions] == [True, True, False, True]
    assert "found by solving" in away.conclusion


BAD_DISTRIBUTIONS = {
    "negative": [1.2, -0.2],
    "sum": [0.5, 0.6],
    "nan": [0.5, math.nan],
    "infinite": [0.5, math.inf],
    "empty": [],
    "matrix": [[0.5, 0.5]],
    "scalar": 1.0,
    "text": ["a", "b"],
    "complex": [0.5 + 1j, 0.5],
    "none": None,
    "overflow": [1e308, 1e308],
    "mask": np.ma.array([0.5, 0.5], mask=[False, True]),
    "complex array": np.array([0.5 + 0j, 0.5]),
}


@pytest.mark.parametrize("case", BAD_DISTRIBUTIONS)
def test_what_is_no_distribution_is_refused(case: str) -> None:
    with pytest.raises(InputError, match="p_data"):
        FiniteGame(BAD_DISTRIBUTIONS[case])
    with pytest.raises(InputError, match="p_g"):
        FiniteGame([0.5, 0.5]).evaluate(BAD_DISTRIBUTIONS[case])


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"divergence": "js"}, "divergence"),
        ({"divergence": 3}, "divergence"),
        ({"discriminator": "relu"}, "discriminator"),
        ({"discriminator": Discriminator.linear(norm_bound=True)}, "discriminator"),
        ({"discriminator": FeatureDiscriminator(np.eye(3))}, "points"),
        ({"support": [True]}, "support"),
        ({"support": [0, 1]}, "support"),
        ({"support": [False, False]}, "support"),
    ],
)
def test_bad_parts_of_a_game_are_refused(options: dict[str, Any], word: str) -> None:
    with pytest.raises(InputError, match=word):
        FiniteGame([0.5, 0.5], **options)


@pytest.mark.parametrize("options", [{"tol": 0.0}, {"tol": 1.0}, {"solver": "HOPE"}, {"max_iter": 0}, {"polish": 1}])
def test_bad_settings_of_solve_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        FiniteGame([0.5, 0.5]).solve(**options)


def test_class_without_a_feasible_discriminator_has_no_candidate_and_no_certificate() -> None:
    opposite = FeatureDiscriminator(np.array([[1.0], [-1.0]]))  # D and −D are never both ≥ 1
    solution = FiniteGame([0.5, 0.5], "reverse-kl", opposite).solve()
    assert solution.status is Status.FAILED
    assert np.all(np.isnan(solution.generated))


def test_torch_tensors_frames_and_float32_are_taken() -> None:
    torch = pytest.importorskip("torch")
    for p in (torch.tensor([0.25, 0.75]), np.array([0.25, 0.75], dtype=np.float32)):
        np.testing.assert_allclose(FiniteGame(p).solve().generated, [0.25, 0.75], atol=1e-7)


def test_iterate_refuses_restricted_games() -> None:
    with pytest.raises(InputError, match="restricted"):
        FiniteGame(P, "pearson", FeatureDiscriminator(X)).iterate()


@pytest.mark.parametrize(
    ("name", "p", "q"),
    [
        ("kullback-leibler", [0.5, 0.5], [1.0, 0.0]),
        ("pearson", [0.5, 0.5], [1.0, 0.0]),
        ("reverse-kl", [1.0, 0.0], [0.5, 0.5]),
        ("wasserstein", [1.0, 0.0], [0.5, 0.5]),
    ],
)
def test_generator_at_infinite_divergence_is_said_to_be_infinitely_far(name: str, p: Any, q: Any) -> None:
    solution = FiniteGame(p, name).evaluate(q)
    assert solution.status is Status.INFEASIBLE
    assert solution.value == solution.bound == math.inf
    assert "point 1" in str(solution.certificate)


def test_evaluate_refuses_mass_where_the_generator_may_not_go() -> None:
    with pytest.raises(InputError, match=r"p_g\[1\]"):
        FiniteGame([0.5, 0.5], support=[True, False]).evaluate([0.5, 0.5])


def test_denormal_probabilities_do_not_break_the_certificate() -> None:
    p = np.array([1e-212, 1e-300, 0.25, 0.75])
    for name in NAMES:
        assert is_certified(FiniteGame(p, name).solve())
