"""Where descents begin: the data, the rounded measure, outputs with the moments of the data, and these disturbed."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from convexwgan.arrays import Float64
from convexwgan.geometry.rounding import rounded_measure
from convexwgan.solvers.linearised_neurons import NeuronTarget
from convexwgan.solvers.search import Search

_STARTS, _STARTS_MANY = 24, 8
"""How many starts, and above 20 samples, where one costs more and misses less."""
_SIZES = (0.1, 0.3, 1.0)


def starts(target: NeuronTarget, measure: Float64 | None, given: Float64 | None, search: Search) -> Iterator[Float64]:
    """Points Y (p, d) to descend from, in the order of what they promise.

    Args:
        target: the game. measure: the population game's [atoms | probabilities] in the target's units, or None.
        given: a start from elsewhere. search: seed and number.
    """
    rng = search.generator()
    fixed = [] if given is None else [given]
    outputs = _outputs(target, measure)
    fixed += outputs if target.F is None else [_nearest(target.F, G) for G in outputs]
    total = search.starts or (_STARTS if target.n_fake <= 20 else _STARTS_MANY)
    if target.F is not None:
        fixed += [_matched(target, rng) for _ in range(max(2, (total - len(fixed)) // 2))]
    yield from fixed[:total]
    for k in range(total - len(fixed)):
        base = fixed[k % len(fixed)]
        size = float(np.sqrt(np.mean(base * base))) or 1.0 / target.shape[0]
        yield base + _SIZES[k % 3] * size * rng.standard_normal(base.shape)


def data_points(target: NeuronTarget) -> list[Float64]:
    """The points whose output is nearest to the data: the data themselves where every output is reachable."""
    outputs = _outputs(target, None)
    return outputs if target.F is None else [_nearest(target.F, G) for G in outputs]


def _outputs(target: NeuronTarget, measure: Float64 | None) -> list[Float64]:
    """n_f rows that look like the data, and like the measure."""
    X, n = target.X, target.n_fake
    share = target.fake_weight * n / (target.real_weight * len(X))  # masses N_f/N_r
    places = ((np.arange(n) + 0.5) * (len(X) / n)).astype(np.int64)
    found = [X[places] / share if not target.bias else X[places]]
    if not target.bias and n >= len(X):
        found.insert(0, rounded_measure(target.real_weight * X, n) / target.fake_weight)
    if measure is None or len(measure) == 0:
        return found
    if target.bias:
        found.insert(0, apportioned(measure, n))
    else:
        vectors = measure[:, -1:] * measure[:, :-1]
        vectors = vectors[np.argsort(-np.linalg.norm(vectors, axis=1), kind="stable")[:n]]
        found.insert(0, rounded_measure(vectors, n) * n)
    return found


def apportioned(measure: Float64, n: int) -> Float64:
    """n rows, each atom about n·p_k times: whole numbers by the largest remainders.

    >>> apportioned(np.array([[1.0, 0.6], [5.0, 0.4]]), 3).tolist()
    [[1.0], [1.0], [5.0]]
    """
    quotas = n * measure[:, -1] / measure[:, -1].sum()
    counts = np.floor(quotas).astype(np.int64)
    rest = np.argsort(-(quotas - counts), kind="stable")[: n - int(counts.sum())]
    counts[rest] += 1
    return np.repeat(measure[:, :-1], counts, axis=0)


def _nearest(F: Float64, G: Float64) -> Float64:
    """The Y whose output FY is nearest to G."""
    return np.asarray(np.linalg.lstsq(F, G, rcond=1e-10)[0])


def _matched(target: NeuronTarget, rng: np.random.Generator) -> Float64:
    """A Y whose output has the first and second moments of the data, as far as its rank allows, turned at random.

    G = QC with C = e sᵀ/‖Qᵀ1‖ + U(M − ssᵀ/ρ)₊^½, e the direction of Qᵀ1 and U orthonormal, orthogonal to e (MATH 3.5).
    """
    assert target.F is not None
    Q, sizes, Vt = _range(target.F)
    ones, r = Q.sum(axis=0), Q.shape[1]
    M = target.real_weight / target.fake_weight * (target.X.T @ target.X)
    s = target.real_weight / target.fake_weight * target.X.sum(axis=0)
    length = float(np.linalg.norm(ones))
    C = np.zeros((r, len(s)))
    if length > 1e-6 * np.sqrt(target.n_fake):
        C += np.outer(ones / length, s / length)
        M = M - np.outer(s, s) / length**2
    frame = rng.standard_normal((r, r))
    if C.any():
        frame[:, 0] = ones
    frame = np.linalg.qr(frame)[0][:, int(C.any()) :]
    values, V = np.linalg.eigh(M)
    k = min(frame.shape[1], len(values))
    root = np.sqrt(np.maximum(values[::-1][:k], 0.0))[:, None] * V[:, ::-1][:, :k].T
    turned = np.linalg.qr(rng.standard_normal((k, k)))[0] if k else np.zeros((0, 0))
    C = C + frame[:, :k] @ (turned @ root)
    return np.asarray(Vt.T @ (C / sizes[:, None]))


def _range(F: Float64) -> tuple[Float64, Float64, Float64]:
    """Q, singular values and Vᵀ of F with F = Q diag(s) Vᵀ, at its rank."""
    Q, s, Vt = np.linalg.svd(F, full_matrices=False)
    rank = max(int((s > 1e-10 * s[0]).sum()), 1) if s[0] > 0.0 else 1
    return Q[:, :rank], np.where(s[:rank] > 0.0, s[:rank], 1.0), Vt[:rank]
