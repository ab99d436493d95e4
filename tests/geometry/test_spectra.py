"""Spectra against independent computations, on every array library and on degenerate inputs."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.linalg
from hypothesis import given, settings
from hypothesis import strategies as st

from convexwgan.arrays import namespace, to_numpy64
from convexwgan.errors import InputError
from convexwgan.geometry import (
    components_threshold,
    eigh_descending,
    fix_signs,
    gram_latent_spectrum,
    gram_spectrum,
    latent_spectrum,
    moments,
    psd_root,
    rank_tolerance,
    singular_value_threshold,
)

EPS = float(np.finfo(np.float64).eps)


def with_singular_values(rng, n, p, singular_values):
    """A matrix of shape (n, p) with the given singular values and random singular vectors."""
    r = len(singular_values)
    left, _ = np.linalg.qr(rng.normal(size=(n, r)))
    right, _ = np.linalg.qr(rng.normal(size=(p, r)))
    return (left * np.asarray(singular_values)) @ right.T


# fix_signs


def test_fixed_signs_make_the_largest_entry_positive_and_are_idempotent(asarray, rng):
    V = rng.normal(size=(6, 4))
    fixed = to_numpy64(fix_signs(asarray(V)))
    assert np.all(fixed[np.abs(V).argmax(axis=0), range(4)] > 0)
    np.testing.assert_array_equal(np.abs(fixed), np.abs(V))
    np.testing.assert_array_equal(to_numpy64(fix_signs(asarray(-V))), fixed)
    np.testing.assert_array_equal(to_numpy64(fix_signs(asarray(fixed))), fixed)


@pytest.mark.parametrize("nudge", [-1e-12, 0.0, 1e-12])
def test_fixed_signs_follow_the_first_of_tied_entries_whatever_rounding_says(asarray, nudge):
    V = np.array([[-1.0], [1.0 + nudge], [0.5]]) / math.sqrt(2)
    assert to_numpy64(fix_signs(asarray(V)))[0, 0] > 0


def test_fixed_signs_leave_a_zero_column_alone(asarray):
    assert not to_numpy64(fix_signs(asarray(np.zeros((3, 2))))).any()


# eigh_descending, gram_spectrum


def test_eigenpairs_are_descending_orthonormal_and_reconstruct(asarray, rng):
    M = rng.normal(size=(5, 5))
    M = M + M.T
    values, vectors = map(to_numpy64, eigh_descending(asarray(M)))
    np.testing.assert_allclose(values, scipy.linalg.eigvalsh(M)[::-1], atol=1e-13)
    np.testing.assert_allclose((vectors * values) @ vectors.T, M, atol=1e-13)
    np.testing.assert_allclose(vectors.T @ vectors, np.eye(5), atol=1e-14)


@pytest.mark.parametrize("shape", [(20, 4), (4, 4), (4, 20), (1, 3), (3, 1), (1, 1)])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_gram_spectrum_equals_squared_singular_values(asarray, rng, shape, dtype):
    X = rng.normal(size=shape).astype(dtype)
    values, vectors = gram_spectrum(asarray(X), weight=0.5)
    q = min(shape)
    assert tuple(vectors.shape) == (shape[1], q)
    assert values.dtype == namespace(values).float64
    squared = scipy.linalg.svdvals(X.astype(np.float64)) ** 2
    np.testing.assert_allclose(to_numpy64(values), 0.5 * squared, atol=1e-13 * squared[0])
    V = to_numpy64(vectors)
    X = X.astype(np.float64)
    np.testing.assert_allclose(V * to_numpy64(values), 0.5 * X.T @ (X @ V), atol=1e-12 * squared[0])


def test_gram_and_svd_routes_agree_up_to_the_sign_convention(asarray, rng):
    X = rng.normal(size=(3, 4))
    wide = gram_spectrum(asarray(X))
    tall = gram_spectrum(asarray(np.vstack([X, np.zeros((5, 4))])))
    np.testing.assert_allclose(to_numpy64(wide[0]), to_numpy64(tall[0])[:3], atol=1e-13)
    np.testing.assert_allclose(to_numpy64(wide[1]), to_numpy64(tall[1])[:, :3], atol=1e-10)


def test_gram_spectrum_is_never_negative(asarray, rng):
    values, _ = gram_spectrum(asarray(np.outer(rng.normal(size=9), rng.normal(size=5))))
    assert np.all(to_numpy64(values) >= 0.0)


# thresholds


def test_singular_value_threshold_is_the_positive_part(asarray):
    found = to_numpy64(singular_value_threshold(asarray([5.0, 2.0, 2.0, 0.0]), 2.0))
    assert found.tolist() == [3.0, 0.0, 0.0, 0.0]


def test_components_threshold_bounds_the_next_eigenvalue_from_above_and_tightly(asarray, rng):
    values = np.sort(rng.uniform(size=6))[::-1]
    for k in range(6):
        bound = components_threshold(asarray(values), k)
        assert values[k] < bound <= values[k] + 24 * EPS * values[0]
    assert 0.0 < components_threshold(asarray(values), 6) == components_threshold(asarray(values), 60) < 1e-13


def test_components_threshold_keeps_at_most_k_with_repeated_eigenvalues(rng):
    X = with_singular_values(rng, 12, 5, [3.0, 2.0, 2.0, 2.0, 1.0])
    values, _ = gram_spectrum(X)
    for k in (1, 2, 3):
        assert np.count_nonzero(singular_value_threshold(values, components_threshold(values, k))) == 1


def test_components_threshold_is_zero_only_for_the_zero_matrix_and_refuses_negative_counts():
    assert components_threshold(np.zeros(3), 1) == 0.0
    with pytest.raises(InputError, match="components = -1 must be >= 0"):
        components_threshold(np.ones(3), -1)


# latent_spectrum


@pytest.mark.parametrize("shape", [(30, 4), (4, 4), (4, 7), (1, 3), (3, 1), (1, 1)])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_latent_spectrum_reconstructs_the_weighted_gram_matrix(asarray, rng, shape, dtype):
    Z = rng.normal(size=shape).astype(dtype)
    found = latent_spectrum(asarray(Z), weight=0.25)
    Q, values = to_numpy64(found.vectors), to_numpy64(found.values)
    assert found.rank == min(shape) == values.shape[0]
    assert not found.is_ambiguous
    exact = Z.astype(np.float64)
    np.testing.assert_allclose((Q * values) @ Q.T, 0.25 * exact.T @ exact, atol=1e-12)
    np.testing.assert_allclose(Q.T @ Q, np.eye(found.rank), atol=1e-13)
    np.testing.assert_allclose(to_numpy64(found.singular_values) ** 2, values, rtol=1e-14)


def test_latent_spectrum_sees_singular_values_that_squaring_would_lose(asarray, rng):
    Z = with_singular_values(rng, 40, 3, [1.0, 1e-5, 1e-11])
    found = latent_spectrum(asarray(Z))
    assert found.rank == 3
    np.testing.assert_allclose(to_numpy64(found.singular_values), [1.0, 1e-5, 1e-11], rtol=1e-4)


def test_latent_spectrum_of_float32_is_factored_over_blocks(asarray, rng, monkeypatch):
    monkeypatch.setattr(moments, "_BLOCK_ENTRIES", 16)
    Z = rng.normal(size=(101, 3)).astype(np.float32)
    found = latent_spectrum(asarray(Z))
    np.testing.assert_allclose(
        to_numpy64(found.singular_values), scipy.linalg.svdvals(Z.astype(np.float64)), rtol=1e-13
    )
    # Only the 3 columns see float32's eps (with the floor of 64); sums over the 101 rows run in float64.
    assert found.tolerance == pytest.approx(float(found.singular_values[0]) * 64 * float(np.finfo(np.float32).eps))


@pytest.mark.parametrize("shape", [(6, 4), (4, 6), (200, 5), (3, 3)])
def test_rank_deficiency_is_found_without_ambiguity(asarray, rng, shape):
    for _ in range(20):
        Z = rng.normal(size=(shape[0], 2)) @ rng.normal(size=(2, shape[1]))
        found = latent_spectrum(asarray(Z))
        assert (found.rank, found.is_ambiguous) == (2, False)


def test_zero_rows_and_repeated_columns_do_not_confuse_the_rank(asarray, rng):
    z = rng.normal(size=(5, 2))
    Z = np.vstack([np.hstack([z, z[:, :1]]), np.zeros((4, 3))])
    found = latent_spectrum(asarray(Z))
    assert (found.rank, found.is_ambiguous) == (2, False)


def test_the_zero_matrix_has_rank_zero(asarray):
    found = latent_spectrum(asarray(np.zeros((4, 3))))
    assert (found.rank, found.tolerance, found.is_ambiguous) == (0, 0.0, False)
    assert tuple(found.vectors.shape) == (3, 0)
    assert tuple(found.values.shape) == (0,)


@pytest.mark.parametrize("factor", [0.2, 0.9, 1.1, 5.0])
def test_a_singular_value_near_the_tolerance_is_called_ambiguous(asarray, rng, factor):
    tolerance = 1e-6
    Z = with_singular_values(rng, 10, 3, [1.0, 0.5, factor * tolerance])
    found = latent_spectrum(asarray(Z), tolerance=tolerance)
    assert (found.rank, found.is_ambiguous) == (2 + (factor > 1), True)


def test_an_integer_latent_is_factored_in_float64(asarray):
    found = latent_spectrum(asarray(np.array([[1, 2], [3, 4], [5, 6]])))
    assert found.rank == 2
    assert found.tolerance == pytest.approx(float(found.singular_values[0]) * 64 * EPS)


def test_rank_tolerance_grows_with_the_larger_side():
    assert rank_tolerance(2.0, 1000, 3) == 2000.0 * EPS
    assert rank_tolerance(1.0, 3, 1000, 1e-7) == 1000 * 1e-7


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    n=st.integers(1, 9),
    p=st.integers(1, 9),
    scale=st.sampled_from([1e-80, 1, 1e80]),
)
def test_rank_is_invariant_under_scaling_and_repetition_of_rows(seed, n, p, scale):
    Z = np.random.default_rng(seed).normal(size=(n, p))
    found = latent_spectrum(scale * np.vstack([Z, Z]), weight=0.5)
    assert found.rank == min(n, p)
    np.testing.assert_allclose(found.singular_values[: found.rank], scale * scipy.linalg.svdvals(Z), rtol=1e-9)


@pytest.mark.parametrize("bad", [1e200, np.inf, np.nan])
def test_a_latent_whose_squares_do_not_fit_is_refused(bad):
    with pytest.raises(InputError, match="squares within float64"):
        latent_spectrum(np.array([[bad, 1.0]]))


def test_a_negative_or_undefined_tolerance_is_refused(rng):
    for tolerance in (-1.0, math.nan):
        with pytest.raises(InputError, match=r"tolerance = .* must be >= 0"):
            latent_spectrum(rng.normal(size=(3, 2)), tolerance=tolerance)


# gram_latent_spectrum, psd_root


def test_population_spectrum_agrees_with_the_sampled_one(asarray, rng):
    Z = rng.normal(size=(12, 4))
    sampled = latent_spectrum(asarray(Z), weight=1 / 12)
    population = gram_latent_spectrum(asarray(Z.T @ Z / 12))
    np.testing.assert_allclose(to_numpy64(population.values), to_numpy64(sampled.values), rtol=1e-12)
    np.testing.assert_allclose(to_numpy64(population.vectors), to_numpy64(sampled.vectors), atol=1e-10)


@pytest.mark.parametrize("p", [1, 3, 48])
def test_identity_noise_has_full_rank(asarray, p):
    found = gram_latent_spectrum(asarray(np.eye(p)))
    assert (found.rank, found.is_ambiguous) == (p, False)


def test_a_singular_second_moment_has_its_rank_without_ambiguity(asarray, rng):
    for _ in range(20):
        B = rng.normal(size=(5, 2))
        found = gram_latent_spectrum(asarray(B @ B.T))
        assert (found.rank, found.is_ambiguous) == (2, False)


def test_an_indefinite_second_moment_is_refused(asarray):
    with pytest.raises(InputError, match=r"smallest eigenvalue of A = -1.0 must be >= 0"):
        gram_latent_spectrum(asarray(np.diag([1.0, -1.0])))


def test_psd_root_squares_back_and_clips_rounding(asarray, rng):
    B = rng.normal(size=(5, 2))
    M = B @ B.T
    root = to_numpy64(psd_root(asarray(M)))
    np.testing.assert_allclose(root @ root, M, atol=1e-12)
    assert np.array_equal(root, root.T)
    assert to_numpy64(psd_root(asarray([[-1e-17]]))).tolist() == [[0.0]]
