"""Evidence of completeness: it accepts complete lists and rejects lists that lack or repeat a cell."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from convexwgan.geometry.arrangements import cell_count_formula, enumerate_cells
from convexwgan.geometry.exhaustive import check_exhaustive, zaslavsky_count


def failing(arrangement):
    return {check.name for check in check_exhaustive(arrangement) if not check.holds}


@given(arrays(np.float64, st.tuples(st.integers(1, 9), st.integers(1, 5)), elements=st.integers(-2, 2).map(float)))
@settings(max_examples=25)
def test_every_degenerate_enumeration_passes(Z):
    Z[0, 0] = 1.0
    assert failing(enumerate_cells(Z)) == set()


@pytest.mark.parametrize(("n", "r"), [(30, 2), (20, 3), (10, 4), (8, 5)])
def test_one_missing_cell_is_noticed_by_count_pairing_and_symmetry(n, r):
    arrangement = enumerate_cells(np.random.default_rng(r).standard_normal((n, r)))
    for missing in (0, arrangement.count // 3, arrangement.count - 1):
        kept = np.delete(np.arange(arrangement.count), missing)
        noticed = failing(arrangement.select(kept))
        assert noticed >= {"count equals Zaslavsky's", "opposites are listed", "facets pair the cells"}


def test_opposite_pair_of_missing_cells_is_noticed():
    arrangement = enumerate_cells(np.random.default_rng(0).standard_normal((9, 3)))
    kept = np.setdiff1d(np.arange(arrangement.count), [4, 4 + arrangement.count // 2])
    assert {"count equals Zaslavsky's", "facets pair the cells"} <= failing(arrangement.select(kept))


@pytest.mark.parametrize(("n", "r"), [(7, 1), (40, 2), (25, 3), (12, 4), (9, 5)])
def test_zaslavsky_count_is_the_formula_in_general_position(n, r):
    Z = np.random.default_rng(n).standard_normal((n, r))
    assert zaslavsky_count(Z) == cell_count_formula(n if r > 1 else 1, r)


def test_zaslavsky_count_of_the_coordinate_hyperplanes_of_all_sign_types():
    # type B in dimension 4: 2⁴·4! = 384 chambers
    e = np.eye(4)
    pairs = [(i, j) for i in range(4) for j in range(i)]
    Z = np.array([*e, *(e[i] - e[j] for i, j in pairs), *(e[i] + e[j] for i, j in pairs)])
    assert zaslavsky_count(Z) == enumerate_cells(Z).count == 384
