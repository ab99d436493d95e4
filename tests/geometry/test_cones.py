"""Simplicial cones tile their cells, and the largest gain on a cone is what dense sampling approaches."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convexwgan.errors import InputError
from convexwgan.geometry.arrangements import enumerate_cells
from convexwgan.geometry.cones import cone_faces, cone_price, triangulate


def rows(seed, n, r, is_degenerate):
    rng = np.random.default_rng(seed)
    Z = rng.integers(-2, 3, size=(n, r)).astype(float) if is_degenerate else rng.standard_normal((n, r))
    Z[:r] += np.eye(r) * (np.abs(Z[:r]).sum() + 1.0)  # of rank r, whatever was drawn
    return Z


INSTANCES = {"seed": st.integers(0, 10**6), "r": st.integers(1, 4), "is_degenerate": st.booleans()}


@given(**INSTANCES)
@settings(max_examples=20)
def test_each_direction_lies_in_exactly_one_cone_of_its_cell(seed, r, is_degenerate):
    Z = rows(seed, 7, r, is_degenerate)
    arrangement = enumerate_cells(Z)
    cones = triangulate(arrangement)
    assert set(cones.cells) == set(range(arrangement.count))
    U = np.random.default_rng(seed).standard_normal((200, r))
    coefficients = np.linalg.solve(cones.generators, (U @ arrangement.basis).T[None])
    inside = (coefficients > 0.0).all(axis=1)  # (cones, directions); random directions meet no boundary
    np.testing.assert_array_equal(inside.sum(axis=0), 1)
    np.testing.assert_array_equal(arrangement.patterns[cones.cells[inside.argmax(axis=0)]], U @ Z.T > 0.0)


@given(**INSTANCES)
@settings(max_examples=10)
def test_volumes_of_the_cross_sections_add_up_to_those_of_the_cells(seed, r, is_degenerate):
    from scipy.spatial import ConvexHull

    arrangement = enumerate_cells(rows(seed, 6, r, is_degenerate))
    cones = triangulate(arrangement)
    V = arrangement.reduced_rays
    for cell in range(0, arrangement.count, 7):
        parts = np.abs(np.linalg.det(V[cones.rays[cones.cells == cell]])).sum()
        # the pyramid conv{0, scaled rays}: rays cut by mᵀx = 1, so that each is a vertex of one hyperplane
        heights = V[arrangement.cell_rays[cell]] @ arrangement.reduced_interior_points[cell]
        if r < 2 or heights.min() < 1e-3:
            continue
        scaled = V[arrangement.cell_rays[cell]] / heights[:, None]
        inside = cones.rays[cones.cells == cell]
        cut = V[inside] / (V[inside] @ arrangement.reduced_interior_points[cell])[:, :, None]
        volume = ConvexHull(np.vstack([np.zeros(r), scaled])).volume
        assert parts > 0.0
        np.testing.assert_allclose(np.abs(np.linalg.det(cut)).sum() / [1, 1, 2, 6, 24][r], volume, rtol=1e-8)


@given(**INSTANCES)
@settings(max_examples=10)
def test_neighbouring_cones_share_their_facets_as_one_fan_does(seed, r, is_degenerate):
    cones = triangulate(enumerate_cells(rows(seed, 7, r, is_degenerate)))
    assert (np.diff(cones.rays, axis=1) > 0).all()
    for size in range(1, r):
        dropped = [np.delete(cones.rays, k, axis=1) for k in range(r)]
        _, times = np.unique(np.concatenate(dropped), axis=0, return_counts=True)
        assert (times == 2).all(), size


def test_cells_with_r_rays_stay_whole_and_chosen_cells_are_split_alone():
    arrangement = enumerate_cells(np.random.default_rng(0).standard_normal((8, 4)))
    every, some = triangulate(arrangement), triangulate(arrangement, np.array([5, 3]))
    whole = np.flatnonzero(arrangement.cell_rays.counts == 4)
    assert (np.bincount(every.cells)[whole] == 1).all()
    expected = np.concatenate([every.rays[every.cells == cell] for cell in (5, 3)])
    assert {tuple(cone) for cone in some.rays.tolist()} == {tuple(cone) for cone in expected.tolist()}
    assert len(some) == len(expected)


def test_rank_five_is_refused_with_what_to_use_instead():
    with pytest.raises(InputError, match=r"rank of the arrangement = 5 must be <= 4: use price_local"):
        triangulate(enumerate_cells(np.eye(5)))


def test_shared_faces_are_listed_once_and_belong_to_their_cone():
    arrangement = enumerate_cells(np.random.default_rng(1).standard_normal((7, 3)))
    cones = triangulate(arrangement)
    sizes = []
    for faces, cone in cone_faces(cones.rays):
        assert all(set(face) <= set(cones.rays[k]) for face, k in zip(faces, cone, strict=True))
        assert len(np.unique(faces, axis=0)) == len(faces)
        sizes.append(len(faces))
    assert sizes[0] - sizes[1] + sizes[2] == 2  # Euler's relation on the sphere


@given(st.integers(0, 10**6), st.integers(1, 4), st.integers(0, 2), st.integers(1, 3))
@settings(max_examples=25)
def test_cone_price_is_approached_from_below_by_sampling(seed, p, extra, d_r):
    rng = np.random.default_rng(seed)
    B, Q = rng.standard_normal((p + extra, p)), rng.standard_normal((p + extra, d_r))
    price = cone_price(B, Q)
    C = rng.random((20_000, p)) * (rng.random((20_000, p)) < 0.8)
    U = C @ B.T
    lengths = np.linalg.norm(U, axis=1)
    sampled = (np.linalg.norm(U @ Q, axis=1)[lengths > 0] / lengths[lengths > 0]).max()
    assert sampled <= price * (1 + 1e-9)
    assert sampled >= 0.9 * price


def test_cone_price_of_an_orthant_is_the_norm_of_the_positive_part():
    q = np.array([[3.0], [-2.0], [4.0]])
    assert cone_price(np.eye(3), q) == pytest.approx(5.0)
    assert cone_price(7.0 * np.eye(3)[:, :1], q) == pytest.approx(3.0)
    assert cone_price(np.eye(3), 0.0 * q) == 0.0


def test_cone_price_with_equal_eigenvalues_is_the_common_gain():
    assert cone_price(np.array([[1.0, 1.0], [0.0, 1e-3]]), 2.0 * np.eye(2)) == pytest.approx(2.0)


@pytest.mark.parametrize(
    ("B", "Q", "message"),
    [
        (np.ones((2, 2)), np.ones((2, 1)), "independent"),
        (np.ones((2, 3)), np.ones((2, 1)), "independent"),
        (np.zeros((2, 1)), np.ones((2, 1)), "independent"),
        (np.eye(2), np.ones((3, 1)), "rows of Q"),
    ],
)
def test_cone_price_refuses_what_is_no_simplicial_cone(B, Q, message):
    with pytest.raises(InputError, match=message):
        cone_price(B, Q)
