"""Fewer neurons for the same output at no more cost: merge within a closed cell, drop what is dependent.

* Two neurons whose v point the same way and whose u lie in one closed cell (no row of Z is strictly positive for one
  and strictly negative for the other) are one: a(Zu)₊ + b(Zu')₊ = (Z(au + bu'))₊ there, and ‖au + bu'‖ ≤ a + b.
* If Σ_j α_j (Zu_j)₊v̂_jᵀ = 0 with α ≠ 0, sizes move along ±α without changing the output until one is 0; the sign is
  chosen so that the cost Σ_j size_j does not grow (Carathéodory).

What is left can neither be merged nor dropped without loss.
"""

from __future__ import annotations

import numpy as np

from convexwgan.arrays import Float64
from convexwgan.solvers.realization.types import ReluNeurons

_ZERO = 1e-11
PARALLEL = 1e-14
"""v_i and v_j with 1 − cos ≤ PARALLEL count as parallel: merging them then moves the output by rounding only."""
DEPENDENT = 1e-11
"""Singular values below DEPENDENT times the largest count as zero when dependent neurons are dropped."""


def minimal_network(Z: Float64, neurons: ReluNeurons, *, parallel: float = PARALLEL) -> ReluNeurons:
    """A network of the same output and no more cost in which no neuron can be merged or dropped without loss.

    Args:
        Z: latents (n, d_f).
        neurons: u (k, d_f), v (k, d_r).
        parallel: largest 1 − cos between output directions that are merged.

    >>> Z = np.array([[1.0, 0.0], [1.0, 1.0]])
    >>> twice = ReluNeurons(np.array([[1.0, 0.0], [1.0, 0.0]]), np.array([[1.0], [2.0]]))
    >>> minimal_network(Z, twice).v.tolist()
    [[3.0]]
    """
    u, v = _alive(neurons.u, neurons.v)
    while True:
        count = len(u)
        u, v = _dropped(Z, *_merged(Z, u, v, parallel))
        if len(u) == count:
            return ReluNeurons(u, v)


def mergeable_pairs(Z: Float64, u: Float64, v: Float64, parallel: float = PARALLEL) -> list[tuple[int, int]]:
    """Pairs (i, j), i < j, in one closed cell with parallel v."""
    size = np.linalg.norm(v, axis=1)
    directions = v / np.where(size > 0, size, 1.0)[:, None]
    alike = np.triu(1.0 - directions @ directions.T <= parallel, 1)
    values = u @ Z.T
    tolerance = _ZERO * np.linalg.norm(u, axis=1)[:, None] * np.linalg.norm(Z, axis=1)[None, :]
    above, below = values > tolerance, values < -tolerance
    return [
        (int(i), int(j))
        for i, j in zip(*np.nonzero(alike), strict=True)
        if not ((above[i] & below[j]) | (below[i] & above[j])).any()
    ]


def _merged(Z: Float64, u: Float64, v: Float64, parallel: float) -> tuple[Float64, Float64]:
    """One neuron for every mergeable pair, pair after pair (a merged neuron may leave the common cell of others)."""
    u, v = u.copy(), v.copy()
    alive = np.ones(len(u), dtype=bool)
    for i, j in mergeable_pairs(Z, u, v, parallel):
        if alive[i] and alive[j] and mergeable_pairs(Z, u[[i, j]], v[[i, j]], parallel):
            a, b = np.linalg.norm(v[i]), np.linalg.norm(v[j])
            direction, out = a * u[i] + b * u[j], v[i] + v[j]
            length = float(np.linalg.norm(direction))
            u[i], v[i] = direction / length, out * (length / np.linalg.norm(out))
            alive[j] = False
    return u[alive], v[alive]


def _dropped(Z: Float64, u: Float64, v: Float64) -> tuple[Float64, Float64]:
    """Neurons with independent (Zu_j)₊v̂_jᵀ; at most n·d_r of them."""
    if len(u) == 0:
        return u, v
    size = np.linalg.norm(v, axis=1)
    directions = v / size[:, None]
    Phi = np.maximum(Z @ u.T, 0.0)
    norms = np.linalg.norm(Phi, axis=0)
    seen = norms > 0
    u, directions, size, Phi, norms = u[seen], directions[seen], size[seen], Phi[:, seen], norms[seen]
    null = _null_space(Phi / norms, directions) / norms[:, None]
    while null.shape[1]:
        alpha = null[:, 0] * (1.0 if null[:, 0].sum() >= 0 else -1.0)
        positive = alpha > _ZERO * np.abs(alpha).max()
        if not positive.any():
            null = null[:, 1:]
            continue
        ratios = np.where(positive, size / np.where(positive, alpha, 1.0), np.inf)
        leaving = int(ratios.argmin())
        size = np.maximum(size - ratios[leaving] * alpha, 0.0)
        rest = null[:, 1:] - np.outer(alpha, null[leaving, 1:] / alpha[leaving])
        keep = np.arange(len(size)) != leaving
        null, size, u, directions = rest[keep], size[keep], u[keep], directions[keep]
    alive = size > 0
    return u[alive], directions[alive] * size[alive, None]


def _null_space(Phi: Float64, directions: Float64) -> Float64:
    """A basis (k, q) of {α: Σ_j α_j φ_j v̂_jᵀ = 0}."""
    columns = np.einsum("nk,kd->ndk", Phi, directions).reshape(-1, Phi.shape[1])
    if columns.shape[0] > columns.shape[1]:
        columns = np.linalg.qr(columns, mode="r")
    _, s, Vt = np.linalg.svd(columns, full_matrices=True)
    rank = int((s > DEPENDENT * s[0]).sum())
    null: Float64 = Vt[rank:].T
    return null


def _alive(u: Float64, v: Float64) -> tuple[Float64, Float64]:
    alive = np.linalg.norm(v, axis=1) > 0
    return u[alive], v[alive]
