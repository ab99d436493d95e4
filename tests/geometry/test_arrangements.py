"""Cells of central arrangements: against the formula, brute-force sign enumeration, and what ties must not break."""

from __future__ import annotations

import networkx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.optimize import linprog

from convexwgan.errors import InputError
from convexwgan.geometry.arrangements import (
    cell_count_formula,
    distinct_hyperplanes,
    enumerate_cells,
    sample_cells,
)
from convexwgan.geometry.exhaustive import zaslavsky_count

SMALL_INTEGERS = st.integers(-2, 2).map(float)


def is_attained(Z, signs):
    """Whether some u has signs_i z_iᵀu > 0 for all i: the largest common margin over a box is positive."""
    k, d = Z.shape
    A = np.column_stack([-signs[:, None] * Z, np.ones(k)])
    bounds = [(-1, 1)] * d + [(None, 1)]
    return -linprog(np.r_[np.zeros(d), -1.0], A_ub=A, b_ub=np.zeros(k), bounds=bounds).fun > 1e-7


def brute_force_patterns(Z):
    """All attained patterns, one row at a time, each by a linear program; zero rows are False."""
    used, prefixes = [], [()]
    for i, row in enumerate(Z):
        if not row.any():
            prefixes = [(*prefix, 0) for prefix in prefixes]
            continue
        used.append(i)
        longer = [(*prefix, sign) for prefix in prefixes for sign in (1, -1)]
        prefixes = [p for p in longer if is_attained(Z[used], np.array(p, dtype=float)[used])]
    return {tuple(sign > 0 for sign in prefix) for prefix in prefixes}


def listed_patterns(arrangement):
    return {tuple(row) for row in arrangement.patterns.tolist()}


