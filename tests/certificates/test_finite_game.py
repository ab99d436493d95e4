"""The judge of finite games: suprema bound what brute force finds; wrong saddle points are never certified."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convexwgan.certificates.certificate import Status
from convexwgan.certificates.divergence_sup import lagrangian_terms, supremum
from convexwgan.certificates.finite_classes import Claimed, member, neuron_distance, tilts_of
from convexwgan.certificates.finite_game import certify_finite_game, evaluate_finite_game
from convexwgan.solvers.finite_game import solve_finite_game
from convexwgan.solvers.finite_game_scaling import FiniteGameData
from convexwgan.spec.discriminator import Discriminator
from convexwgan.spec.divergence import NAMES, Divergence
from convexwgan.spec.finite_discriminator import FeatureDiscriminator, LipschitzDiscriminator, NeuronDiscriminator

X = np.random.default_rng(5).standard_normal((6, 2))
P = np.array([0.3, 0.2, 0.0, 0.25, 0.15, 0.1])
EVERYWHERE = np.ones(6, dtype=bool)
SETTINGS = {"tol": 1e-7}
CLASSES: dict[str, Any] = {
    "any": None,
    "lipschitz": LipschitzDiscriminator.of_points(X),
    "features": FeatureDiscriminator(np.column_stack([np.ones(6), X])),
    "ball": FeatureDiscriminator(np.column_stack([np.ones(6), X]), bound=2.0),
    "linear": NeuronDiscriminator(X, Discriminator.linear(norm_bound=True)),
    "quadratic": NeuronDiscriminator(X, Discriminator.quadratic(norm_bound=True)),
    "relu": NeuronDiscriminator(X, Discriminator.relu(norm_bound=True)),
}


def grid(d: Divergence) -> Any:
    low, high = d.domain
    ends = [end for end in d.domain if math.isfinite(end)]
    wide = np.concatenate([np.linspace(-8, 8, 4001), np.geomspace(1e-6, 8, 500)])
    return np.concatenate([wide[(wide > low) & (wide < high)], ends])


@settings(max_examples=30, deadline=None)
@given(
    st.sampled_from(NAMES),
    st.sampled_from([0.0, 0.2, 1.0]),
    st.sampled_from([0.0, 0.3, 2.0]),
    st.floats(-3.0, 3.0, allow_subnormal=False),
)
def test_supremum_bounds_every_output_and_is_attained(name: str, a: float, b: float, y: float) -> None:
    d = Divergence.named(name)
    D = grid(d)
    full = [np.full(len(D), number) for number in (a, b, y)]
    best = float(np.max(lagrangian_terms(d, *full, D)))
    ends = [np.array([number]) for number in (a, b, y)]
    assert supremum(d, *ends, (-math.inf, math.inf))[0] >= best - 1e-12
    boxed = float(supremum(d, *ends, (-8.0, 8.0))[0])
    assert best - 1e-12 <= boxed <= best + 1e-3 * (1 + abs(a) + abs(b) + abs(y))


@pytest.mark.parametrize("name", NAMES)
def test_bisected_supremum_of_a_custom_copy_agrees_with_the_closed_form(name: str) -> None:
    row = Divergence.named(name)
    own = Divergence.custom(row.f0, row.f1, row.optimum, domain=row.domain, derivatives=(row.df0, row.df1))
    a, b, y = np.array([0.2, 0.5, 0.4]), np.array([0.3, 0.4, 0.1]), np.array([0.05, -0.1, 0.0])
    box = (-30.0, 30.0)
    ours = supremum(own, a, b, y, box)
    assert np.all(ours >= supremum(row, a, b, y, box) - 1e-13)
    np.testing.assert_allclose(ours, supremum(row, a, b, y, box), atol=1e-10)


def solved(name: str, kind: str) -> tuple[Divergence, Any, Claimed]:
    divergence, chosen = Divergence.named(name), CLASSES[kind]
    point = solve_finite_game(FiniteGameData(P, divergence, chosen, EVERYWHERE), SETTINGS)
    return divergence, chosen, Claimed(point.values["D"], point.multipliers["p_g"], point.values, point.multipliers)


@pytest.mark.parametrize("kind", CLASSES)
@pytest.mark.parametrize("name", ["jensen-shannon", "pearson", "hellinger"])
def test_solved_games_are_certified_and_their_tampered_copies_are_not(name: str, kind: str) -> None:
    divergence, chosen, claimed = solved(name, kind)
    certificate, p_g, D = certify_finite_game(P, divergence, chosen, EVERYWHERE, claimed, 1e-6)
    assert certificate.status is Status.CERTIFIED
    assert certificate.lower <= certificate.upper + 1e-12
    assert np.all(p_g >= 0)
    assert D.shape == (6,)
    wrong = replace(claimed, p_g=claimed.p_g + 0.05 * np.array([1.0, -1, 1, -1, 1, -1]))
    tampered, _, _ = certify_finite_game(P, divergence, chosen, EVERYWHERE, wrong, 1e-6)
    assert tampered.status is not Status.CERTIFIED
    assert tampered.upper >= certificate.lower - 1e-9


@pytest.mark.parametrize("kind", ["any", "lipschitz", "ball", "linear", "quadratic", "relu"])
def test_whatever_is_claimed_the_bounds_enclose_the_value(kind: str) -> None:
    divergence, chosen, claimed = solved("least-squares", kind)
    truth, _, _ = certify_finite_game(P, divergence, chosen, EVERYWHERE, claimed, 1e-6)
    rng = np.random.default_rng(0)
    for _ in range(10):
        noisy = {name: array + rng.normal(0, 0.3, array.shape) for name, array in claimed.values.items()}
        flow = {name: np.abs(array + rng.normal(0, 0.1, array.shape)) for name, array in claimed.multipliers.items()}
        wrong = Claimed(noisy["D"], np.abs(claimed.p_g + rng.normal(0, 0.1, 6)), noisy, flow)
        certificate, _, _ = certify_finite_game(P, divergence, chosen, EVERYWHERE, wrong, 1e-6)
        assert certificate.lower <= truth.upper + 1e-9
        assert certificate.upper >= truth.lower - 1e-9


def test_repaired_lipschitz_outputs_are_lipschitz_in_both_directions() -> None:
    metric = CLASSES["lipschitz"]
    wild = np.random.default_rng(1).normal(0, 5, 6)
    for falling in (True, False):
        D = member(metric, Claimed(wild, P), 0.0, falling)
        assert np.all(np.abs(D[:, None] - D[None, :]) <= metric.distances + 1e-12)


def test_tilts_of_a_class_pair_to_zero_with_what_it_leaves_free() -> None:
    y, curvature = np.array([0.3, -0.2, 0.1, 0.4, -0.5, 0.2]), np.array([1.0, 2.0, 0.0, 1.0, 0.5, 1.0])
    phi = CLASSES["features"].features
    (tilt,) = tilts_of(CLASSES["features"], y, curvature, np.zeros((6, 6)))
    assert np.abs(phi.T @ tilt.y).max() < 1e-14
    assert tilt.y[2] == y[2]  # no curvature: not moved
    (moved,) = tilts_of(CLASSES["lipschitz"], y, curvature, np.zeros((6, 6)))
    assert abs(moved.y.sum()) < 1e-14
    D = 0.9 * X[:, 0]  # Lipschitz: −yᵀD stays below the cost of the flow through the hub
    assert -moved.y @ D <= moved.cost


def test_neuron_distance_is_not_exceeded_by_any_neuron() -> None:
    y = np.array([0.3, -0.2, 0.1, 0.4, -0.5, -0.1])
    angles = np.linspace(0, 2 * np.pi, 50_000)
    t = X @ np.stack([np.cos(angles), np.sin(angles)])
    for kind, sigma in (("linear", t), ("quadratic", t**2), ("relu", np.maximum(t, 0.0))):
        most = float(np.abs(y @ sigma).max())
        assert most <= neuron_distance(CLASSES[kind], y) <= most + 1e-6


def test_evaluation_of_a_wrong_discriminator_brackets_and_does_not_certify() -> None:
    divergence = Divergence.named("kullback-leibler")
    q = np.array([0.2, 0.2, 0.1, 0.2, 0.2, 0.1])
    good, _ = evaluate_finite_game(P, divergence, None, q, Claimed(P / q, q), 1e-7)
    assert good.status is Status.CERTIFIED
    assert good.upper == pytest.approx(float(np.sum(P[P > 0] * np.log(P[P > 0] / q[P > 0]))), abs=1e-12)
    bad, _ = evaluate_finite_game(P, divergence, None, q, Claimed(np.ones(6), q), 1e-7)
    assert bad.status is Status.BRACKETED
    assert bad.lower < good.lower
