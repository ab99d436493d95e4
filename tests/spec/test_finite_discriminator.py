"""Restricted classes on a finite support: what they accept, and one clear error for what they do not."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from convexwgan.errors import InputError
from convexwgan.solvers.conic.finite_game import lipschitz_pairs
from convexwgan.spec.discriminator import Discriminator
from convexwgan.spec.finite_discriminator import FeatureDiscriminator, LipschitzDiscriminator, NeuronDiscriminator

D2 = [[0.0, 1.0], [1.0, 0.0]]
RELU = Discriminator.relu(norm_bound=True, bias=True)


@pytest.mark.parametrize(
    "table",
    [
        [[0.0, 1.0]],
        [[0.0, -1.0], [-1.0, 0.0]],
        [[0.0, 1.0], [2.0, 0.0]],
        [[1.0, 1.0], [1.0, 0.0]],
        [[0.0, math.nan], [math.nan, 0.0]],
        [0.0, 1.0],
    ],
)
def test_tables_that_are_no_distances_are_refused(table: Any) -> None:
    with pytest.raises(InputError, match="distances"):
        LipschitzDiscriminator(table)


@pytest.mark.parametrize("constant", [0.0, -1.0, math.nan, math.inf, "1", True])
def test_bad_constants_and_bounds_are_refused(constant: Any) -> None:
    with pytest.raises(InputError):
        LipschitzDiscriminator(D2, constant)
    with pytest.raises(InputError):
        FeatureDiscriminator(D2, constant)
    with pytest.raises(InputError):
        NeuronDiscriminator(D2, RELU, constant)


@pytest.mark.parametrize(
    "discriminator",
    [Discriminator.quadratic(beta=1.0), Discriminator.polynomial(1, 1, 0, norm_bound=True), "relu", None],
)
def test_only_norm_bounded_linear_quadratic_and_relu_neurons_are_taken(discriminator: Any) -> None:
    with pytest.raises(InputError, match="NeuronDiscriminator"):
        NeuronDiscriminator(D2, discriminator)


def test_bias_skip_and_intercept_become_columns() -> None:
    assert NeuronDiscriminator(D2, RELU).inputs.tolist() == [[0.0, 1.0, 1.0], [1.0, 0.0, 1.0]]
    skip = NeuronDiscriminator(D2, Discriminator.quadratic(norm_bound=True, skip=True))
    assert skip.free_features.tolist() == [[1.0, 0.0, 1.0], [1.0, 1.0, 0.0]]
    assert NeuronDiscriminator(D2, RELU, intercept=False).free_features.shape == (2, 0)
    with pytest.raises(InputError, match="intercept"):
        NeuronDiscriminator(D2, RELU, intercept=1)  # type: ignore[arg-type]


def test_pruned_pairs_imply_all_lipschitz_constraints() -> None:
    points = np.random.default_rng(0).integers(0, 3, (8, 2)).astype(float)  # with duplicates and points on lines
    metric = LipschitzDiscriminator.of_points(points)
    i, j = lipschitz_pairs(metric.distances)
    reach = np.full((8, 8), np.inf)
    reach[i, j] = metric.distances[i, j]
    np.fill_diagonal(reach, 0.0)
    for k in range(8):
        reach = np.minimum(reach, reach[:, [k]] + reach[[k], :])
    assert len(i) < 8 * 7
    np.testing.assert_allclose(reach, metric.distances, atol=1e-12)
