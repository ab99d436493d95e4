"""Dyadic sectors: they halve each other, and the maximum of a sum of ReLUs on each equals a dense grid's."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from convexwgan.geometry.sectors import ray_sums, sector_arcs, sector_table


@settings(max_examples=30, deadline=None)
@given(sector=st.integers(1, 2**20))
def test_two_halves_are_the_sector(sector: int) -> None:
    first, width = sector_arcs(np.array([sector, 2 * sector, 2 * sector + 1]))
    assert width[0] == width[1] + width[2]
    assert first[1] == first[0]
    assert np.isclose(first[2], first[0] + width[1], rtol=0.0, atol=1e-14)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), k=st.integers(1, 12), tied=st.booleans())
def test_table_equals_a_dense_grid(seed: int, k: int, tied: bool) -> None:
    rng = np.random.default_rng(seed)
    neurons, v = rng.uniform(-7.0, 7.0, k), rng.standard_normal(k)
    if tied:  # breakpoints on the borders of sectors, equal and opposite neurons
        neurons = 0.25 * np.pi * rng.integers(0, 8, k)
    table, peaks, values = sector_table(neurons, v, 4)
    assert np.allclose(values, ray_sums(peaks, neurons, v))
    for sector in range(1, 32):
        (first,), (width,) = sector_arcs(np.array([sector]))
        grid = first + width * np.linspace(0.0, 1.0, 2001)
        dense = max(0.0, float(ray_sums(grid, neurons, v).max()))
        assert dense <= table[sector] + 1e-12
        assert table[sector] <= dense + 1e-2 * width * float(np.abs(v).sum())
