"""First and second moments of samples, as sums or as means, on any array library."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from convexwgan.arrays import Array, namespace
from convexwgan.errors import InputError

_BLOCK_ENTRIES = 1 << 20
"""Entries of a float64 block: 8 MiB, small against any data set and large enough for a fast product."""


@dataclass(frozen=True, eq=False)
class Moments:
    """Moments of a table of samples: all that linear, quadratic and polynomial neurons can see of it.

    ``mass`` is n for sums and 1.0 for means, ``first`` has shape (d,), ``second`` has shape (d, d).
    """

    mass: float
    first: Array
    second: Array


def float64(array: Array) -> Array:
    """The array in float64 on its own device, without a copy when it is float64 already."""
    xp = namespace(array)
    return xp.astype(array, xp.float64, copy=False)


def float64_blocks(X: Array) -> Iterator[Array]:
    """The rows of X in order, as float64 blocks: X itself when it is float64, else never a full copy.

    >>> import numpy as np
    >>> [block.shape for block in float64_blocks(np.ones((3, 2), dtype=np.float32))]
    [(3, 2)]
    """
    require_matrix(X, "X")
    n, d = X.shape
    if X.dtype == namespace(X).float64:
        yield X
        return
    rows = max(_BLOCK_ENTRIES // d, 4 * d)  # at least 4d rows, so that the product dominates the cast
    for start in range(0, n, rows):
        yield float64(X[start : min(start + rows, n), :])


def moments_of(X: Array, *, normalize: Literal["sum", "mean"]) -> Moments:
    """The moments m = w Xᵀ1 and M = w XᵀX, with w = 1 for sums and w = 1/n for means.

    Args:
        X: samples, shape (n, d), of any array library and real dtype; summed in float64.
        normalize: "sum" (the paper's convention) or "mean" (needed for population noise).

    Returns:
        Moments in float64 on the device of X, ``second`` exactly symmetric.

    Raises:
        InputError: X is not a non-empty matrix, or its squares overflow float64.

    >>> import numpy as np
    >>> moments_of(np.array([[1.0, 0.0], [1.0, 2.0]]), normalize="mean").second.tolist()
    [[1.0, 1.0], [1.0, 2.0]]
    """
    if normalize not in ("sum", "mean"):
        raise InputError("normalize", normalize, 'be "sum" or "mean"', "sums are the paper's convention")
    xp = namespace(X)
    blocks = float64_blocks(X)
    n = X.shape[0]
    w = 1.0 if normalize == "sum" else 1.0 / n
    block = next(blocks)
    with np.errstate(over="ignore", invalid="ignore"):  # overflow is reported below, by an error
        m, M = xp.sum(block, axis=0), block.T @ block
        for block in blocks:
            m, M = m + xp.sum(block, axis=0), M + block.T @ block
        M = w * symmetrized(M)
    if not bool(xp.all(xp.isfinite(M))):
        raise InputError("X", X, "be finite, its squares within float64", "rescale X or drop its NaN and inf")
    return Moments(mass=float(n) if normalize == "sum" else 1.0, first=w * m, second=M)


def symmetrized(M: Array) -> Array:
    """(M + Mᵀ)/2: removes the asymmetry that rounding leaves in a product."""
    return 0.5 * (M + M.T)


def require_matrix(X: Array, subject: str) -> None:
    """Raise InputError unless X has two axes, neither of them empty."""
    if X.ndim != 2 or 0 in tuple(X.shape):
        raise InputError(subject, X, "be a non-empty matrix", "one sample a row, one feature a column")


def require_square(M: Array, subject: str) -> None:
    """Raise InputError unless M is a non-empty square matrix."""
    require_matrix(M, subject)
    if M.shape[0] != M.shape[1]:
        raise InputError(subject, M, "be square", "pass a second-moment matrix of shape (d, d)")
