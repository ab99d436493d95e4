"""One feature, ReLU neurons with bias, a custom cost of the outputs that no order of them changes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from convexwgan import Discriminator, Generator, Latent, Problem, Regularizer, Status, verify
from convexwgan.errors import InputError
from convexwgan.geometry.least_spread import least_spread_at

cp = pytest.importorskip("cvxpy")


def entropy(H: Any) -> float:
    """Σ H log H − H, the conjugate of Σ exp."""
    if (H < 0.0).any():
        return np.inf
    return float(np.sum(np.where(H > 0.0, H * np.log(np.where(H > 0.0, H, 1.0)), 0.0) - H))


COSTS = {
    "half a square": (
        lambda G: 0.5 * cp.sum_squares(G),
        lambda G: 0.5 * float(np.sum(G**2)),
        lambda H: 0.5 * float(np.sum(H**2)),
    ),
    "exponentials, not even": (lambda G: cp.sum(cp.exp(G)), lambda G: float(np.exp(G).sum()), entropy),
    "squares around 1, not even": (
        lambda G: cp.sum_squares(G - 1),
        lambda G: float(np.sum((G - 1) ** 2)),
        lambda H: float(np.sum(H + H**2 / 4)),
    ),
    "elastic net, a kink at 0": (
        lambda G: cp.sum(cp.abs(G)) + 0.5 * cp.sum_squares(G),
        lambda G: float(np.abs(G).sum() + 0.5 * np.sum(G**2)),
        lambda H: 0.5 * float(np.sum(np.maximum(np.abs(H) - 1, 0) ** 2)),
    ),
    "largest absolute value": (
        lambda G: cp.max(cp.abs(G)),
        lambda G: float(np.abs(G).max()),
        lambda H: 0.0 if np.abs(H).sum() <= 1.0 else np.inf,
    ),
}


def game(name: str, x: Any, beta: float | None, n_fake: int | None = None, **rest: Any) -> Problem:
    D = Discriminator.relu(bias=True, norm_bound=True) if beta is None else Discriminator.relu(bias=True, beta=beta)
    f, value, conjugate = COSTS[name]
    R = Regularizer.custom(f, of="output", value=value, conjugate=conjugate)
    return Problem(D + Generator.free() + R, np.asarray(x, dtype=float)[:, None], n_fake=n_fake, **rest)


@pytest.mark.parametrize("name", COSTS)
@pytest.mark.parametrize(("normalize", "copies"), [("sum", 1), ("mean", 2)])
def test_custom_cost_is_certified_and_agrees_with_its_conic_program(name: str, normalize: str, copies: int) -> None:
    rng = np.random.default_rng(1)
    for shift, beta in ((0.0, 0.05), (2.0, 0.5), (-2.0, 0.5)):
        x = rng.standard_normal(5).round(1) + shift
        problem = game(name, x, beta, 5 * copies, normalize=normalize)
        closed, conic = problem.solve(), problem.solve(method="conic")
        assert (closed.stats.method, conic.stats.method) == ("closed_form", "conic")
        assert closed.status is conic.status is Status.CERTIFIED, str(conic.certificate)
        assert closed.value == pytest.approx(conic.value, rel=1e-6, abs=1e-7)
        assert problem.dist(closed.generator.output).value <= beta * (1 + 1e-9)
        assert verify(problem, closed).status is verify(problem, conic).status is Status.CERTIFIED
        assert any("assumed" in check.detail for check in closed.certificate.checks)


@pytest.mark.parametrize("name", COSTS)
def test_custom_cost_is_certified_for_unequal_counts_and_under_a_norm_bound(name: str) -> None:
    x = [-1.0, 0.2, 3.0]
    for beta in (0.5, None):
        problem = game(name, x, beta, 4, normalize="mean")
        assert problem.solve().status is Status.CERTIFIED
    sums = game(name, x, None)
    decays = [game(name, x, b).solve().value + b for b in (0.1, 0.5, 1.0, 2.0)]
    assert sums.solve().value <= min(decays) * (1 + 1e-6)


def test_custom_copy_of_a_norm_has_the_norms_own_outputs() -> None:
    x = np.random.default_rng(2).standard_normal(7)
    D = Discriminator.relu(bias=True, beta=0.4)
    for name, R in (("half a square", Regularizer.output(1.0)), ("largest absolute value", Regularizer.norm(np.inf))):
        own = Problem(D + Generator.free() + R, x[:, None]).solve()
        copy = game(name, x, 0.4).solve()
        assert copy.value == pytest.approx(own.value, rel=1e-9)
        np.testing.assert_allclose(copy.generator.output, own.generator.output, atol=1e-9)


def test_relu_generator_under_a_custom_cost_gets_its_weights() -> None:
    x = np.random.default_rng(3).standard_normal(5)
    f, value, conjugate = COSTS["elastic net, a kink at 0"]
    R = Regularizer.custom(f, of="output", value=value, conjugate=conjugate)
    D = Discriminator.relu(bias=True, beta=0.4)
    solution = Problem(D + Generator.relu() + R, x[:, None], Latent.normal(2).draw(5, rng=0)).solve()
    assert solution.status is Status.CERTIFIED
    assert solution.value == pytest.approx(game("elastic net, a kink at 0", x, 0.4).solve().value, rel=1e-5)


def test_cost_that_sees_the_order_is_refused_by_both_methods() -> None:
    weights = np.arange(1.0, 4.0)[:, None]
    R = Regularizer.custom(
        lambda G: cp.sum_squares(cp.multiply(weights, G)),
        of="output",
        value=lambda G: float(np.sum((weights * G) ** 2)),
        conjugate=lambda H: float(np.sum((H / weights) ** 2)) / 4,
    )
    problem = Problem(Discriminator.relu(bias=True, beta=0.4) + Generator.free() + R, np.array([[-1.0], [0.0], [2.0]]))
    assert "✗" in str(problem.explain())
    for method in ("closed_form", "conic"):
        with pytest.raises(InputError, match="every order of the outputs"):
            problem.solve(method=method)


def test_without_value_or_conjugate_nothing_is_certified() -> None:
    x, D = np.array([[-1.0], [0.0], [2.0]]), Discriminator.relu(bias=True, beta=0.4)
    f, value, conjugate = COSTS["half a square"]
    for given, method in (({}, "conic"), ({"value": value}, "closed_form"), ({"conjugate": conjugate}, "conic")):
        problem = Problem(D + Generator.free() + Regularizer.custom(f, of="output", **given), x)
        solution = problem.solve()
        assert solution.stats.method == method
        assert solution.status is Status.UNVERIFIED
        assert problem.dist(solution.generator.output).value <= 0.4 * (1 + 1e-6)


def test_wrong_conjugate_or_tampered_prices_never_certify_another_value() -> None:
    problem = game("half a square", [-1.0, 0.3, 2.0], 0.4)
    solution = problem.solve()
    f, value, _ = COSTS["half a square"]
    for wrong in (lambda H: 0.1 * float(np.sum(H**2)), lambda H: np.nan, lambda H: 10.0 + float(np.sum(H**2))):
        R = Regularizer.custom(f, of="output", value=value, conjugate=wrong)
        assert Problem(problem.wgan.players[0] + Generator.free() + R, problem.X).solve().status is not Status.CERTIFIED
    prices = solution.dual["output_multiplier"]
    for worse in (-prices, 2.0 * prices, np.zeros_like(prices)):
        tampered = replace(solution, dual={**solution.dual, "output_multiplier": worse})
        assert verify(problem, tampered).status is not Status.CERTIFIED


def test_least_spread_at_a_sum_is_majorised_by_random_feasible_outputs_of_that_sum() -> None:
    rng = np.random.default_rng(4)
    x, beta = np.sort(rng.standard_normal(5)), 0.6
    for shift in (-0.4, 0.0, 0.3):
        best = least_spread_at(x, beta, shift).w
        assert best.sum() == pytest.approx(x.sum() + shift)
        for _ in range(400):
            w = np.sort(x + rng.uniform(-beta, beta, 5))
            w += (x.sum() + shift - w.sum()) / 5
            gaps = np.concatenate([np.cumsum(w) - np.cumsum(x), np.cumsum(w[::-1]) - np.cumsum(x[::-1])])
            if np.abs(gaps).max() <= beta:
                assert (np.cumsum(w) <= np.cumsum(best) + 1e-9).all()
