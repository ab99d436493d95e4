"""The generated distribution at data points, and kernel widths from the data: masses, gradients, units, ties."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convexwgan.models.generated_density import WIDTH_ROWS, assigned_density, widths_of
from convexwgan.models.networks import kernel_density

torch = pytest.importorskip("torch")


def tensor(array: Any) -> Any:
    return torch.as_tensor(np.asarray(array), dtype=torch.float64)


def test_assigned_density_is_the_mean_share_of_its_definition() -> None:
    rng = np.random.default_rng(0)
    points, samples, sigma = rng.normal(size=(4, 3)), rng.normal(size=(6, 3)), 0.7
    weight = np.exp(-((points[:, None] - samples[None]) ** 2).sum(2) / (2 * sigma**2))
    wanted = 4 * (weight / weight.sum(axis=0)).mean(axis=1)
    assert assigned_density(tensor(points), tensor(samples), sigma).numpy() == pytest.approx(wanted, rel=1e-12)


@settings(max_examples=20, deadline=None)
@given(d=st.integers(1, 300), sigma=st.floats(1e-3, 1e3), far=st.floats(0.0, 1e4), seed=st.integers(0, 99))
def test_assigned_masses_sum_to_the_number_of_points_in_every_dimension(
    d: int, sigma: float, far: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    density = assigned_density(tensor(rng.normal(size=(5, d))), tensor(far + rng.normal(size=(7, d))), sigma)
    assert float(density.sum()) == pytest.approx(5.0, rel=1e-9)
    assert float(density.min()) >= 0.0


def test_crowding_in_the_middle_raises_the_kernel_density_everywhere_but_no_assigned_mass() -> None:
    points = tensor([[-1.0], [1.0]])
    spread, crowded = points.clone(), torch.zeros_like(points)
    wide = 3.0
    assert (kernel_density(points, crowded, wide) > kernel_density(points, spread, wide)).all()
    assert assigned_density(points, crowded, wide).tolist() == pytest.approx([1.0, 1.0])
    assert assigned_density(points, spread, wide).tolist() == pytest.approx([1.0, 1.0])


def test_in_many_dimensions_the_kernel_vanishes_and_the_assignment_does_not() -> None:
    rng = np.random.default_rng(1)
    points, samples = tensor(rng.normal(size=(8, 784))), tensor(rng.normal(size=(8, 784))).requires_grad_(True)
    sigma = 0.1 * math.sqrt(784)
    for density, alive in ((kernel_density, False), (assigned_density, True)):
        (slope,) = torch.autograd.grad((density(points, samples, sigma) ** 2).sum(), samples)
        assert (float(slope.norm()) > 1e-3) == alive


def test_assignment_does_not_pull_a_sample_across_the_hull_of_the_points() -> None:
    points, sample = tensor([[-1.0, 0.0], [1.0, 0.0]]), tensor([[0.3, 5.0]]).requires_grad_(True)
    (slope,) = torch.autograd.grad(assigned_density(points, sample, 1.0)[1], sample)
    assert slope[0, 0] > 0.0
    assert abs(slope[0, 1]) < 1e-12


@settings(max_examples=20, deadline=None)
@given(n=st.integers(2, 60), d=st.integers(1, 5), exponent=st.integers(-6, 6), seed=st.integers(0, 99))
def test_widths_scale_with_the_data_and_fall(n: int, d: int, exponent: int, seed: int) -> None:
    X, factor = np.random.default_rng(seed).normal(size=(n, d)), 10.0**exponent
    first, last = widths_of(X, 16)
    assert 0.0 < last <= first
    assert widths_of(factor * X, 16) == pytest.approx((factor * first, factor * last), rel=1e-9)


def test_first_width_is_half_the_median_distance_and_last_half_that_of_a_neighbour() -> None:
    X = np.array([[0.0], [1.0], [3.0], [7.0]])
    assert widths_of(X, 4) == pytest.approx((3.5 / 2, 1.5 / 2))


def test_copies_of_rows_are_no_gap_and_constant_data_have_width_one() -> None:
    two = np.repeat([[0.0, 0.0], [0.0, 4.0]], 30, axis=0)
    assert widths_of(two, 10) == (2.0, 2.0)
    for constant in (np.full((6, 2), 0.1), np.zeros((1, 3))):
        assert widths_of(constant, 10) == (1.0, 1.0)


def test_many_rows_are_measured_on_an_even_sample() -> None:
    X = np.random.default_rng(0).normal(size=(4 * WIDTH_ROWS, 2))
    assert widths_of(X, 50) == pytest.approx(widths_of(X[:WIDTH_ROWS], 50), rel=0.1)
