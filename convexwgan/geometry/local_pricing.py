"""Local pricing: a good neuron at any rank, by batched ascent on the library and device of the data."""

from __future__ import annotations

import numpy as np

from convexwgan.arrays import Array, Float64, device_of, like, namespace, to_numpy64
from convexwgan.errors import InputError
from convexwgan.geometry.pricing import PricingResult, require_same_rows
from convexwgan.geometry.spectra import EPS

_NEAR = 3e-2
_MAX_RIDGE = 8


def price_local(Z: Array, R: Array, rng: int | np.random.Generator, starts: int = 64) -> PricingResult:
    """A good u by local ascent from random directions, at any rank; a lower bound on the pricing maximum.

    u ← (u + t ∇f)/‖·‖,  f(u) = ‖Rᵀ(Zu)₊‖₂,  ∇f ∝ Zᵀ(1[Zu > 0] ∘ R Rᵀ(Zu)₊),  t doubled on success, else quartered

    All the starts at once on the library and device of Z, in its dtype; the result is evaluated in float64.

    Args:
        Z: shape (n, d).
        R: shape (n, d_r).
        rng: seed or Generator; the starts are drawn by NumPy, the same on every device.
        starts: how many, ≥ 1.

    Returns:
        PricingResult with ``is_exact`` False and ``upper`` inf.

    Raises:
        InputError: the shapes do not fit, or starts < 1.

    >>> round(price_local(np.eye(2), np.array([[3.0], [4.0]]), rng=0).value, 6)
    5.0
    """
    require_same_rows(Z, R)
    if starts < 1:
        raise InputError("starts", starts, "be >= 1", "it counts the random directions")
    xp = namespace(Z)
    drawn = np.random.default_rng(rng).standard_normal((starts, Z.shape[1])) @ _range_projector(Z)
    U, value = _ascended(_unit(like(Z, drawn)), Z, like(Z, to_numpy64(R)))
    u = to_numpy64(U[int(xp.argmax(value[:, 0])), :])
    best, u = _polished(u / np.linalg.norm(u), to_numpy64(Z), to_numpy64(R))
    return PricingResult(best, u, np.inf, False)


def _range_projector(Z: Array) -> Float64:
    """The projector on the row space of Z, outside of which no direction matters."""
    _, s, Vt = np.linalg.svd(to_numpy64(Z), full_matrices=False)
    V = Vt[s > max(Z.shape) * EPS * s[0]].T if s[0] > 0.0 else Vt[:1].T
    projector: Float64 = V @ V.T
    return projector


def _ascended(U: Array, Z: Array, R: Array) -> tuple[Array, Array]:
    """Each row of U after gradient ascent of f(u) = ‖Rᵀ(Zu)₊‖ on the sphere, and its value, shape (k, 1)."""
    xp = namespace(U)
    step = xp.ones((U.shape[0], 1), dtype=U.dtype, device=device_of(U))
    value, gradient = _value_and_direction(U, Z, R)
    for _ in range(300):
        following = _unit(U + step * gradient)
        next_value, next_gradient = _value_and_direction(following, Z, R)
        is_better = next_value > value
        U = xp.where(is_better, following, U)
        gradient = xp.where(is_better, next_gradient, gradient)
        value = xp.where(is_better, next_value, value)
        step = xp.where(is_better, xp.clip(2.0 * step, 0.0, 1e3), 0.25 * step)
        if bool(xp.all(step < 1e-6)):
            break
    return U, value


def _polished(u: Float64, Z: Float64, R: Float64) -> tuple[float, Float64]:
    """The value at u, after ascents within the faces that u is nearest to.

    Many maximisers lie on hyperplanes, where f has a ridge on which ascent stalls; restricted to the k nearest
    hyperplanes, k = 1, 2, …, f is smooth across it.
    """
    lengths = np.linalg.norm(Z, axis=1)
    distance = np.abs(Z @ u) / np.where(lengths > 0.0, lengths, np.inf)
    nearest = [i for i in np.argsort(distance) if lengths[i] > 0.0 and distance[i] < _NEAR]
    best, start = float(np.linalg.norm(R.T @ np.maximum(Z @ u, 0.0))), u
    for k in range(1, min(len(nearest), Z.shape[1] - 1, _MAX_RIDGE) + 1):
        _, s, Vt = np.linalg.svd(Z[nearest[:k]] / lengths[nearest[:k], None])
        N = Vt[int((s > _NEAR**2).sum()) :].T
        restricted = Z @ N
        restricted[nearest[:k]] = 0.0
        c = N.T @ start
        if not np.linalg.norm(c) > 0.0:
            break
        candidate = N @ _ascended(_unit(c[None]), restricted, R)[0][0]
        value = float(np.linalg.norm(R.T @ np.maximum(Z @ candidate, 0.0)))
        if value > best:
            best, u = value, candidate / max(float(np.linalg.norm(candidate)), 1.0)
    return best, u


def _unit(U: Array) -> Array:
    """Rows scaled to length 1; zero rows stay."""
    xp = namespace(U)
    lengths = xp.sqrt(xp.sum(U * U, axis=1, keepdims=True))
    return U / xp.where(lengths > 0.0, lengths, xp.ones_like(lengths))


def _value_and_direction(U: Array, Z: Array, R: Array) -> tuple[Array, Array]:
    """f(u) = ‖Rᵀ(Zu)₊‖ (k, 1) and the unit gradient direction (k, d) for each row u of U."""
    xp = namespace(U)
    active = U @ Z.T
    is_active = active > 0.0
    images = xp.where(is_active, active, xp.zeros_like(active)) @ R
    value = xp.sqrt(xp.sum(images * images, axis=1, keepdims=True))
    slopes = images @ R.T
    gradient = xp.where(is_active, slopes, xp.zeros_like(slopes)) @ Z
    return value, _unit(gradient)
