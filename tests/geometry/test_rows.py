"""Sums over row blocks: the same whoever adds them."""

from __future__ import annotations

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from convexwgan.geometry.rows import LocalRows, array_rows, centred_gram, row_sum


@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("block_rows", [1, 3, 7, 100])
def test_parallel_sums_are_the_serial_ones(threads: int, block_rows: int) -> None:
    X = np.random.default_rng(0).standard_normal((53, 4)).astype(np.float32)
    rows = array_rows(X, block_rows)
    assert rows.is_parallel
    with threadpool_limits(threads, "blas"):
        (M,) = rows.map_sum(centred_gram, X.mean(axis=0, dtype=np.float64))
        (m,) = rows.map_sum(row_sum)
    Y = X.astype(np.float64)
    np.testing.assert_allclose(m, Y.sum(axis=0), rtol=1e-13, atol=1e-13)
    np.testing.assert_allclose(M, (Y - Y.mean(axis=0)).T @ (Y - Y.mean(axis=0)), rtol=1e-12, atol=1e-12)
    assert rows.passes == 2


def test_parallel_sums_are_bitwise_repeatable() -> None:
    X = np.random.default_rng(1).standard_normal((400, 6))
    sums = [array_rows(X, 16).map_sum(centred_gram, np.zeros(6))[0].tobytes() for _ in range(5)]
    assert len(set(sums)) == 1


def test_an_error_in_a_block_reaches_the_caller() -> None:
    def read(start: int, stop: int) -> np.ndarray:
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        LocalRows(read, (10, 2), 3, is_parallel=True).map_sum(row_sum)
