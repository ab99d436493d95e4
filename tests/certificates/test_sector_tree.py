"""The judge of a tree of sectors: leaves cover every G, bounds hold for every G, a tampered tree proves nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convexwgan import Discriminator, Generator, Regularizer
from convexwgan.certificates.measures import MeasureEvidence, gather_measure
from convexwgan.certificates.sector_tree import _replayed, _sector_upper, most_cost, tree_bound
from convexwgan.geometry.relu_distances import relu_distance
from convexwgan.geometry.sectors import ray_sums, rays, sector_arcs
from convexwgan.solvers.branching.tree import children_of

Array = np.ndarray[Any, Any]


def evidence_of(X: Array, beta: float, n: int, normalize: Any = "sum", strength: float = 1.0) -> MeasureEvidence:
    wgan = Discriminator.relu(beta=beta) + Generator.free() + Regularizer.output(strength)
    return gather_measure(wgan, X, n, normalize)


def random_tree(n: int, splits: int, duals: int, rng: np.random.Generator) -> Array:
    """A tree grown by splitting random leaves; each leaf gets a random discriminator."""
    nodes: list[list[int]] = []
    level, left = [np.ones(n, dtype=np.int64)], splits
    while level:
        following: list[Array] = []
        for row in level:
            if left and (len(level) == 1 or rng.random() < 0.7):
                sector, left = int(rng.choice(row)), left - 1
                nodes.append([sector, -1])
                following += list(children_of(row, sector))
            else:
                nodes.append([0, int(rng.integers(duals))])
        level = following
    return np.array(nodes, dtype=np.float64)


def random_neurons(duals: int, rng: np.random.Generator) -> Array:
    owner = np.repeat(np.arange(duals), 4)
    v = rng.standard_normal(len(owner)) + 0.7
    return np.column_stack([owner, rays(rng.uniform(0.0, 7.0, len(owner))), v])


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), n=st.integers(1, 5), splits=st.integers(0, 6))
def test_some_leaf_takes_any_samples(seed: int, n: int, splits: int) -> None:
    rng = np.random.default_rng(seed)
    leaves = _replayed(random_tree(n, splits, 2, rng).astype(np.int64), n)
    assert leaves is not None
    for _ in range(20):
        angles = rng.uniform(-0.5 * np.pi, 1.5 * np.pi, n)
        assert any(can_be_dealt(angles, row) for row in leaves.sectors)


def can_be_dealt(angles: Array, sectors: Array) -> bool:
    """Dyadic sectors are nested or apart: deal to the narrowest first, always to an angle that fits."""
    left = list(angles)
    for sector in sorted(sectors, reverse=True):
        (first,), (width,) = sector_arcs(np.array([sector]))
        fits = [angle for angle in left if first <= angle <= first + width]
        if not fits:
            return False
        left.remove(fits[0])
    return True


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), n=st.integers(1, 4), means=st.booleans())
def test_no_feasible_samples_cost_less_than_the_bound(seed: int, n: int, means: bool) -> None:
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((4, 2))
    weights = (np.full(4, 0.25), np.full(n, 1.0 / n)) if means else (np.ones(4), np.ones(n))
    for _ in range(5):
        G = rng.standard_normal((n, 2)) * rng.uniform(0.2, 2.0)
        found = relu_distance(X, G, real_weights=weights[0], fake_weights=weights[1])
        evidence = evidence_of(X, found.value * (1.0 + 1e-9), n, "mean" if means else "sum", 3.0)
        tree = {
            "tree_basis": np.eye(2),
            "tree_nodes": random_tree(n, 5, 3, rng),
            "tree_neurons": random_neurons(3, rng),
        }
        bound = tree_bound(evidence, tree)
        cost = 1.5 * float(weights[1][0]) * float(np.sum(G * G))
        assert all(check.holds for check in bound.checks)
        assert 0.0 <= bound.value <= cost
        assert cost <= most_cost(evidence)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), k=st.integers(1, 8))
def test_maximum_on_a_sector_is_bounded_from_above_and_closely(seed: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    phi, v = rng.uniform(0.0, 7.0, k), rng.standard_normal(k)
    phi[: k // 2] = 0.5 * np.pi * rng.integers(0, 4, k // 2)
    sectors = rng.integers(1, 2**12, 30)
    upper = _sector_upper(rays(phi), v, sectors)
    for sector, bound in zip(sectors, upper, strict=True):
        (first,), (width,) = sector_arcs(np.array([sector]))
        dense = max(0.0, float(ray_sums(first + width * np.linspace(0.0, 1.0, 4001), phi, v).max()))
        assert dense <= bound <= dense + 1e-3 * width * float(np.abs(v).sum()) + 1e-10


def honest(n: int = 2) -> tuple[MeasureEvidence, dict[str, Array]]:
    rng = np.random.default_rng(0)
    neurons = np.column_stack([np.zeros(8), rays(0.25 * np.pi * np.arange(8)), np.ones(8)])
    nodes = np.array([[1, -1], [0, 0], [0, 0], [0, 0]], dtype=np.float64)
    tree = {"tree_basis": np.eye(2), "tree_nodes": nodes, "tree_neurons": neurons}
    return evidence_of(rng.standard_normal((6, 2)), 0.1, n), tree


def test_an_honest_tree_proves_a_positive_bound() -> None:
    evidence, tree = honest()
    bound = tree_bound(evidence, tree)
    assert bound.value > 0.0
    assert all(check.holds for check in bound.checks)


@pytest.mark.parametrize(
    "nodes",
    [
        [[1, -1], [0, 0], [0, 0]],  # a child is missing
        [[1, -1], [0, 0], [0, 0], [0, 0], [0, 0]],  # one too many
        [[2, -1], [0, 0], [0, 0], [0, 0]],  # a sector that the root does not hold
        [[1, -1], [3, -1], [0, 0], [0, 0], [0, 0], [0, 0]],  # the first child holds sector 2 only
        [[0.5, 0]],
        [[-1, 0]],
        [[0, np.nan]],
        np.zeros((0, 2)),
    ],
)
def test_a_tree_that_does_not_cover_proves_nothing(nodes: Any) -> None:
    evidence, tree = honest()
    bound = tree_bound(evidence, tree | {"tree_nodes": np.array(nodes, dtype=np.float64)})
    assert bound.value == 0.0
    assert [check.holds for check in bound.checks] == [False]


def test_a_long_basis_or_long_neurons_earn_nothing() -> None:
    evidence, tree = honest()
    assert tree_bound(evidence, tree | {"tree_basis": 2.0 * np.eye(2)}).value == 0.0
    longer = tree["tree_neurons"] * np.array([1.0, 5.0, 5.0, 1.0])
    assert tree_bound(evidence, tree | {"tree_neurons": longer}).value == pytest.approx(
        tree_bound(evidence, tree).value
    )


def test_a_leaf_without_a_discriminator_proves_zero() -> None:
    evidence, tree = honest()
    nodes = tree["tree_nodes"].copy()
    nodes[2, 1] = -1
    assert tree_bound(evidence, tree | {"tree_nodes": nodes}).value == 0.0
    nodes[2, 1] = 7
    assert tree_bound(evidence, tree | {"tree_nodes": nodes}).value == 0.0


def test_other_games_have_no_trees() -> None:
    _, tree = honest()
    distribution = gather_measure(Discriminator.relu(beta=0.1) + Generator.distribution(), np.eye(2), None, "sum")
    assert [check.holds for check in tree_bound(distribution, tree).checks] == [False]
