"""Local ascent of the gain ‖Rᵀ(Zu)₊‖₂ on the unit sphere, many starts at once, on any array library."""

from __future__ import annotations

import numpy as np

from convexwgan.arrays import Array, Float64, device_of, namespace

_BLOCK = 1 << 23
_LONGEST, _SHORTEST = 1e3, 1e-6


def ascend(Z: Array, R: Array, U: Array, steps: int = 60) -> Array:
    """Local ascent of f(u) = ‖Rᵀ(Zu)₊‖ from every row of U at once; no row ends lower than it began.

    u ← (u + t ∇f)/‖·‖,  ∇f ∝ Zᵀ(1[Zu > 0] ∘ R Rᵀ(Zu)₊),  t doubled on success, quartered on failure

    Args:
        Z: shape (n, r); its library, device and dtype are used.
        R: shape (n, d_r).
        U: unit rows, shape (k, r).
        steps: at most so many; it stops earlier when every t is below 1e-6.

    Returns:
        unit rows (k, r), of Z's library.

    >>> U = ascend(np.eye(2), np.array([[3.0], [4.0]]), np.array([[0.8, 0.6]]))
    >>> U.round(4).tolist()
    [[0.6, 0.8]]
    """
    xp = namespace(Z)
    R, U = (xp.asarray(A, dtype=Z.dtype, device=device_of(Z)) for A in (R, U))
    step = xp.ones((U.shape[0], 1), dtype=Z.dtype, device=device_of(Z))
    value, gradient = _value_and_direction(U, Z, R)
    for _ in range(steps):
        following = unit(U + step * gradient)
        next_value, next_gradient = _value_and_direction(following, Z, R)
        is_better = next_value > value
        U = xp.where(is_better, following, U)
        gradient = xp.where(is_better, next_gradient, gradient)
        value = xp.where(is_better, next_value, value)
        step = xp.where(is_better, xp.clip(2.0 * step, 0.0, _LONGEST), 0.25 * step)
        if bool(xp.all(step < _SHORTEST)):
            break
    return U


def gains(Z: Float64, R: Float64, U: Float64) -> Float64:
    """‖Rᵀ(Zu)₊‖ for each row u of U, shape (k,), in blocks.

    >>> gains(np.eye(2), np.array([[3.0], [4.0]]), np.array([[0.6, 0.8], [-1.0, 0.0]])).round(9).tolist()
    [5.0, 0.0]
    """
    values = np.empty(len(U))
    block = max(_BLOCK // max(len(Z), 1), 1)
    for start in range(0, len(U), block):
        images = np.maximum(U[start : start + block] @ Z.T, 0.0) @ R
        values[start : start + block] = np.sqrt((images**2).sum(axis=1))
    return values


def unit(U: Array) -> Array:
    """Rows scaled to length 1; zero rows stay."""
    xp = namespace(U)
    lengths = xp.sqrt(xp.sum(U * U, axis=1, keepdims=True))
    return U / xp.where(lengths > 0.0, lengths, xp.ones_like(lengths))


def _value_and_direction(U: Array, Z: Array, R: Array) -> tuple[Array, Array]:
    """f(u) = ‖Rᵀ(Zu)₊‖ (k, 1) and the unit gradient direction (k, r) for each row u of U."""
    xp = namespace(U)
    rows = U @ Z.T
    images = xp.clip(rows, 0.0, None) @ R
    value = xp.sqrt(xp.sum(images * images, axis=1, keepdims=True))
    slopes = (images @ R.T) * xp.astype(rows > 0.0, rows.dtype)
    return value, unit(slopes @ Z)
