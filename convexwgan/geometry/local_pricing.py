"""Local pricing: a good neuron at any rank, by batched ascent on the library and device of the data."""

from __future__ import annotations

import numpy as np

from convexwgan.arrays import Array, Float64, like, to_numpy64
from convexwgan.errors import InputError
from convexwgan.geometry.ascent import ascend, gains, unit
from convexwgan.geometry.pricing import PricingResult, require_same_rows
from convexwgan.geometry.spectra import EPS

_STEPS = 300
_NEAR = 3e-2
_MAX_RIDGE = 8


def price_local(Z: Array, R: Array, rng: int | np.random.Generator, starts: int = 64) -> PricingResult:
    """A good u by local ascent from random directions, at any rank; a lower bound on the pricing maximum.

    All the starts at once (``geometry.ascent``) on the library and device of Z, in its dtype; the best end is polished
    and evaluated in float64.

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
    drawn = np.random.default_rng(rng).standard_normal((starts, Z.shape[1])) @ _range_projector(Z)
    rows, gain = to_numpy64(Z), to_numpy64(R)
    U = to_numpy64(ascend(Z, like(Z, gain), unit(like(Z, drawn)), _STEPS))
    u = U[int(gains(rows, gain, U).argmax())]
    best, u = _polished(u / np.linalg.norm(u), rows, gain)
    return PricingResult(best, u, np.inf, False)


def _range_projector(Z: Array) -> Float64:
    """The projector on the row space of Z, outside of which no direction matters."""
    _, s, Vt = np.linalg.svd(to_numpy64(Z), full_matrices=False)
    V = Vt[s > max(Z.shape) * EPS * s[0]].T if s[0] > 0.0 else Vt[:1].T
    projector: Float64 = V @ V.T
    return projector


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
        candidate = N @ ascend(restricted, R, unit(c[None]), _STEPS)[0]
        value = float(np.linalg.norm(R.T @ np.maximum(Z @ candidate, 0.0)))
        if value > best:
            best, u = value, candidate / max(float(np.linalg.norm(candidate)), 1.0)
    return best, u