@pytest.mark.parametrize("r", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("n", [5, 8, 12])
def test_general_position_has_as_many_cells_as_the_formula(n, r):
    Z = np.random.default_rng([n, r]).standard_normal((n, r))
    arrangement = enumerate_cells(Z)
    assert arrangement.count == cell_count_formula(n if r > 1 else 1, r) == len(listed_patterns(arrangement))
    assert arrangement.is_simple
    assert not arrangement.is_ambiguous


@given(arrays(np.float64, st.tuples(st.integers(1, 6), st.integers(1, 4)), elements=SMALL_INTEGERS))
@settings(max_examples=15)
def test_degenerate_cells_are_those_of_brute_force(Z):
    if not Z.any():
        Z[0, 0] = 1.0
    assert listed_patterns(enumerate_cells(Z)) == brute_force_patterns(Z)


def test_ties_in_rank_five_give_the_cells_of_brute_force():
    Z = np.vstack([np.eye(5), [[1.0, 1, 0, 0, 0], [0, 1, 1, 0, 0], [1, 0, -1, 0, 0], [0, 0, 0, 1, 1]]])
    arrangement = enumerate_cells(Z)
    assert not arrangement.is_simple
    assert listed_patterns(arrangement) == brute_force_patterns(Z)


def test_braid_arrangement_has_factorially_many_cells():
    Z = np.array([np.eye(5)[i] - np.eye(5)[j] for i in range(5) for j in range(i)])
    arrangement = enumerate_cells(Z)
    assert arrangement.rank == 4
    assert arrangement.count == 120
    assert (arrangement.facets.counts == 4).all()


@given(st.integers(0, 10**6), st.integers(2, 4))
@settings(max_examples=10)
def test_zero_repeated_and_opposite_rows_and_their_lengths_change_no_cell(seed, r):
    rng = np.random.default_rng(seed)
    Z = rng.standard_normal((6, r))
    scaled = Z * rng.uniform(1e-3, 1e3, size=(6, 1))
    more = np.vstack([scaled, -3.0 * Z[2], np.zeros(r), 0.1 * Z[4]])
    plain, degenerate = enumerate_cells(Z), enumerate_cells(more)
    patterns = degenerate.patterns
    assert degenerate.count == plain.count
    assert {tuple(row) for row in patterns[:, :6].tolist()} == listed_patterns(plain)
    np.testing.assert_array_equal(patterns[:, 6], ~patterns[:, 2])
    assert not patterns[:, 7].any()
    np.testing.assert_array_equal(patterns[:, 8], patterns[:, 4])


@given(st.integers(0, 10**6))
@settings(max_examples=10)
def test_low_rank_rows_in_many_dimensions_have_the_cells_of_their_coordinates(seed):
    rng = np.random.default_rng(seed)
    inner, lift = rng.integers(-2, 3, size=(7, 3)).astype(float), rng.standard_normal((3, 9))
    inner[0, 0] = 1.0
    assert listed_patterns(enumerate_cells(inner @ lift)) == listed_patterns(enumerate_cells(inner))


def test_badly_scaled_columns_change_no_cell():
    Z = np.random.default_rng(3).integers(-2, 3, size=(9, 3)).astype(float)
    assert listed_patterns(enumerate_cells(Z * [1.0, 1e-4, 1e5])) == listed_patterns(enumerate_cells(Z))


def test_tie_at_many_rows_is_found_after_a_rotation_that_rounds():
    rng = np.random.default_rng(5)
    rotation, _ = np.linalg.qr(rng.standard_normal((4, 4)))
    Z = np.array(np.meshgrid(*[[-1.0, 0.0, 1.0]] * 4)).reshape(4, -1).T
    assert enumerate_cells(Z @ rotation).count == enumerate_cells(Z).count == zaslavsky_count(Z)


@pytest.mark.parametrize("r", [1, 2, 3, 4])
def test_interior_points_are_unit_and_have_the_patterns_of_their_cells(r):
    Z = np.random.default_rng(r).standard_normal((9, r)) @ np.random.default_rng(9).standard_normal((r, 6))
    arrangement = enumerate_cells(Z)
    np.testing.assert_allclose(np.linalg.norm(arrangement.interior_points, axis=1), 1.0)
    np.testing.assert_array_equal(arrangement.interior_points @ Z.T > 0.0, arrangement.patterns)


@pytest.mark.parametrize("r", [1, 2, 3, 4])
def test_each_cell_has_at_least_r_rays_all_in_its_closure_and_spanning(r):
    Z = np.random.default_rng(r).integers(-1, 2, size=(10, r)).astype(float)
    Z[:r] = np.eye(r)
    arrangement = enumerate_cells(Z)
    for pattern, rays in zip(arrangement.patterns, arrangement.cell_rays, strict=True):
        directions = arrangement.rays[rays]
        assert np.linalg.matrix_rank(directions) == r
        values = np.where(pattern, 1.0, -1.0) * (directions @ Z.T)
        assert values.min() > -1e-12


def test_facets_are_the_rows_that_a_linear_program_cannot_drop():
    Z = np.random.default_rng(0).integers(-2, 3, size=(7, 3)).astype(float)
    arrangement = enumerate_cells(Z)
    rows = arrangement.hyperplanes.representatives
    for pattern, facets in zip(arrangement.patterns, arrangement.facets, strict=True):
        signs = np.where(pattern, 1.0, -1.0)[rows]
        flips = [np.where(rows == row, -signs, signs) for row in rows]
        crossed = [row for row, flipped in zip(rows, flips, strict=True) if is_attained(Z[rows], flipped)]
        assert sorted(facets.tolist()) == crossed


def test_tope_graph_edges_flip_one_hyperplane_and_its_distances_count_separating_ones():
    Z = np.random.default_rng(1).standard_normal((6, 3))
    arrangement = enumerate_cells(Z)
    graph, patterns = arrangement.tope_graph(), arrangement.patterns
    for a, b, row in graph.edges(data="row"):
        assert np.flatnonzero(patterns[a] != patterns[b]).tolist() == [row]
    for cell, distance in networkx.single_source_shortest_path_length(graph, 0).items():
        assert distance == (patterns[0] != patterns[cell]).sum()


def test_opposite_rays_and_opposite_cells_stand_half_a_list_apart():
    arrangement = enumerate_cells(np.random.default_rng(2).standard_normal((7, 3)))
    half, k = arrangement.count // 2, len(arrangement.rays) // 2
    np.testing.assert_array_equal(arrangement.patterns[half:], ~arrangement.patterns[:half])
    np.testing.assert_array_equal(arrangement.rays[k:], -arrangement.rays[:k])


def test_near_tie_at_the_tolerance_is_called_ambiguous():
    Z = np.array([[1.0, 0, 0], [0, 1.0, 0], [0, 0, 1.0], [1.0, 1.0, 3e-11]])
    assert enumerate_cells(Z).is_ambiguous


def test_float32_rows_of_torch_are_enumerated_as_their_values():
    torch = pytest.importorskip("torch")
    Z = np.random.default_rng(4).standard_normal((8, 3)).astype(np.float32)
    np.testing.assert_array_equal(enumerate_cells(torch.asarray(Z)).patterns, enumerate_cells(Z).patterns)


def test_sampling_finds_only_cells_and_all_of_them_when_there_are_few():
    Z = np.vstack([np.random.default_rng(0).standard_normal((6, 3)), np.zeros(3)])
    sample, arrangement = sample_cells(Z, 20_000, rng=0), enumerate_cells(Z)
    assert listed_patterns(sample) == listed_patterns(arrangement)
    assert sample.scope == "sampled"
    assert sample.seen_share == 1.0
    assert sample.hits.sum() == 20_000
    np.testing.assert_array_equal(sample.interior_points @ Z.T > 0.0, sample.patterns)


def test_good_turing_estimate_is_near_the_share_of_fresh_directions_in_seen_cells():
    Z = np.random.default_rng(0).standard_normal((40, 4))
    sample = sample_cells(Z, 3_000, rng=1)
    seen = listed_patterns(sample)
    fresh = np.random.default_rng(2).standard_normal((4_000, 4)) @ Z.T > 0.0
    share = np.mean([tuple(row) in seen for row in fresh.tolist()])
    assert abs(share - sample.seen_mass) < 0.05  # five standard errors of both


def test_sampling_is_reproducible_from_its_seed():
    Z = np.random.default_rng(0).standard_normal((30, 5))
    one, other = sample_cells(Z, 500, rng=7), sample_cells(Z, 500, rng=np.random.default_rng(7))
    np.testing.assert_array_equal(one.patterns, other.patterns)


def test_hyperplanes_are_reported_by_their_first_row():
    hyperplanes = distinct_hyperplanes(np.array([[0.0, 0], [0, 2], [1, 0], [0, -1], [3, 0]]))
    assert hyperplanes.representatives.tolist() == [1, 2]
    assert hyperplanes.hyperplane_of.tolist() == [-1, 0, 1, 0, 1]
    assert hyperplanes.orientation.tolist() == [0, 1, 1, -1, 1]


@pytest.mark.parametrize(
    ("Z", "message"),
    [
        (np.zeros((3, 2)), "nonzero row"),
        (np.array([[1.0, np.nan]]), "finite"),
        (np.zeros((0, 2)), "Z"),
        (np.ones(3), "Z"),
    ],
)
def test_what_is_no_arrangement_is_refused_by_name(Z, message):
    with pytest.raises(InputError, match=message):
        enumerate_cells(Z)


def test_sampling_nothing_is_refused():
    with pytest.raises(InputError, match="n_samples = 0 must be >= 1"):
        sample_cells(np.eye(2), 0, rng=0)
