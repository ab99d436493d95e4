"""Scales of the columns of features, and their triangle: small numbers are not zeros."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from convexwgan.arrays import Float64

LARGEST_EXPONENT = 1022.0


def column_norms(blocks: Iterable[Float64]) -> Float64:
    """Euclidean norms of the columns of stacked blocks, shape (p,); squares neither overflow nor vanish.

    >>> column_norms([np.array([[3e-200, 0.0]]), np.array([[4e-200, 1.0]])]).tolist()
    [5e-200, 1.0]
    """
    total: Float64 | None = None
    for block in blocks:
        largest = np.abs(block).max(axis=0)
        norms = largest * np.linalg.norm(block / np.where(largest > 0.0, largest, 1.0), axis=0)
        total = norms if total is None else np.hypot(total, norms)
    assert total is not None, "features have rows"
    return total


def powers_of_two(norms: Float64) -> Float64:
    """The powers of two nearest to the norms, 1 for 0: division by them is exact.

    >>> powers_of_two(np.array([0.0, 3.0, 0.25])).tolist()
    [1.0, 4.0, 0.25]
    """
    exponents = np.round(np.log2(np.where(norms > 0.0, norms, 1.0)))
    powers: Float64 = np.exp2(exponents.clip(-LARGEST_EXPONENT, LARGEST_EXPONENT))
    return powers


def triangle(blocks: Iterable[Float64]) -> Float64:
    """R with RᵀR = ZᵀZ and at most p rows, by QR of each block stacked under the R so far."""
    R: Float64 | None = None
    for block in blocks:
        stacked = block if R is None else np.vstack([R, block])
        R = np.asarray(np.linalg.qr(stacked, mode="r"), dtype=np.float64)
    assert R is not None, "features have rows"
    return R
