"""The lift makes polynomial neurons linear; neurons and ball points are recovered from lifted quantities."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convexwgan.arrays import namespace, to_numpy64
from convexwgan.errors import InputError
from convexwgan.geometry import (
    lift,
    lifted_dimension,
    lifted_normal_moments,
    rank_one_decomposition,
    recover_neurons,
    smat,
    svec,
)

COEFFICIENTS = (0.09, 0.5, 0.47)  # the paper's polynomial approximation of ReLU


def polynomial(t, coefficients):
    a, b, c = coefficients
    return a * t**2 + b * t + c


# svec, smat, lift


def test_svec_keeps_inner_products_and_smat_inverts_it(asarray, rng):
    A, B = rng.normal(size=(2, 4, 4))
    A, B = A + A.T, B + B.T
    a, b = to_numpy64(svec(asarray(A))), to_numpy64(svec(asarray(B)))
    assert a @ b == pytest.approx(np.sum(A * B), rel=1e-13)
    np.testing.assert_allclose(to_numpy64(smat(asarray(a))), A, rtol=1e-14)


def test_smat_refuses_a_length_that_is_not_triangular(asarray):
    with pytest.raises(InputError, match="length of v = 4 must be d"):
        smat(asarray(np.ones(4)))


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int64])
@pytest.mark.parametrize("shape", [(6, 3), (1, 1), (1, 4)])
def test_a_polynomial_neuron_is_linear_in_the_lift(asarray, rng, shape, dtype):
    Z = np.round(4 * rng.normal(size=shape)).astype(dtype)
    lifted = lift(asarray(Z), COEFFICIENTS)
    assert lifted.dtype == namespace(lifted).float64
    assert tuple(lifted.shape) == (shape[0], lifted_dimension(shape[1]))
    w = rng.normal(size=shape[1])
    neuron = np.concatenate([svec(np.outer(w, w)), w, [1.0]])
    np.testing.assert_allclose(to_numpy64(lifted) @ neuron, polynomial(Z @ w, COEFFICIENTS), atol=1e-12)


# lifted_normal_moments


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_lifted_normal_moments_equal_gauss_hermite_quadrature(dim):
    # degree 4 in each variable: 5 nodes integrate it exactly
    nodes, weights = np.polynomial.hermite_e.hermegauss(5)
    Z = np.stack(np.meshgrid(*[nodes] * dim), axis=-1).reshape(-1, dim)
    w = np.prod(np.stack(np.meshgrid(*[weights] * dim), axis=-1).reshape(-1, dim), axis=1)
    w = w / w.sum()
    lifted = lift(Z, COEFFICIENTS)
    mean, second = lifted_normal_moments(dim, COEFFICIENTS)
    np.testing.assert_allclose(mean, w @ lifted, atol=1e-13)
    np.testing.assert_allclose(second, (lifted.T * w) @ lifted, atol=1e-13)


def test_lifted_normal_moments_agree_with_sampled_noise(rng):
    lifted = lift(rng.normal(size=(200_000, 4)), (1.0, 1.0, 1.0))
    mean, second = lifted_normal_moments(4, (1.0, 1.0, 1.0))
    np.testing.assert_allclose(lifted.mean(axis=0), mean, atol=0.03)
    np.testing.assert_allclose(lifted.T @ lifted / len(lifted), second, atol=0.1)


def test_lifted_normal_moments_refuse_an_empty_latent():
    with pytest.raises(InputError, match="dim = 0 must be >= 1"):
        lifted_normal_moments(0, COEFFICIENTS)


# recover_neurons


@pytest.mark.parametrize("dim", [1, 2, 3, 10])
@pytest.mark.parametrize("coefficients", [COEFFICIENTS, (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (-1.0, 2.0, 1e3)])
def test_recovered_neurons_compute_the_lifted_map(rng, dim, coefficients):
    W = rng.normal(size=(lifted_dimension(dim), 3))
    W1, W2 = recover_neurons(W, dim)
    assert W1.shape == (dim, len(W))
    assert W2.shape == (len(W), 3)
    Z = rng.normal(size=(20, dim))
    expected = lift(Z, coefficients) @ W
    found = polynomial(Z @ W1, coefficients) @ W2
    np.testing.assert_allclose(found, expected, atol=1e-11 * np.abs(expected).max())


@pytest.mark.parametrize("dim", [1, 4])
def test_recovered_neurons_sum_to_the_lifted_matrix(rng, dim):
    W = rng.normal(size=(lifted_dimension(dim), 2))
    W1, W2 = recover_neurons(W, dim)
    total = sum(np.outer(np.concatenate([svec(np.outer(w, w)), w, [1.0]]), v) for w, v in zip(W1.T, W2, strict=True))
    np.testing.assert_allclose(total, W, atol=1e-12)


def test_recovery_at_dimension_48_is_fast_and_accurate(rng):
    dim = 48
    W = rng.normal(size=(lifted_dimension(dim), 10))
    start = time.perf_counter()
    W1, W2 = recover_neurons(W, dim)
    assert time.perf_counter() - start < 2.0
    Z = rng.normal(size=(50, dim))
    expected = lift(Z, COEFFICIENTS) @ W
    error = np.abs(polynomial(Z @ W1, COEFFICIENTS) @ W2 - expected).max()
    assert error < 1e-10 * np.abs(expected).max()


def test_recovery_takes_arrays_of_any_library(asarray, rng):
    W = rng.normal(size=(6, 2))
    np.testing.assert_array_equal(recover_neurons(asarray(W), 2)[1], recover_neurons(W, 2)[1])


@pytest.mark.parametrize(("shape", "dim"), [((5, 2), 2), ((6,), 2), ((6, 2), 0)])
def test_recovery_refuses_a_matrix_of_the_wrong_size(shape, dim):
    with pytest.raises(InputError, match="W_lifted = array of shape"):
        recover_neurons(np.ones(shape), dim)


# rank_one_decomposition


def assert_decomposes(Y, tolerance=1e-12):
    u, v = rank_one_decomposition(Y)
    scale = max(float(np.trace(Y)), 1e-300)
    lifted = np.hstack([u, np.ones((len(u), 1))])
    assert np.abs((lifted.T * v) @ lifted - Y).max() <= tolerance * scale
    assert np.all(np.linalg.norm(u, axis=1) <= 1.0 + 1e-15)
    assert np.all(v > 0.0)
    assert len(v) <= len(Y)
    return u, v


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    d=st.integers(1, 8),
    rank=st.integers(1, 9),
    share=st.sampled_from([0.0, 0.5, 1.0]),
)
def test_a_relaxed_moment_matrix_splits_into_points_of_the_ball(seed, d, rank, share):
    rng = np.random.default_rng(seed)
    P = rng.normal(size=(d + 1, min(rank, d + 1)))
    Y = P @ P.T
    spread = np.trace(Y[:d, :d])
    # share = 1 makes ⟨J, Y⟩ = 0: every point on the sphere
    Y[d, d] = max(Y[d, d], spread / share) if share else 10 * (Y[d, d] + spread)
    assert_decomposes(Y)


def test_every_term_has_the_same_value_of_the_form(rng):
    P = rng.normal(size=(5, 5))
    Y = P @ P.T
    Y[4, 4] += np.trace(Y)
    u, v = assert_decomposes(Y)
    form = v * (np.sum(u**2, axis=1) - 1.0)
    np.testing.assert_allclose(form, (np.trace(Y[:4, :4]) - Y[4, 4]) / 5, rtol=1e-10)


def test_points_of_the_ball_are_a_fixed_point_up_to_regrouping(rng):
    u = rng.normal(size=(3, 4))
    u /= np.linalg.norm(u, axis=1)[:, None]
    lifted = np.hstack([u, np.ones((3, 1))])
    found, v = assert_decomposes((lifted.T * [1.0, 2.0, 3.0]) @ lifted)
    assert v.sum() == pytest.approx(6.0)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1.0, atol=1e-7)


@pytest.mark.parametrize("noise", [1e-12, 1e-9, 1e-7])
def test_solver_noise_is_repaired(rng, noise):
    u = rng.normal(size=(2, 3))
    u /= np.linalg.norm(u, axis=1)[:, None]
    lifted = np.hstack([u, np.ones((2, 1))])
    E = rng.normal(size=(4, 4))
    assert_decomposes(lifted.T @ lifted + noise * (E + E.T), tolerance=20 * noise)


def test_the_zero_matrix_needs_no_points():
    u, v = rank_one_decomposition(np.zeros((4, 4)))
    assert u.shape == (0, 3)
    assert v.shape == (0,)


def test_a_constant_neuron_is_the_origin():
    u, v = assert_decomposes(np.diag([0.0, 0.0, 2.0]))
    assert u.tolist() == [[0.0, 0.0]]
    assert v.tolist() == [pytest.approx(2.0)]


@pytest.mark.parametrize(
    ("Y", "subject"),
    [
        (np.diag([-1.0, 1.0]), "smallest eigenvalue of Y = -1.0 must be >= -"),
        (np.diag([4.0, 1.0]), "⟨J, Y⟩ = 3.0 must be <="),
        (np.full((2, 2), math.nan), "Y = array of shape .* must be finite"),
        (np.ones((2, 3)), "Y = array of shape .* must be square"),
    ],
)
def test_a_matrix_outside_the_cone_is_refused(Y, subject):
    with pytest.raises(InputError, match=subject):
        rank_one_decomposition(Y)
