"""Linear discriminator × ReLU generator × weights: one neuron at the farthest vertex of the zonotope (MATH 3.7)."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from convexwgan import Discriminator, Generator, Latent, Problem, Regularizer, Solution, Status, verify
from convexwgan.errors import NotCoveredError

BETA_G = 0.7
LINEAR = Discriminator.linear(beta=0.5)
BOUNDED = Discriminator.linear(norm_bound=True)


def problem(discriminator: Discriminator, Z: Any, X: Any = None, normalize: Any = "sum", bias: bool = False) -> Problem:
    X = np.random.default_rng(5).standard_normal((9, 3)) + 1.0 if X is None else X
    return Problem(discriminator + Generator.relu(bias=bias) + Regularizer.weights(BETA_G), X, Z, normalize=normalize)


def noise(n: int, d: int, seed: int = 0) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).standard_normal((n, d))


def farthest(Z: np.ndarray[Any, Any]) -> float:
    """φ* by brute force: the longest of all 2ⁿ sums of rows."""
    return max(float(np.linalg.norm(np.array(h) @ Z)) for h in product((0.0, 1.0), repeat=len(Z)))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("d", [1, 2, 3, 4])
@pytest.mark.parametrize("normalize", ["sum", "mean"])
def test_the_value_is_that_of_the_farthest_vertex(d: int, seed: int, normalize: Any) -> None:
    Z = noise(10, d, seed)
    game = problem(LINEAR, Z, normalize=normalize)
    solution = game.solve()
    count = 1.0 if normalize == "sum" else 9.0
    phi = farthest(Z) if normalize == "sum" else farthest(Z) / 10
    size = float(np.linalg.norm(np.asarray(game.X).sum(axis=0))) / count
    assert solution.status is Status.CERTIFIED, str(solution.certificate)
    assert solution.value == pytest.approx(BETA_G * (size - 0.5) / phi, rel=1e-8)
    assert solution.bound <= solution.value
    assert solution.sensitivity == pytest.approx(-BETA_G / phi, rel=1e-6)


@pytest.mark.parametrize("seed", range(3))
def test_a_norm_bound_matches_the_mean_exactly_or_not_at_all(seed: int) -> None:
    Z = noise(8, 2, seed)
    game = problem(BOUNDED, Z)
    phi, size = farthest(Z), float(np.linalg.norm(np.asarray(game.X).sum(axis=0)))
    assert game.solve().value == pytest.approx(min(BETA_G / phi, 1.0) * size, rel=1e-8)
    tiny = problem(BOUNDED, 1e-3 * Z).solve()
    assert tiny.status is Status.CERTIFIED
    assert tiny.value == pytest.approx(size, rel=1e-9)


def test_no_random_network_is_better_than_the_bound() -> None:
    Z, rng = noise(12, 3), np.random.default_rng(1)
    game = problem(BOUNDED, Z)
    solution, m = game.solve(), np.asarray(game.X).sum(axis=0)
    for scale in (0.01, 0.1, 0.5, 1.0):
        for _ in range(50):
            W1, W2 = scale * rng.standard_normal((3, 5)), scale * rng.standard_normal((5, 3))
            G = np.maximum(Z @ W1, 0.0) @ W2
            cost = 0.5 * BETA_G * (np.sum(W1**2) + np.sum(W2**2)) + np.linalg.norm(m - G.sum(axis=0))
            assert cost >= solution.bound


def test_noise_of_high_rank_is_bracketed_and_verified() -> None:
    game = problem(LINEAR, noise(60, 9), bias=True)
    solution = game.solve()
    assert solution.status is Status.BRACKETED
    assert 0.0 < solution.bound <= solution.value
    assert solution.relative_gap < 0.3
    assert verify(game, solution).status is Status.BRACKETED


def test_the_network_can_be_called_sampled_exported_saved_and_verified(tmp_path: Path) -> None:
    game = problem(LINEAR, Latent.normal(3).draw(20, rng=2), bias=True)
    solution = game.solve()
    generator = solution.generator
    assert generator is not None
    assert generator.output.shape == (20, 3)
    assert generator.sample(5, rng=0).shape == (5, 3)
    W1, W2 = generator.hidden_weights
    Z = np.array(game.Z)
    expected = np.maximum(np.hstack([Z, np.ones((20, 1))]) @ W1, 0.0) @ W2
    np.testing.assert_allclose(generator(Z), expected, rtol=1e-12)
    torch = pytest.importorskip("torch", reason="to_torch needs the extra torch")
    np.testing.assert_allclose(generator.to_torch()(torch.as_tensor(Z)).detach().numpy(), expected, rtol=1e-12)
    loaded = Solution.load(solution.save(tmp_path / "relu.safetensors"))
    assert verify(game, loaded).status is Status.CERTIFIED


def test_a_perturbed_network_is_never_certified() -> None:
    game = problem(LINEAR, noise(15, 2))
    solution = game.solve()
    assert solution.generator is not None
    for part, size in product(("first", "weights"), (1e-4, 1e-2, 1.0)):
        moved = getattr(solution.generator, part) * (1.0 + size)
        forged = replace(solution, generator=replace(solution.generator, **{part: moved}))
        assert verify(game, forged).status is not Status.CERTIFIED


def test_noise_that_is_zero_is_infeasible_and_a_small_mean_needs_no_weights() -> None:
    assert problem(LINEAR, np.zeros((6, 2))).solve().status is Status.INFEASIBLE
    nothing = problem(LINEAR, noise(6, 2), X=np.full((2, 3), 0.1)).solve()
    assert nothing.status is Status.CERTIFIED
    assert nothing.value == 0.0


def test_every_array_library_gives_the_same_network(array_library: Any) -> None:
    X, Z = np.random.default_rng(3).standard_normal((7, 2)) + 2.0, noise(9, 2)
    reference = problem(LINEAR, Z, X=X).solve()
    solution = problem(LINEAR, array_library.asarray(Z), X=array_library.asarray(X)).solve()
    assert solution.status is Status.CERTIFIED
    assert solution.value == pytest.approx(reference.value, rel=1e-12)


def test_float32_is_certified_to_its_own_tolerance() -> None:
    X = (np.random.default_rng(3).standard_normal((7, 2)) + 2.0).astype(np.float32)
    solution = problem(LINEAR, noise(9, 2).astype(np.float32), X=X).solve()
    assert solution.status is Status.CERTIFIED
    assert solution.generator is not None
    assert solution.generator.weights.dtype == np.float32


def test_other_relu_pairs_are_refused_with_the_reason() -> None:
    for pair in (
        Discriminator.quadratic(beta=1.0, skip=True) + Generator.relu() + Regularizer.weights(1.0),
        LINEAR + Generator.relu() + Regularizer.norm(1, of="weights"),
        Discriminator.quadratic(beta=1.0) + Generator.relu() + Regularizer.norm(1),
    ):
        with pytest.raises(NotCoveredError, match="nearest pair"):
            Problem(pair, np.eye(2), noise(4, 2)).solve()


def test_zero_noise_has_the_zero_output_and_costs_no_weights() -> None:
    X = np.random.default_rng(0).normal(size=(9, 2))
    for wgan in (
        Discriminator.quadratic(norm_bound=True) + Generator.relu(),
        Discriminator.quadratic(beta=50.0) + Generator.relu(factor="optimised"),
    ):
        solution = Problem(wgan, X, np.zeros((5, 2))).solve()
        assert solution.status is Status.CERTIFIED
        assert not np.any(solution.generator.output)
        assert solution.realization.status is Status.CERTIFIED
        assert solution.realization.value == 0.0
    infeasible = Discriminator.quadratic(beta=0.1) + Generator.relu() + Regularizer.weights(1.0)
    assert Problem(infeasible, X, np.zeros((5, 2))).solve().status is Status.INFEASIBLE
