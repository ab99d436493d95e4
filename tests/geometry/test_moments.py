"""Moments equal their definition on every array library, in every dtype and block size."""

from __future__ import annotations

import numpy as np
import pytest

from convexwgan.arrays import device_of, namespace, to_numpy64
from convexwgan.errors import InputError
from convexwgan.geometry import (
    gram_spectrum,
    latent_spectrum,
    lift,
    moments,
    moments_of,
    psd_root,
    smat,
    svec,
)
from convexwgan.geometry.moments import float64_blocks


@pytest.mark.parametrize("normalize", ["sum", "mean"])
def test_moments_equal_their_definition(asarray, rng, normalize):
    X = rng.normal(size=(7, 3))
    found = moments_of(asarray(X), normalize=normalize)
    w = 1.0 if normalize == "sum" else 1.0 / 7
    assert found.mass == (7.0 if normalize == "sum" else 1.0)
    np.testing.assert_allclose(to_numpy64(found.first), w * X.sum(axis=0), rtol=1e-14)
    np.testing.assert_allclose(to_numpy64(found.second), w * sum(np.outer(x, x) for x in X), rtol=1e-13)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
def test_moments_are_float64_of_the_same_library_and_exactly_symmetric(asarray, rng, dtype):
    X = asarray(np.round(10 * rng.normal(size=(9, 4))).astype(dtype))
    found = moments_of(X, normalize="sum")
    assert namespace(found.second) is namespace(X)
    assert device_of(found.second) == device_of(X)
    assert found.second.dtype == found.first.dtype == namespace(X).float64
    second = to_numpy64(found.second)
    assert np.array_equal(second, second.T)


def test_every_intermediate_stays_on_the_device_of_the_samples(rng):
    strict = pytest.importorskip("array_api_strict")
    device = strict.Device("device1")  # mixing it with the default device raises
    X = strict.asarray(rng.normal(size=(9, 3)), device=device)
    found = moments_of(X, normalize="mean")
    for array in (found.first, found.second, lift(X, (1.0, 2.0, 3.0)), smat(svec(found.second))):
        assert array.device == device
    arrays = [*gram_spectrum(X), *gram_spectrum(X.T), latent_spectrum(X).vectors, psd_root(found.second)]
    assert all(array.device == device for array in arrays)


def test_float32_moments_are_accumulated_in_float64_over_small_blocks(asarray, rng, monkeypatch):
    monkeypatch.setattr(moments, "_BLOCK_ENTRIES", 16)
    X = (1e3 + rng.normal(size=(50, 2))).astype(np.float32)
    shapes = [tuple(block.shape) for block in float64_blocks(asarray(X))]
    assert len(shapes) == 7
    assert sum(rows for rows, _ in shapes) == 50
    found = moments_of(asarray(X), normalize="sum")
    exact = X.astype(np.float64)
    np.testing.assert_allclose(to_numpy64(found.second), exact.T @ exact, rtol=1e-14)
    np.testing.assert_allclose(to_numpy64(found.first), exact.sum(axis=0), rtol=1e-14)


def test_float64_samples_are_not_copied(rng):
    X = rng.normal(size=(5, 2))
    assert next(float64_blocks(X)) is X


def test_moments_of_one_sample_in_one_dimension_and_of_zeros(asarray):
    assert to_numpy64(moments_of(asarray([[3.0]]), normalize="mean").second).tolist() == [[9.0]]
    assert not to_numpy64(moments_of(asarray(np.zeros((4, 2))), normalize="sum").second).any()


def test_fortran_order_and_negative_strides_change_nothing(rng):
    X = rng.normal(size=(6, 3))
    expected = moments_of(X, normalize="sum").second
    np.testing.assert_allclose(moments_of(np.asfortranarray(X), normalize="sum").second, expected, rtol=1e-14)
    np.testing.assert_allclose(moments_of(X[::-1], normalize="sum").second, expected, rtol=1e-13)


def test_overflowing_samples_are_refused(asarray):
    with pytest.raises(InputError, match="squares within float64: rescale"):
        moments_of(asarray([[1e200, 1.0]]), normalize="sum")


@pytest.mark.parametrize("shape", [(3,), (0, 2), (2, 0), (1, 2, 3)])
def test_a_table_that_is_not_a_matrix_is_refused(asarray, shape):
    with pytest.raises(InputError, match=r"X = array of shape .* must be a non-empty matrix"):
        moments_of(asarray(np.ones(shape)), normalize="sum")


def test_an_unknown_normalization_is_refused():
    with pytest.raises(InputError, match='normalize = \'median\' must be "sum" or "mean"'):
        moments_of(np.ones((2, 2)), normalize="median")  # type: ignore[arg-type]
